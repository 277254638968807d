"""AVIF: 8 bits, RGB with or without alpha; read and written where Pillow was built with it.

Pillow rewrites EXIF in both directions, so that it neither gets the block nor is asked for it.
"""

import hashlib
from dataclasses import replace
from io import BufferedWriter, BytesIO

from PIL import AvifImagePlugin

from srcli.media.bmff import read_heif
from srcli.media.exif import exif_orientation
from srcli.media.format import DiskRate, Format, FormatError, Readable
from srcli.media.image import DecodedImage, ImageInfo
from srcli.media.orientation import apply_orientation, orientation_by_number
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
_EMPTY_EXIF = b"II*\0\x08\0\0\0\0\0\0\0\0\0"  # a directory of no fields


def _opened(stream: Readable) -> AvifImagePlugin.AvifImageFile:
    if not AvifImagePlugin.SUPPORTED:
        raise FormatError("AVIF is not in this build of Pillow: pip install -U pillow")
    return AvifImagePlugin.AvifImageFile(stream)


def _inspect(stream: Readable) -> ImageInfo:
    image = _opened(stream)
    size = orientation_by_number(_stated(image)).size(*image.size)
    return ImageInfo("avif", *size, channels_of(image), bits=8)


def _stated(image: AvifImagePlugin.AvifImageFile) -> int:
    """The orientation by irot and imir, which Pillow puts into EXIF whatever was there."""
    return exif_orientation((image.info.get("exif") or b"").removeprefix(b"Exif\0\0")) or 1


def _decode(stream: Readable) -> DecodedImage:
    """Decode the image, or the first one of a sequence."""
    image = _opened(stream)
    file = read_heif(stream)
    metadata = replace(metadata_of(image), exif=file.exif)
    if metadata.icc is None and file.numbers:
        metadata = replace(metadata, cicp=cicp_of(*file.numbers))
    dropped = [f"{name} left out" for name in file.beside]
    if file.bits > 8:
        dropped.append(f"{file.bits} bits read as 8")
    decoded = DecodedImage(
        pixels_of(image),
        "avif",
        metadata,
        left_out=dropped_metadata(image),
        dropped=tuple(dropped),
    )
    return apply_orientation(decoded, stated=_stated(image))


def _encode(image: DecodedImage, stream: BufferedWriter, quality: int) -> None:
    if not AvifImagePlugin.SUPPORTED:
        raise FormatError("AVIF is not in this build of Pillow: pip install -U pillow")
    metadata, file = image.metadata, BytesIO()
    exif = metadata.exif or b""
    stand_in = _stand_in(exif)
    as_image(image.pixels).save(
        file,
        "AVIF",
        quality=quality,
        subsampling="4:4:4",
        icc_profile=metadata.icc,
        exif=stand_in,
        xmp=metadata.xmp or b"",
    )
    made = file.getvalue()
    if stand_in and made.count(stand_in) != 1:
        raise FormatError("AVIF cannot hold its EXIF: use --strip-metadata or --format png")
    stream.write(made.replace(stand_in, exif) if stand_in else made)


def _stand_in(exif: bytes) -> bytes:
    """An empty block of the same length that occurs once in a file, for the true one to replace."""
    if not exif:
        return b""
    digest = hashlib.sha256(exif).digest()
    return (_EMPTY_EXIF + digest * (len(exif) // len(digest) + 1))[: len(exif)]


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
