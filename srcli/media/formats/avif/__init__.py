"""AVIF: 8, 10 and 12 bits, RGB with or without alpha; where Pillow was built with it.

Pillow rewrites EXIF in both directions, so that it neither gets the block nor is asked for it. It
reads 8 bits, and writes no more; what is deeper is decoded in `deep.py`.
"""

import hashlib
from dataclasses import replace
from io import BufferedWriter, BytesIO

from PIL import AvifImagePlugin

from srcli.media.bmff import HeifFile, read_heif
from srcli.media.exif import exif_orientation
from srcli.media.format import DiskRate, Format, FormatError, Readable
from srcli.media.formats.avif.deep import decode_deep, is_deep
from srcli.media.image import DecodedImage, ImageInfo, Pixels
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
_KEPT = {1: [0], 2: [0, 3], 3: slice(None), 4: slice(None)}  # of RGB and alpha, by channels
_EMPTY_EXIF = b"II*\0\x08\0\0\0\0\0\0\0\0\0"  # a directory of no fields


def _opened(stream: Readable) -> AvifImagePlugin.AvifImageFile:
    if not AvifImagePlugin.SUPPORTED:
        raise FormatError("AVIF is not in this build of Pillow: pip install -U pillow")
    return AvifImagePlugin.AvifImageFile(stream)


def _inspect(stream: Readable) -> ImageInfo:
    image, file = _opened(stream), read_heif(stream)
    left, top, right, bottom = _clap(file, image)
    size = orientation_by_number(_stated(image)).size(right - left, bottom - top)
    bits = 16 if is_deep(file) and not dropped_metadata(image) else 8
    return ImageInfo("avif", *size, channels_of(image), bits)


def _stated(image: AvifImagePlugin.AvifImageFile) -> int:
    """The orientation by irot and imir, which Pillow puts into EXIF whatever was there."""
    return exif_orientation((image.info.get("exif") or b"").removeprefix(b"Exif\0\0")) or 1


def _clap(file: HeifFile, image: AvifImagePlugin.AvifImageFile) -> tuple[int, int, int, int]:
    """The part that is meant of what is stored, which Pillow does not cut out."""
    return file.main.clap(*image.size) if file.main else (0, 0, *image.size)


def _decode(stream: Readable) -> DecodedImage:
    """Decode the image, or the first one of a sequence."""
    image, file = _opened(stream), read_heif(stream)
    metadata = replace(metadata_of(image), exif=file.exif)
    numbers = file.main.nclx if file.main else None
    if metadata.icc is None and numbers:
        metadata = replace(metadata, cicp=cicp_of(numbers.primaries, numbers.transfer))
    dropped = list(file.beside)
    left_out = dropped_metadata(image)
    if is_deep(file) and not left_out:
        pixels: Pixels = decode_deep(stream, file)[..., _KEPT[channels_of(image)]]
    else:
        pixels = pixels_of(image)
        if file.main and file.main.bits > 8:
            dropped.append(f"{file.main.bits} bits read as 8")
    left, top, right, bottom = _clap(file, image)
    decoded = DecodedImage(
        pixels[top:bottom, left:right],
        "avif",
        metadata,
        left_out=left_out,
        dropped=tuple(dropped),
        precision=file.main.bits if file.main and pixels.itemsize == 2 else None,
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
        raise FormatError("AVIF cannot hold its EXIF; hint: use --strip-metadata or --format png")
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
    codec="AVIF",
)
