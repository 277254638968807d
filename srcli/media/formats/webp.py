"""WebP: 8 bits, RGB with or without alpha; lossless files stay lossless."""

import os
import struct
from dataclasses import dataclass, replace
from io import BufferedWriter

from PIL import WebPImagePlugin

from srcli.media.format import DiskRate, Format, FormatError, Readable
from srcli.media.image import DecodedImage, ImageInfo, Metadata
from srcli.media.orientation import apply_orientation, orientation_of
from srcli.media.pillow_image import as_image, dropped_metadata, metadata_of, pixels_of
from srcli.media.trailers import name_behind

__all__ = ["FORMAT"]

_ALPHA_FLAG = 0x10
_KNOWN = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ")
_SHOWN = 8


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    alpha: bool
    lossless: bool
    metadata: Metadata


def _inspect(stream: Readable) -> ImageInfo:
    header = _read_header(stream, _chunks(stream))
    size = orientation_of(header.metadata).size(header.width, header.height)
    channels = 4 if header.alpha else 3
    return ImageInfo("webp", *size, channels, bits=8, lossless=header.lossless)


def _decode(stream: Readable) -> DecodedImage:
    """Decode the image, or the first one of an animation."""
    chunks = _chunks(stream)
    unknown = [kind.decode("latin1").strip() for kind in chunks if kind not in _KNOWN]
    dropped = [f"WebP chunks dropped: {', '.join(unknown[:_SHOWN])}"] if unknown else []
    stream.seek(0)
    image = WebPImagePlugin.WebPImageFile(stream)
    behind = name_behind(stream, _end(stream))
    metadata = replace(metadata_of(image), iptc=behind.iptc)
    return apply_orientation(
        DecodedImage(
            pixels_of(image),
            "webp",
            metadata,
            b"VP8L" in chunks,
            dropped_metadata(image),
            dropped=(*dropped, *behind.lines),
        )
    )


def _read_header(stream: Readable, chunks: dict[bytes, tuple[int, int]]) -> _Header:
    """Size and kind from the chunks' own headers."""
    exif, xmp = (_payload(stream, chunks, kind) for kind in (b"EXIF", b"XMP "))
    metadata = Metadata(exif=exif, xmp=xmp)
    lossless = b"VP8L" in chunks
    if head := _payload(stream, chunks, b"VP8X", 10):
        width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (4, 7))
        return _Header(width, height, bool(head[0] & _ALPHA_FLAG), lossless, metadata)
    if head := _payload(stream, chunks, b"VP8L", 5):
        bits = int.from_bytes(head[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        return _Header(width, height, bool(bits >> 28 & 1), lossless, metadata)
    if head := _payload(stream, chunks, b"VP8 ", 10):
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", head[6:10]))
        return _Header(width, height, alpha=False, lossless=False, metadata=metadata)
    raise FormatError("it holds no image")


def _chunks(stream: Readable) -> dict[bytes, tuple[int, int]]:
    """(offset, length) of the first chunk of each kind.

    Raises:
        FormatError: A chunk, or the file as a whole, is longer than what is there.
    """
    at, stop, size = 12, _end(stream), stream.seek(0, os.SEEK_END)
    if stop > size:
        raise FormatError(f"it is cut short: {size} of {stop} bytes")
    chunks: dict[bytes, tuple[int, int]] = {}
    while at < stop:
        stream.seek(at)
        kind, length = struct.unpack("<4sI", stream.read(8))
        if at + 8 + length > stop:
            raise FormatError(f"its {kind!r} chunk points beyond the end of the file")
        chunks.setdefault(kind, (at + 8, length))
        at += 8 + length + length % 2
    return chunks


def _end(stream: Readable) -> int:
    """Offset in the file behind the image, as its header states."""
    stream.seek(4)
    (declared,) = struct.unpack("<I", stream.read(4))
    return 8 + declared


def _payload(
    stream: Readable, chunks: dict[bytes, tuple[int, int]], kind: bytes, length: int | None = None
) -> bytes | None:
    """The payload of a chunk, or its first bytes; None if there is no such chunk."""
    if kind not in chunks:
        return None
    at, whole = chunks[kind]
    stream.seek(at)
    return stream.read(whole if length is None else length)


def _encode(image: DecodedImage, stream: BufferedWriter, quality: int) -> None:
    """Colours under full transparency are kept (`exact`)."""
    metadata = image.metadata
    as_image(image.pixels).save(
        stream,
        "WEBP",
        lossless=image.lossless,
        quality=quality,
        exact=True,
        icc_profile=metadata.icc,
        exif=metadata.exif or b"",
        xmp=metadata.xmp or b"",
    )


FORMAT = Format(
    name="webp",
    option="webp",
    suffixes=(".webp",),
    recognises=lambda head: head.startswith(b"RIFF") and head[8:12] == b"WEBP",
    inspect=_inspect,
    decode=_decode,
    encode=_encode,
    max_side=16383,
    max_block=2**32 - 1,
    gray=False,
    alpha=True,
    deep=False,
    keeps=frozenset({"icc", "exif", "xmp"}),
    disk_rate=DiskRate(0.05, 0.045, lossless=0.35),
    codec="WebP",
)
