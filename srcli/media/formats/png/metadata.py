"""Read the metadata of a PNG, chunk by chunk.

Pillow would refuse a whole image for a large colour profile or a damaged text, and tells of
colours and texts less than is needed to write them again.
"""

import struct
import zlib
from collections.abc import Sequence

from srcli.media.format import Readable
from srcli.media.formats.png.chunks import Chunk, chunk_bytes, payload, split_chunks
from srcli.media.icc import Colours
from srcli.media.image import Metadata
from srcli.media.pillow_image import dpi_of_ratio

__all__ = ["colours_of_chunks", "is_srgb", "read_metadata"]

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_COLOUR = (b"gAMA", b"cHRM", b"sRGB")
_SINGLE = (b"iCCP", b"eXIf", b"pHYs", b"cICP")
# About the pixels as stored, of an animation, or not worth a word: time of the last change.
_PASSED_OVER = (
    *(b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"sBIT", b"bKGD", b"hIST", b"sPLT"),
    *(b"acTL", b"fcTL", b"fdAT", b"tIME"),
)
_XMP = b"XML:com.adobe.xmp"
_RAW_EXIF = (b"Raw profile type exif", b"Raw profile type APP1")  # of ImageMagick, before eXIf was
_READ_TEXTS = (_XMP, *_RAW_EXIF)
_EXIF_STARTS = (b"Exif\0\0", b"II*\0", b"MM\0*")
_MOST_BYTES = 64 << 20  # that a profile or text may inflate to
_SRGB_GAMMA = 45455
_SRGB_CORNERS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_WHOLE = 100_000
_NEAR = 100  # of 100000: writers round differently


def read_metadata(stream: Readable, chunks: Sequence[Chunk]) -> tuple[Metadata, tuple[str, ...]]:
    """Metadata as stored, and a line for each part that is damaged or unknown."""
    known = {c.kind: payload(stream, c) for c in reversed(chunks) if c.kind in _SINGLE}
    texts = [(c.kind, payload(stream, c)) for c in chunks if c.kind in _TEXTS]
    first = {_keyword(text[1]): text for text in reversed(texts)}
    read = {keyword: _text(*first[keyword]) for keyword in _READ_TEXTS if keyword in first}
    dropped = _unknown(chunks)
    icc = _inflated(known[b"iCCP"].partition(b"\0")[2][1:]) if b"iCCP" in known else None
    if b"iCCP" in known and icc is None:
        dropped.append(f"ICC profile dropped: damaged, or above {_MOST_BYTES >> 20} MiB")
    exif = known.get(b"eXIf")
    for keyword, text in read.items():
        if exif is None and text and keyword in _RAW_EXIF:
            text = exif = _from_digits(text)
        if text is None:
            dropped.append(f"PNG text {keyword.decode()} dropped: damaged, or too large")
    colour = [chunk_bytes(c.kind, payload(stream, c)) for c in chunks if c.kind in _COLOUR]
    free = [chunk_bytes(*text) for text in texts if _keyword(text[1]) not in _READ_TEXTS]
    cicp = known.get(b"cICP", b"")
    if len(cicp) not in (0, 4):
        dropped.append(f"cICP dropped: {len(cicp)} bytes, must be 4")
    metadata = Metadata(
        icc=icc,
        exif=exif,
        xmp=read.get(_XMP),
        dpi=_dpi(known.get(b"pHYs", b"")),
        texts=b"".join(free) or None,
        colour=b"".join(colour) or None,
        cicp=cicp if len(cicp) == 4 else None,
    )
    return metadata, tuple(dropped)


def is_srgb(colour: bytes) -> bool:
    """Tell if chunks gAMA, cHRM and sRGB state nothing but the defaults."""
    said = dict(split_chunks(colour))
    if b"sRGB" in said:
        return True
    gamma = _numbers(said.get(b"gAMA", b""), 1) or (_SRGB_GAMMA,)
    corners = _numbers(said.get(b"cHRM", b""), 8) or _SRGB_CORNERS
    pairs = zip((*gamma, *corners), (_SRGB_GAMMA, *_SRGB_CORNERS), strict=True)
    return all(abs(one - other) <= _NEAR for one, other in pairs)


def colours_of_chunks(colour: bytes) -> Colours | None:
    """The colours that gAMA and cHRM state; None if their numbers make none."""
    said = dict(split_chunks(colour))
    (gamma,) = _numbers(said.get(b"gAMA", b""), 1) or (_SRGB_GAMMA,)
    corners = _numbers(said.get(b"cHRM", b""), 8) or _SRGB_CORNERS
    if not gamma:
        return None
    white, red, green, blue = (
        (x / _WHOLE, y / _WHOLE) for x, y in zip(corners[::2], corners[1::2], strict=True)
    )
    return Colours((red, green, blue), white, (_WHOLE / gamma,))


def _unknown(chunks: Sequence[Chunk]) -> list[str]:
    """A line that names what is not taken over, if there is any."""
    known = (*_SINGLE, *_COLOUR, *_TEXTS, *_PASSED_OVER)
    kinds = sorted({chunk.kind for chunk in chunks}.difference(known))
    names = [kind.decode("ascii") if kind.isalpha() else kind.hex() for kind in kinds]
    return [f"PNG chunks dropped: {', '.join(names[:8])}"] if names else []


def _keyword(text: bytes) -> bytes:
    return text.partition(b"\0")[0]


def _numbers(data: bytes, count: int) -> tuple[int, ...]:
    return struct.unpack(f">{count}I", data) if len(data) == 4 * count else ()


def _dpi(data: bytes) -> tuple[float, float] | None:
    """The resolution from pHYs; of one without unit, what it says of the shape of pixels."""
    if len(data) != 9:
        return None
    across, down = _numbers(data[:8], 2)
    if data[8] != 1:
        return dpi_of_ratio(across, down)
    return across * 0.0254, down * 0.0254


def _text(kind: bytes, data: bytes) -> bytes | None:
    """Decode a text chunk; None if it is damaged or too large."""
    said = data.partition(b"\0")[2]
    if kind == b"tEXt":
        return said
    if kind == b"zTXt":
        return _inflated(said[1:])
    parts = said[2:].split(b"\0", 2)  # language, keyword in it, text
    if len(parts) < 3:
        return None
    return _inflated(parts[2]) if said[0] else parts[2]


def _inflated(data: bytes) -> bytes | None:
    """The bytes before compression; None if they are damaged or too many."""
    inflate = zlib.decompressobj()
    try:
        result = inflate.decompress(data, _MOST_BYTES)
    except zlib.error:
        return None
    return result if inflate.eof else None


def _from_digits(text: bytes) -> bytes | None:
    """The EXIF block that stands in a text as "exif", its length, and hexadecimal digits."""
    try:
        block = bytes.fromhex(b"".join(text.strip(b"\n").split(b"\n")[2:]).decode("ascii"))
    except ValueError:
        return None
    return block if block.startswith(_EXIF_STARTS) else None
