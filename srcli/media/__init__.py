"""Still images in and out, without losing anything that the format can hold."""

from srcli.atomic import TEMPORARY_SUFFIX, atomic_file
from srcli.media.decoder_pool import DecoderPool
from srcli.media.decoder_process import Decoded, DecodeLimits, DecoderProcess
from srcli.media.format_losses import HDR_TRANSFERS, losses_in, rgb_profile
from srcli.media.formats import FORMATS, format_of_name, holds_pages, is_image_name, suffix_of
from srcli.media.image import Compression, DecodedImage, ImageInfo, Metadata, Pixels
from srcli.media.metadata_policy import MetadataPolicy
from srcli.media.read import probe, read_image
from srcli.media.write import write_image, write_pages

__all__ = [
    "FORMATS",
    "HDR_TRANSFERS",
    "TEMPORARY_SUFFIX",
    "Compression",
    "DecodeLimits",
    "Decoded",
    "DecodedImage",
    "DecoderPool",
    "DecoderProcess",
    "ImageInfo",
    "Metadata",
    "MetadataPolicy",
    "Pixels",
    "atomic_file",
    "format_of_name",
    "holds_pages",
    "is_image_name",
    "losses_in",
    "probe",
    "read_image",
    "rgb_profile",
    "suffix_of",
    "write_image",
    "write_pages",
]
