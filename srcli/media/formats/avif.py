"""AVIF: 8 bits, RGB with or without alpha; read and written where Pillow was built with it."""

import re
from dataclasses import replace
from io import BufferedWriter

from PIL import AvifImagePlugin

from srcli.media.format import DiskRate, Format, FormatError, Readable
from srcli.media.image import DecodedImage, ImageInfo
from srcli.media.orientation import apply_orientation, orientation_of
from srcli.media.pillow_image import (
    as_image,
    channels_of,
    cicp_of,
    dropped_metadata,
    metadata_of,
    pixels_of,
)

__all__ = ["FORMAT"]

_BRANDS = (b"avif", b"avis")
_NCLX = re.compile(rb"colrnclx(..)(..)", re.DOTALL)  # of which Pillow says nothing
_HEAD_BYTES = 1 << 16  # in which the box is, for it stands before the pixels


def _opened(stream: Readable) -> AvifImagePlugin.AvifImageFile:
    if not AvifImagePlugin.SUPPORTED:
        raise FormatError("AVIF is not in this build of Pillow: pip install -U pillow")
    return AvifImagePlugin.AvifImageFile(stream)


def _inspect(stream: Readable) -> ImageInfo:
    image = _opened(stream)
    size = orientation_of(metadata_of(image)).size(*image.size)
    return ImageInfo("avif", *size, channels_of(image), bits=8)


def _decode(stream: Readable) -> DecodedImage:
    """Decode the image, or the first one of a sequence; 10 and 12 bits become 8."""
    image = _opened(stream)
    metadata = metadata_of(image)
    stream.seek(0)
    if metadata.icc is None and (said := _NCLX.search(stream.read(_HEAD_BYTES))):
        primaries, transfer = (int.from_bytes(number, "big") for number in said.groups())
        metadata = replace(metadata, cicp=cicp_of(primaries, transfer))
    return apply_orientation(
        DecodedImage(pixels_of(image), "avif", metadata, left_out=dropped_metadata(image))
    )


def _encode(image: DecodedImage, stream: BufferedWriter, quality: int) -> None:
    if not AvifImagePlugin.SUPPORTED:
        raise FormatError("AVIF is not in this build of Pillow: pip install -U pillow")
    metadata = image.metadata
    as_image(image.pixels).save(
        stream,
        "AVIF",
        quality=quality,
        subsampling="4:4:4",
        icc_profile=metadata.icc,
        exif=metadata.exif or b"",
        xmp=metadata.xmp or b"",
    )


FORMAT = Format(
    name="avif",
    option="avif",
    suffixes=(".avif",),
    recognises=lambda head: head[4:8] == b"ftyp" and head[8:12] in _BRANDS,
    inspect=_inspect,
    decode=_decode,
    encode=_encode,
    max_side=65535,
    max_block=2**31 - 1,
    gray=False,
    alpha=True,
    deep=False,
    keeps=frozenset({"icc", "exif", "xmp"}),
    disk_rate=DiskRate(0.06, 0.06),
)
