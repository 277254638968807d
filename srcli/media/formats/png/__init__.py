"""PNG: gray or RGB, with or without alpha, 8 or 16 bits, and all metadata."""

import contextlib
import zlib
from collections.abc import Sequence
from dataclasses import replace
from io import BufferedWriter

from PIL import PngImagePlugin

from srcli.media.format import DiskRate, Format, FormatError, Readable
from srcli.media.formats.png.chunks import (
    SIGNATURE,
    Chunk,
    Header,
    alone,
    check_chunks,
    cut_short,
    end_of,
    has_end,
    list_chunks,
    read_header,
    require_all_rows,
    split_chunks,
)
from srcli.media.formats.png.metadata import read_metadata
from srcli.media.formats.png.sixteen_bit import decode_16bit, encode_16bit
from srcli.media.image import DecodedImage, ImageInfo, Pixels
from srcli.media.orientation import apply_orientation, orientation_of
from srcli.media.pillow_errors import DECODER_ERRORS
from srcli.media.pillow_image import as_image, channels_of, pixels_of
from srcli.media.trailers import name_behind

__all__ = ["FORMAT"]

_LEVEL = 4  # of zlib: the knee, measured on an upscaled photograph of 45 megapixels


def _inspect(stream: Readable) -> ImageInfo:
    chunks = list_chunks(stream)
    header = read_header(stream, chunks)
    metadata, _ = read_metadata(stream, chunks)
    width, height = orientation_of(metadata).size(header.width, header.height)
    if header.bits == 16:
        return ImageInfo("png", width, height, header.channels, bits=16)
    image = _opened(stream, chunks, header, pixels=False)
    return ImageInfo("png", width, height, channels_of(image), bits=8)


def _decode(stream: Readable) -> DecodedImage:
    """Decode the image; of an animation, the one that plain viewers show."""
    chunks = list_chunks(stream)
    check_chunks(stream, chunks)
    metadata, dropped = read_metadata(stream, chunks)
    try:
        pixels = _pixels(stream, chunks)
    except (FormatError, *DECODER_ERRORS, OSError):
        if has_end(chunks):
            raise
        raise cut_short(stream) from None
    if has_end(chunks):
        behind = name_behind(stream, end_of(chunks))
        metadata = replace(metadata, iptc=behind.iptc)
        dropped = (*dropped, *behind.lines)
    else:
        dropped = (*dropped, "its end marker is missing, every pixel is there: read as it is")
    frames = max(0, sum(chunk.kind == b"fcTL" for chunk in chunks) - 1)
    return apply_orientation(
        DecodedImage(pixels, "png", metadata, left_out=frames, dropped=dropped)
    )


def _pixels(stream: Readable, chunks: Sequence[Chunk]) -> Pixels:
    header = read_header(stream, chunks)
    if header.bits == 16:
        return decode_16bit(stream, chunks, header)
    with contextlib.suppress(zlib.error):  # for the decoder to judge
        require_all_rows(stream, chunks, header)
    return pixels_of(_opened(stream, chunks, header, pixels=True))


def _opened(
    stream: Readable, chunks: Sequence[Chunk], header: Header, *, pixels: bool
) -> PngImagePlugin.PngImageFile:
    """The image as Pillow reads it, a key colour of 2 or 4 bits brought to the 8 of its pixels."""
    image = PngImagePlugin.PngImageFile(alone(stream, chunks, pixels=pixels))
    key, most = image.info.get("transparency"), (1 << header.bits) - 1
    if isinstance(key, int) and image.mode == "L":
        image.info["transparency"] = (key & most) * 255 // most
    return image


def _encode(image: DecodedImage, stream: BufferedWriter, _quality: int) -> None:
    if image.bits == 16:
        encode_16bit(image, stream)
        return
    metadata = image.metadata
    texts = PngImagePlugin.PngInfo()
    if metadata.xmp:
        texts.add_itxt("XML:com.adobe.xmp", metadata.xmp)
    if metadata.cicp:
        texts.add(b"cICP", metadata.cicp)
    for kind, data in (*split_chunks(metadata.colour), *split_chunks(metadata.texts)):
        texts.add(kind, data)
    as_image(image.pixels).save(
        stream,
        "PNG",
        compress_level=_LEVEL,
        icc_profile=metadata.icc,
        dpi=metadata.dpi,
        exif=metadata.exif,
        pnginfo=texts,
    )


FORMAT = Format(
    name="png",
    option="png",
    suffixes=(".png",),
    recognises=lambda head: head.startswith(SIGNATURE),
    inspect=_inspect,
    decode=_decode,
    encode=_encode,
    max_side=2**31 - 1,
    max_block=2**31 - 1,
    gray=True,
    alpha=True,
    deep=True,
    keeps=frozenset({"icc", "exif", "xmp", "dpi", "texts", "colour", "cicp"}),
    disk_rate=DiskRate(0.5, 0.34),
)
