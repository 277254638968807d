"""Headers of a BMP: every version's layout of pixels."""

import struct
from dataclasses import dataclass

from srcli.media.format import Format, FormatError, Readable
from srcli.media.formats import jpeg, png

__all__ = ["FILE_HEADER", "V4", "V5", "Layout", "end_of", "layout_of", "not_read"]

FILE_HEADER, V4, V5 = 14, 108, 124
"""Bytes of the first header, and of the fourth and fifth version of the second."""
_WINDOWS, _CORE = (40, 52, 56, V4, V5), 12
_OS2_WHOLE = 64
_OS2 = frozenset(range(16, _OS2_WHOLE + 1)).difference(_WINDOWS)  # cut anywhere: the rest is zero
_RAW, _MASKS, _JPEG, _PNG, _ALPHA_MASKS = 0, 3, 4, 5, 6
_OS2_HUFFMAN, _OS2_RUNS = 3, 4
_PLAIN_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}


@dataclass(frozen=True)
class Layout:
    """The headers of a BMP.

    Attributes:
        header: Bytes of the second header, which name its version.
        width: px.
        height: px.
        top_down: Whether the first row is the top one.
        bits: Of a pixel.
        compression: As numbered in the file.
        masks: Bits of red, green, blue, alpha in a pixel; all 0 where there are none.
        pixels_at: Offset of the pixels.
        details: The second header, whole; at least 64 bytes of one of OS/2.
    """

    header: int
    width: int
    height: int
    top_down: bool
    bits: int
    compression: int
    masks: tuple[int, int, int, int]
    pixels_at: int
    details: bytes

    @property
    def of_os2(self) -> bool:
        """True if it is OS/2's second header, whose compressions have other numbers."""
        return self.header in _OS2

    @property
    def packed(self) -> bool:
        """True if pixels are numbers whose bits are split between channels."""
        compressions = (_RAW,) if self.of_os2 else (_RAW, _MASKS, _ALPHA_MASKS)
        return self.bits in (16, 32) and self.compression in compressions

    @property
    def two_bits(self) -> bool:
        """True if pixels are numbers of a palette of four."""
        return self.bits == 2 and self.compression == _RAW

    @property
    def runs(self) -> bool:
        """True if pixels are runs of 24-bit colours."""
        return self.of_os2 and self.bits == 24 and self.compression == _OS2_RUNS

    @property
    def stored_bytes(self) -> int:
        """Length of the pixels in the file, as the header tells it."""
        if self.compression == _RAW or self.packed:
            return (self.width * self.bits + 31) // 32 * 4 * self.height
        return int.from_bytes(self.details[20:24], "little")

    @property
    def embedded(self) -> Format | None:
        """The format of a file that stands in place of pixels."""
        if self.of_os2:
            return None
        return {_JPEG: jpeg.FORMAT, _PNG: png.FORMAT}.get(self.compression)


def layout_of(stream: Readable) -> Layout:
    """Read the headers.

    Raises:
        FormatError: They are cut short, or of a version or kind that is not read.
    """
    stream.seek(0)
    head = stream.read(FILE_HEADER + V5)
    if len(head) < FILE_HEADER + 12:
        raise FormatError(f"it is cut short: {len(head)} bytes of its header")
    pixels_at, size = struct.unpack_from("<II", head, 10)
    os2 = size in _OS2
    if size not in (*_WINDOWS, _CORE) and not os2:
        raise not_read(f"a header of {size} bytes")
    details = head[FILE_HEADER : FILE_HEADER + size]
    if len(details) < size:
        raise FormatError(f"it is cut short: {len(head)} bytes of its header")
    if size == _CORE:
        width, height, _, bits = struct.unpack_from("<HHHH", details, 4)
        return Layout(size, width, height, False, bits, _RAW, (0, 0, 0, 0), pixels_at, details)
    if os2:
        details = details.ljust(_OS2_WHOLE, b"\0")
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", details, 4)
    if os2 and compression == _OS2_HUFFMAN:
        raise not_read("OS/2's Huffman codes")
    masks = _PLAIN_MASKS.get(bits, (0, 0, 0, 0))
    if compression in (_MASKS, _ALPHA_MASKS) and not os2:
        count = 4 if size >= 56 or compression == _ALPHA_MASKS else 3  # then they follow the header
        found = struct.unpack_from(f"<{count}I", head.ljust(FILE_HEADER + 56, b"\0"), 54)
        masks = (found[0], found[1], found[2], found[3] if count == 4 else 0)
    return Layout(
        size, width, abs(height), height < 0, bits, compression, masks, pixels_at, details
    )


def not_read(kind: str) -> FormatError:
    """The error for a sound file of a kind that is not read, named in words."""
    return FormatError(
        f"a kind of BMP ({kind}) that srcli does not read; hint: convert it to PNG with another "
        "program"
    )


def end_of(stream: Readable, layout: Layout) -> int:
    """Offset behind the pixels and the profile, or the length that the file states if greater."""
    stream.seek(2)
    stated, profile = int.from_bytes(stream.read(4), "little"), 0
    if layout.header == V5:
        profile = FILE_HEADER + sum(struct.unpack_from("<II", layout.details, 112))
    return max(stated, layout.pixels_at + layout.stored_bytes, profile)
