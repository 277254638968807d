"""HEIC, as telephones write it: 8 bits, RGB with or without alpha; needs `srcli[formats]`."""

from dataclasses import replace
from importlib import import_module
from io import BufferedWriter
from typing import Any

from PIL import Image

from srcli.media.bmff import read_heif
from srcli.media.format import DiskRate, Format, FormatError, Readable
from srcli.media.image import DecodedImage, ImageInfo
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
    return ImageInfo("heic", *image.size, channels_of(image), bits=8)


def _decode(stream: Readable) -> DecodedImage:
    """Decode the main image; 10 and 12 bits become 8. The library turns it upright."""
    image = _opened(stream)
    metadata = metadata_of(image)
    file, bits = read_heif(stream), int(image.info.get("bit_depth", 8))
    dropped = [f"{name} left out" for name in file.beside]
    if bits > 8:
        dropped.append(f"{bits} bits read as 8")
    said: dict[str, Any] = image.info.get("nclx_profile") or {}
    if said and metadata.icc is None:
        cicp = cicp_of(int(said["color_primaries"]), int(said["transfer_characteristics"]))
        metadata = replace(metadata, cicp=cicp)
    return apply_orientation(
        DecodedImage(
            pixels_of(image),
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
