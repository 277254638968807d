"""Compression of a TIFF's strips and tiles, undone by zlib or by Pillow's libtiff and libwebp.

For libtiff a segment on its own is called a gray image of 8 bits, and comes back as raw bytes.
"""

import io
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin, WebPImagePlugin

from srcli.media.format import FormatError
from srcli.media.ifd import LONG, SHORT, Field, pack_directory, pack_integers
from srcli.media.tiff_tags import Tag

__all__ = ["PILLOWS", "PLAIN", "UNPACKED", "WEBP", "decoded_webp", "inflated", "name_of"]

PLAIN, _DEFLATE, _LIBTIFF = 1, (8, 32946), (5, 32773, 34925, 50000)  # LZW PackBits LZMA Zstandard
WEBP = 50001
UNPACKED = (PLAIN, *_DEFLATE, *_LIBTIFF, WEBP)
"""The compressions that are undone here."""
_NAMES = (
    {2: "CCITT", 3: "CCITT", 4: "CCITT", 6: "old JPEG", 7: "JPEG", 34661: "JBIG", 34887: "LERC"}
    | dict.fromkeys((33003, 33005, 34712), "JPEG 2000")
    | dict.fromkeys((34676, 34677), "LogLuv")
    | dict.fromkeys((50002, 52546), "JPEG XL")
)
PILLOWS = (2, 3, 4, 6, 7, 32771, 32809)
"""Those of other compressions that Pillow undoes: CCITT, JPEG, ThunderScan."""


def name_of(compression: int) -> str:
    """A compression in words.

    >>> name_of(34712), name_of(9)
    ('JPEG 2000', 'compression 9')
    """
    return _NAMES.get(compression, f"compression {compression}")


def decoded_webp(segment: bytes, rows: int, columns: int, samples: int) -> NDArray[np.uint8]:
    """A segment that is a WebP, (rows, columns, samples)."""
    image = WebPImagePlugin.WebPImageFile(io.BytesIO(segment))
    if image.size[0] < columns or image.size[1] < rows or samples not in (3, 4):
        raise FormatError(f"its WebP of {image.size[0]}x{image.size[1]} is not {columns}x{rows}")
    block = np.asarray(image.convert("RGB" if samples == 3 else "RGBA"))
    return block[:rows, :columns]


def inflated(segment: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    """The bytes of a segment before compression; at most those of its rows."""
    if compression == PLAIN:
        return segment
    if compression in _DEFLATE:
        return zlib.decompressobj().decompress(segment, rows * row_bytes)
    at = 8 + len(segment) + len(segment) % 2
    fields: dict[int, Field] = {
        Tag.IMAGE_WIDTH: pack_integers(LONG, "<", row_bytes),
        Tag.IMAGE_LENGTH: pack_integers(LONG, "<", rows),
        Tag.BITS_PER_SAMPLE: pack_integers(SHORT, "<", 8),
        Tag.COMPRESSION: pack_integers(SHORT, "<", compression),
        Tag.PHOTOMETRIC: pack_integers(SHORT, "<", 1),
        Tag.STRIP_OFFSETS: pack_integers(LONG, "<", 8),
        Tag.SAMPLES_PER_PIXEL: pack_integers(SHORT, "<", 1),
        Tag.ROWS_PER_STRIP: pack_integers(LONG, "<", rows),
        Tag.STRIP_BYTE_COUNTS: pack_integers(LONG, "<", len(segment)),
    }
    header = b"II*\0" + at.to_bytes(4, "little")
    file = header + segment.ljust(at - 8, b"\0") + pack_directory(fields, "<", at)
    return TiffImagePlugin.TiffImageFile(io.BytesIO(file)).tobytes()
