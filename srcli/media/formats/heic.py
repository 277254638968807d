"""HEIC, as telephones write it, RGB with or without alpha; needs `srcli[formats]`.

10 and 12 bits are read as 16; 8 are written.
"""

from dataclasses import replace
from importlib import import_module
from io import BufferedWriter
from typing import Any

import numpy as np
from PIL import Image

from srcli.media.bmff import read_heif
from srcli.media.format import DiskRate, Format, FormatError, Readable
from srcli.media.image import DecodedImage, ImageInfo, Pixels
from srcli.media.orientation import apply_orientation
from srcli.media.pillow_image import (
    as_image,
    channels_of,
    cicp_of,
    dropped_metadata,
    metadata_of,
    pixels_of,
)

__all__ = ["FORMAT"]

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_DEEP, _FULL = 16, 65535
_SRGB, _BT601 = (1, 13), 6  # what the library takes for granted


def _library() -> Any:  # noqa: ANN401 it has no types of its own
    try:
        return import_module("pillow_heif")
    except ImportError:
        raise FormatError("HEIC needs one more package: pip install 'srcli[formats]'") from None


def _opened(stream: Readable) -> Image.Image:
    return _library().HeifImageFile(stream)


def _inspect(stream: Readable) -> ImageInfo:
    image = _opened(stream)
    bits = 16 if _bits(image) > 8 else 8
    return ImageInfo("heic", *image.size, channels_of(image), bits=bits)


def _bits(image: Image.Image) -> int:
    """Bits a sample in the file."""
    return int(image.info.get("bit_depth", 8))


def _deep_pixels(stream: Readable, bits: int, channels: int) -> Pixels:
    """The pixels of more than 8 bits a sample, (h, w, c), brought to 0 to 65535."""
    stream.seek(0)
    shifted = np.asarray(_library().open_heif(stream, convert_hdr_to_8bit=False))
    shape = (*shifted.shape[:2], -1)
    pixels = (shifted.reshape(shape) >> (_DEEP - bits)).astype(np.uint16)
    if pixels.shape[2] != channels:
        raise FormatError(f"damaged: {pixels.shape[2]} channels where {channels} are stated")
    most = 2**bits - 1
    for row in pixels:
        row[...] = (row.astype(np.uint32) * _FULL + most // 2) // most
    return pixels


def _decode(stream: Readable) -> DecodedImage:
    """Decode the main image, which the library turns upright."""
    image = _opened(stream)
    metadata = metadata_of(image)
    file, bits = read_heif(stream), _bits(image)
    dropped = [f"{name} left out" for name in file.beside]
    deep = bits > 8
    pixels = _deep_pixels(stream, bits, channels_of(image)) if deep else pixels_of(image)
    said: dict[str, Any] = image.info.get("nclx_profile") or {}
    if said and metadata.icc is None:
        cicp = cicp_of(int(said["color_primaries"]), int(said["transfer_characteristics"]))
        metadata = replace(metadata, cicp=cicp)
    return apply_orientation(
        DecodedImage(
            pixels,
            "heic",
            metadata,
            left_out=dropped_metadata(image),
            dropped=tuple(dropped),
        )
    )


def _encode(image: DecodedImage, stream: BufferedWriter, quality: int) -> None:
    library = _library()
    metadata = image.metadata
    primaries, transfer = metadata.cicp[:2] if metadata.cicp else _SRGB
    library.from_pillow(as_image(image.pixels)).save(
        stream,
        quality=quality,
        chroma=444,
        icc_profile=metadata.icc,
        exif=metadata.exif,
        xmp=metadata.xmp,
        color_primaries=primaries,
        transfer_characteristics=transfer,
        matrix_coefficients=_BT601,
        full_range_flag=1,
    )


FORMAT = Format(
    name="heic",
    option="heic",
    suffixes=(".heic", ".heif", ".hif"),
    recognises=lambda head: head[4:8] == b"ftyp" and head[8:12] in _BRANDS,
    inspect=_inspect,
    decode=_decode,
    encode=_encode,
    max_side=16384,
    max_block=2**31 - 1,
    gray=True,
    alpha=True,
    deep=False,
    keeps=frozenset({"icc", "exif", "xmp", "cicp"}),
    disk_rate=DiskRate(0.1, 0.12),
)
