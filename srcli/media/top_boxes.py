"""The outermost boxes of HEIF, AVIF and JPEG XL files; names of those that are not the image."""

import os
import re
import struct
from collections.abc import Iterator, Sequence

from srcli.media.format import Readable
from srcli.media.trailers import name_behind

__all__ = ["Box", "end_of_boxes", "name_beside", "top_boxes"]

Box = tuple[bytes, int, int]
"""Kind, offset and length of the content."""

_NO_BOX = b""
_OF_AN_IMAGE = (  # of which a cut file may hold a part
    *(b"mdat", b"meta", b"moov", b"jxlc", b"jxlp", b"jbrd", b"brob", b"Exif", b"xml "),
)
_FIRST = (b"ftyp", b"JXL ")  # each begins a file
_PRINTABLE = re.compile(rb"[ -~]{4}")
_NAMES = {b"mpvd": "motion video", b"sefd": "Samsung's trailer", b"jhgm": "HDR gain map"}


def top_boxes(stream: Readable) -> Iterator[Box]:
    """Kind, offset and length of the content of each box of the file; of a cut one what is there.

    What is no box, or begins another file, comes last, with an empty kind and from its beginning.
    """
    end, at = stream.seek(0, os.SEEK_END), 0
    begun: set[bytes] = set()
    while at + 8 <= end:
        stream.seek(at)
        length, kind = struct.unpack(">I4s", stream.read(8))
        head = 8
        if length == 1 and at + 16 <= end:
            (length,), head = struct.unpack(">Q", stream.read(8)), 16
        length = length or end - at
        sound = head <= length and (length <= end - at or kind in _OF_AN_IMAGE)
        if not sound or kind in begun or not _PRINTABLE.fullmatch(kind):
            yield _NO_BOX, at, end - at
            return
        begun |= {kind}.intersection(_FIRST)
        yield kind, at + head, min(length, end - at) - head
        at += length


def end_of_boxes(boxes: Sequence[Box]) -> int | None:
    """Offset of what is no box, or begins another file; None if there is nothing behind them."""
    return next((at for kind, at, _ in boxes if kind == _NO_BOX), None)


def name_beside(
    stream: Readable, boxes: Sequence[Box], of_the_format: Sequence[bytes]
) -> tuple[str, ...]:
    """Lines for what the file holds besides the boxes of its format.

    Args:
        stream: The file.
        boxes: All that `top_boxes` finds in it.
        of_the_format: Kinds that need no line.
    """
    lines: list[str] = []
    for kind, at, length in boxes:
        if kind == _NO_BOX:
            lines += name_behind(stream, at).lines
        elif kind not in of_the_format:
            name = _NAMES.get(kind, f"box {kind.decode('ascii').strip()}")
            lines.append(f"{name}, {length} bytes left out")
    return tuple(lines)
