"""HEIC, as telephones write it: 8, 10 and 12 bits, gray or RGB; needs `srcli[formats]`."""

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
_GRAY_16 = "I;16"
_DEEP_MODES = {1: "L;16", 2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}
_MOST_BITS = 12
_SRGB, _BT601 = (1, 13), 6  # what the library takes for granted


def _library() -> Any:  # noqa: ANN401 it has no types of its own
    try:
        return import_module("pillow_heif")
    except ImportError:
        raise FormatError("HEIC needs one more package: pip install 'srcli[formats]'") from None


def _opened(stream: Readable) -> Image.Image:
    return _library().HeifImageFile(stream)


def _bits(image: Image.Image) -> int:
    return int(image.info.get("bit_depth", 8))


def _channels(image: Image.Image) -> int:
    return 1 if image.mode == _GRAY_16 else channels_of(image)


def _inspect(stream: Readable) -> ImageInfo:
    image = _opened(stream)
    return ImageInfo("heic", *image.size, _channels(image), bits=16 if _bits(image) > 8 else 8)


def _decode(stream: Readable) -> DecodedImage:
    """Decode the main image. The library turns it upright and cuts out the part that is meant."""
    image = _opened(stream)
    metadata = metadata_of(image)
    file, bits = read_heif(stream), _bits(image)
    said: dict[str, Any] = image.info.get("nclx_profile") or {}
    if said and metadata.icc is None:
        cicp = cicp_of(int(said["color_primaries"]), int(said["transfer_characteristics"]))
        metadata = replace(metadata, cicp=cicp)
    return apply_orientation(
        DecodedImage(
            pixels_of(image) if bits <= 8 else _deep(stream, bits),
            "heic",
            metadata,
            left_out=dropped_metadata(image),
            dropped=file.beside,
            precision=bits if bits > 8 else None,
        )
    )


def _deep(stream: Readable, bits: int) -> Pixels:
    """The pixels (h, w, c) uint16, full range; the library has them in the upper bits of 16."""
    image = _library().open_heif(stream, convert_hdr_to_8bit=False)
    stored = np.asarray(image)
    pixels = np.empty((*stored.shape[:2], stored.shape[2] if stored.ndim == 3 else 1), np.uint16)
    most = np.uint32((1 << bits) - 1)
    for number, row in enumerate(stored):
        values = row.reshape(pixels.shape[1:]).astype(np.uint32) >> np.uint32(16 - bits)
        if image.premultiplied_alpha:
            alpha = values[:, -1:]
            straight = (values[:, :-1] * most + alpha // 2) // np.maximum(alpha, 1)
            values[:, :-1] = np.minimum(straight, most)
        pixels[number] = (values * np.uint32(65535) + most // 2) // most
    return pixels


def _encode(image: DecodedImage, stream: BufferedWriter, quality: int) -> None:
    """Write 8 bits, or 10 if that is all there are of more, or 12."""
    library = _library()
    metadata = image.metadata
    primaries, transfer = metadata.cicp[:2] if metadata.cicp else _SRGB
    if image.bits == 8:
        made, depth = library.from_pillow(as_image(image.pixels)), 8
    else:
        mode, depth = _DEEP_MODES[image.channels], 10 if image.meant_bits <= 10 else _MOST_BITS
        data = np.ascontiguousarray(image.pixels, "<u2").tobytes()
        made = library.from_bytes(mode, (image.width, image.height), data)
    made.save(
        stream,
        quality=quality,
        bit_depth=depth,
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
    deep=True,
    most_bits=_MOST_BITS,
    keeps=frozenset({"icc", "exif", "xmp", "cicp"}),
    disk_rate=DiskRate(0.1, 0.12),
    codec="HEIC",
)
