"""Still pictures in and out, without losing anything that the format can hold."""

from srcli.atomic import TEMPORARY_SUFFIX, atomic_file
from srcli.media.fitting import representable
from srcli.media.formats import format_of_name, holds_pages, is_picture_name, suffix_of
from srcli.media.isolation import Decoded, Decoder
from srcli.media.limits import DecodeLimits
from srcli.media.picture import Metadata, Picture, PictureInfo, Pixels
from srcli.media.policy import MetadataPolicy
from srcli.media.reading import probe, read_picture
from srcli.media.writing import write_pages, write_picture

__all__ = [
    "TEMPORARY_SUFFIX",
    "DecodeLimits",
    "Decoded",
    "Decoder",
    "Metadata",
    "MetadataPolicy",
    "Picture",
    "PictureInfo",
    "Pixels",
    "atomic_file",
    "format_of_name",
    "holds_pages",
    "is_picture_name",
    "probe",
    "read_picture",
    "representable",
    "suffix_of",
    "write_pages",
    "write_picture",
]
