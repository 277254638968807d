"""Write TIFF of several pages, one after the other: only one of them is ever in memory.

Pixels are written as they come. The directories follow at the end, when it is known whether all
offsets fit into 32 bits; beyond 4 GiB the file becomes a BigTIFF.
"""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedWriter

from srcli.media.exif import separated
from srcli.media.ifd import (
    LONG,
    LONG8,
    Field,
    Order,
    first_directory,
    in_order,
    pack_directory,
    pack_integers,
    pointer_at,
)
from srcli.media.image import DecodedImage
from srcli.media.tiff_encode import Strips, aligned, image_fields, write_strips

__all__ = ["TiffPages"]

_CLASSIC_BYTES = 2**32 - 1
_ORDER: Order = "<"  # Pillow reads no BigTIFF of the other
_HEADER = 16  # bytes, of a BigTIFF; a classic one leaves half of them empty


@dataclass(frozen=True)
class _Page:
    """Bytes of a page's directory, and of the directories EXIF and GPS that it points to."""

    fields: Mapping[int, Field]
    parts: Mapping[int, Mapping[int, Field]]
    strips: Strips

    @property
    def room(self) -> int:
        """Bytes that all of it takes at most."""
        groups = (self.fields, *self.parts.values())
        entries = sum(64 + sum(24 + len(f.data) for f in group.values()) for group in groups)
        return entries + 16 * len(self.strips.offsets)


class TiffPages:
    """See `PageWriter`.

    Args:
        stream: An empty file.
    """

    def __init__(self, stream: BufferedWriter) -> None:
        self._stream = stream
        self._pages: list[_Page] = []
        stream.write(bytes(_HEADER))

    def add(self, image: DecodedImage) -> None:
        """Write a page's pixels, and keep the rest in mind."""
        block = image.metadata.exif
        stream = io.BytesIO(block or b"II*\0" + struct.pack("<IHI", 8, 0, 0))
        main = first_directory(stream, lenient=True)
        fields, parts = separated(stream, main)
        self._pages.append(
            _Page(
                _turned(fields, main.order) | image_fields(image, _ORDER),
                {tag: _turned(part, main.order) for tag, part in parts.items()},
                write_strips(image.pixels, self._stream, _ORDER),
            )
        )

    def finish(self) -> None:
        """Write the directories, each of which points to the next, and the header."""
        stream = self._stream
        big = stream.tell() + sum(page.room for page in self._pages) > _CLASSIC_BYTES
        kind, code = (LONG8, "Q") if big else (LONG, "I")
        pointer = 8 if big else 4  # where the offset of the next directory belongs
        for page in self._pages:
            fields = {**page.fields, **page.strips.fields(kind, _ORDER)}
            for tag, part in page.parts.items():
                at = aligned(stream, 8)
                stream.write(pack_directory(part, _ORDER, at, big=big))
                fields[tag] = pack_integers(kind, _ORDER, at)
            at = aligned(stream, 8)
            stream.write(pack_directory(fields, _ORDER, at, big=big))
            end = stream.tell()
            stream.seek(pointer)
            stream.write(struct.pack(_ORDER + code, at))
            stream.seek(end)
            pointer = at + pointer_at(len(fields), big=big)
        stream.seek(0)
        stream.write(b"II+\0\x08\0\0\0" if big else b"II*\0")


def _turned(fields: Mapping[int, Field], order: Order) -> dict[int, Field]:
    return {tag: in_order(field, order, _ORDER) for tag, field in fields.items()}
