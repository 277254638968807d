"""JPEG XL: gray or RGB, with or without alpha; needs `srcli[formats]`.

Two packages share the work. pylibjxl reads headers without the pixels, and writes profiles;
pillow-jxl-plugin tells the profile of every file that is read, for most say it in JPEG XL's own
words, and has 16 bits of gray; EXIF and XMP come from the former, which undoes Brotli. RGB is read
with 8 bits, and all is written so.
"""

import io
from dataclasses import replace
from importlib import import_module
from io import BufferedWriter
from typing import Any

import numpy as np

from srcli.media.format import DiskRate, Format, FormatError, Readable
from srcli.media.formats.jpeg import FORMAT as JPEG
from srcli.media.image import DecodedImage, ImageInfo, Metadata, Pixels
from srcli.media.orientation import apply_orientation
from srcli.media.top_boxes import end_of_boxes, name_beside, top_boxes

__all__ = ["FORMAT"]

_STREAM, _CONTAINER = b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n"
_BOXES = (
    *(b"JXL ", b"ftyp", b"jxll", b"jxli", b"jxlc", b"jxlp", b"jbrd", b"brob"),
    *(b"Exif", b"xml ", b"free", b"skip"),
)
_HEADER_BYTES = 1 << 16  # the size is somewhere in these, unless other boxes come first
_LOSSLESS = 100
_EFFORT = 5  # of 9: 7, the library's own choice, takes twice as long
_MOST_BITS = 16  # above it, floats
_GRAY_ALPHA = 2  # channels, which the library does not take


def _library(name: str) -> Any:  # noqa: ANN401 neither declares what it has
    try:
        return import_module(name)
    except ImportError:
        raise FormatError("JPEG XL needs more packages: pip install 'srcli[formats]'") from None


def _header(stream: Readable) -> dict[str, Any]:
    """Read the header, with the upright size; more is read only of an unusual file."""
    library = _library("pylibjxl")
    stream.seek(0)
    try:
        return library.probe(stream.read(_HEADER_BYTES))
    except RuntimeError:
        stream.seek(0)
        return library.probe(stream.read())


def _inspect(stream: Readable) -> ImageInfo:
    header = _header(stream)
    if header["bits_per_sample"] > _MOST_BITS:
        raise FormatError(
            f"{header['bits_per_sample']} bits a channel, at most {_MOST_BITS} are read; "
            "save it with 16"
        )
    gray = header["color_channels"] == 1
    channels = (1 if gray else 3) + bool(header["has_alpha"])
    bits = 16 if gray and header["bits_per_sample"] > 8 else 8
    return ImageInfo("jxl", header["width"], header["height"], channels, bits)


def _decode(stream: Readable) -> DecodedImage:
    """Decode the image, or the first one of an animation.

    The library turns it upright by the file's own header, beside which EXIF does not count. What
    was a JPEG, and is packed so that it can be had again to the bit, is read as that JPEG.
    """
    header, info = _header(stream), _inspect(stream)
    behind, content = _split(stream)
    decoder = _library("pillow_jxl").Decoder(num_threads=1)
    try:
        packed, _, data, icc, boxes = decoder(content)
    except RuntimeError:  # of many words, none of which helps
        raise FormatError("damaged or cut short; hint: restore it from its source") from None
    if packed:
        image = JPEG.decode(io.BytesIO(data))
        return replace(image, format="jxl", dropped=(*image.dropped, *behind))
    shape = info.height, info.width, info.channels
    deep = info.bits == 16
    flat = np.frombuffer(data, np.uint16) if deep else np.frombuffer(data, np.uint8)
    pixels: Pixels = flat.reshape(shape)
    bits, left_out = header["bits_per_sample"], int(header["have_animation"])  # at least
    dropped = (f"{bits} bits read as 8",) if bits > info.bits else ()
    beside: dict[str, bytes] = {}
    if boxes:  # compressed, as a rule, which only the other package undoes
        _, beside = _library("pylibjxl").decode(content, metadata=True)
    metadata = Metadata(bytes(icc) or None, beside.get("exif"), beside.get("xmp"))
    dropped = (*dropped, *behind)
    image = DecodedImage(pixels, "jxl", metadata, left_out=left_out, dropped=dropped)
    return apply_orientation(image, turned=True)


def _split(stream: Readable) -> tuple[tuple[str, ...], bytes]:
    """Lines for what is beside the image, and the file without what follows its boxes."""
    stream.seek(0)
    if stream.read(len(_CONTAINER)) != _CONTAINER:
        stream.seek(0)
        return (), stream.read()
    boxes = list(top_boxes(stream))
    lines = name_beside(stream, boxes, _BOXES)
    stream.seek(0)
    return lines, stream.read(end_of_boxes(boxes))


def _encode(image: DecodedImage, stream: BufferedWriter, quality: int) -> None:
    """Quality 100 is lossless; gray with alpha is written as RGB with alpha."""
    pixels, metadata = image.pixels, image.metadata
    if image.channels == _GRAY_ALPHA:
        pixels = np.ascontiguousarray(pixels[..., [0, 0, 0, 1]])
    library = _library("pylibjxl")
    try:
        made = library.encode(
            pixels,
            effort=_EFFORT,
            distance=_distance(quality),
            lossless=quality == _LOSSLESS,
            icc=metadata.icc,
            exif=metadata.exif,
            xmp=metadata.xmp,
        )
    except RuntimeError as error:
        raise FormatError(
            f"JPEG XL cannot hold it ({error}); its colour profile may be damaged; "
            "hint: use --format png"
        ) from error
    stream.write(made)


def _distance(quality: int) -> float:
    """Distance that libjxl's own tools use for a quality of JPEG: 1 is hardly visible.

    >>> round(_distance(95), 2), round(_distance(20), 2)
    (0.55, 9.07)
    """
    if quality >= _LOSSLESS:
        return 0.0
    if quality >= 30:
        return 0.1 + (100 - quality) * 0.09
    return 53 / 3000 * quality**2 - 23 / 20 * quality + 25


FORMAT = Format(
    name="jxl",
    option="jxl",
    suffixes=(".jxl",),
    recognises=lambda head: head.startswith((_STREAM, _CONTAINER)),
    inspect=_inspect,
    decode=_decode,
    encode=_encode,
    max_side=2**30 - 1,
    max_block=2**31 - 1,
    gray=True,
    gray_alpha=False,
    alpha=True,
    deep=False,
    keeps=frozenset({"icc", "exif", "xmp"}),
    disk_rate=DiskRate(0.1, 0.12),
    codec="JPEG XL",
)
