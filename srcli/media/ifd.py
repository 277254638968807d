"""Read and write TIFF directories (IFDs), the container of TIFF files and of EXIF blocks.

Data stay as raw bytes in the file's byte order, so that a field is copied without being understood.
"""

import os
import struct
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from srcli.media.format import FormatError, Readable

__all__ = [
    "BYTE",
    "LONG",
    "LONG8",
    "MAGICS",
    "RATIONAL",
    "SHORT",
    "UNDEFINED",
    "Directory",
    "Field",
    "Order",
    "directories",
    "directory_at",
    "first_directory",
    "in_order",
    "pack_directory",
    "pack_integers",
    "page_directory",
    "pointer_at",
    "subdirectory",
]

Order = Literal["<", ">"]

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # little and big endian, then BigTIFF

BYTE, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 3, 4, 5, 7, 16
_MAX_PAGES = 10_000
# Bytes of a value by type; the last three are BigTIFF's LONG8, SLONG8 and IFD8.
_SIZES = dict(enumerate((1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4), start=1)) | {16: 8, 17: 8, 18: 8}
_INTEGERS = {BYTE: "B", SHORT: "H", LONG: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclass(frozen=True)
class Field:
    """One value of a directory: its TIFF type, its raw bytes, and where its entry begins."""

    kind: int
    data: bytes
    at: int = 0

    @property
    def count(self) -> int:
        """Number of values of this type that the bytes hold."""
        return len(self.data) // _SIZES[self.kind]


@dataclass(frozen=True)
class Directory:
    """One IFD.

    Attributes:
        order: The byte order of the whole file, as `struct` writes it.
        big: Whether the file is a BigTIFF.
        fields: By tag.
        following: Offset of the next directory, 0 after the last.
        following_at: Where that offset is stored.
    """

    order: Order
    big: bool
    fields: Mapping[int, Field]
    following: int
    following_at: int

    def integers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The whole numbers under a tag; the default if it is absent or holds something else."""
        field = self.fields.get(tag)
        if field is None or field.kind not in _INTEGERS:
            return default
        return struct.unpack(f"{self.order}{field.count}{_INTEGERS[field.kind]}", field.data)

    def integer(self, tag: int, default: int) -> int:
        """The first whole number under a tag."""
        return next(iter(self.integers(tag)), default)

    def ratio(self, tag: int) -> float:
        """The first fraction under a tag; 0 if it is absent or has no value."""
        field = self.fields.get(tag)
        if field is None or field.kind != RATIONAL or not field.data:
            return 0.0
        above, below = struct.unpack(self.order + "II", field.data[:8])
        return above / below if below else 0.0

    def raw(self, tag: int) -> bytes | None:
        """The bytes under a tag, if it is there."""
        field = self.fields.get(tag)
        return field.data if field else None


def first_directory(stream: Readable, *, lenient: bool) -> Directory:
    """The first directory of a TIFF file or of an EXIF block; see `directory_at`.

    Raises:
        FormatError: The header or the directory is damaged.
    """
    order, big, offset = _header(stream)
    return directory_at(stream, offset, order, big=big, lenient=lenient)


def directories(stream: Readable) -> Generator[Directory]:
    """The directories of a TIFF file, one a page.

    Raises:
        FormatError: One is damaged, they go round in a circle, or there are too many.
    """
    order, big, offset = _header(stream)
    seen: set[int] = set()
    while offset or not seen:
        if offset in seen or len(seen) == _MAX_PAGES:
            raise FormatError(
                f"its page {len(seen) + 1} is its page at offset {offset} again"
                if offset in seen
                else f"it has more than {_MAX_PAGES} pages; split it"
            )
        seen.add(offset)
        found = directory_at(stream, offset, order, big=big, lenient=False)
        yield found
        offset = found.following


def page_directory(stream: Readable, page: int) -> Directory:
    """The directory of a page by its number from 0; those before it are passed over unread.

    Raises:
        FormatError: There is none, or it is damaged.
    """
    order, big, offset = _header(stream)
    counter, entry, pointer = ("Q", 20, "Q") if big else ("H", 12, "I")
    for number in range(page):
        (total,) = _unpack(stream, offset, order + counter)
        following_at = offset + struct.calcsize(order + counter) + total * entry
        (offset,) = _unpack(stream, following_at, order + pointer)
        if not offset:
            raise FormatError(f"it has no page {page + 1}, only {number + 1}")
    return directory_at(stream, offset, order, big=big, lenient=False)


def _header(stream: Readable) -> tuple[Order, bool, int]:
    """Byte order, whether it is a BigTIFF, and where the first directory is."""
    stream.seek(0)
    head = stream.read(16)
    if head[:4] not in MAGICS:
        raise FormatError(f"its TIFF header begins with {head[:4]!r}")
    order: Order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    try:
        (offset,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
    except struct.error:
        raise FormatError("its TIFF header is cut short") from None
    return order, big, offset


def directory_at(
    stream: Readable, offset: int, order: Order, *, big: bool = False, lenient: bool = True
) -> Directory:
    """The directory at an offset.

    Args:
        stream: The whole file or block.
        offset: Where the directory begins.
        order: Byte order of the file.
        big: Whether it is a BigTIFF.
        lenient: Leave out a field that points outside the file, instead of refusing it.

    Raises:
        FormatError: The directory reaches beyond the file, or its fields hold more than the file.
    """
    end = stream.seek(0, os.SEEK_END)
    counter, entry, pointer = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    (total,) = _unpack(stream, offset, order + counter)
    entries_at = offset + struct.calcsize(order + counter)
    size = struct.calcsize(order + entry)
    following_at = entries_at + total * size
    if following_at > end:
        raise FormatError(
            f"its directory of {total} fields at {offset} points beyond the end of the file ({end})"
        )
    fields: dict[int, Field] = {}
    budget = end
    for at in range(entries_at, following_at, size):
        tag, kind, count, inline = _unpack(stream, at, order + entry)
        length = count * _SIZES.get(kind, 0)
        data: bytes = inline[:length]
        if length > len(inline):
            budget -= length
            if budget < 0:
                raise FormatError(f"its directory at {offset} holds more than the file ({end})")
            stream.seek(struct.unpack(order + pointer, inline)[0])
            data = stream.read(length)
            if len(data) < length and not lenient:
                raise FormatError(
                    f"it is cut short: its field {tag} points beyond the end of the file ({end})"
                )
        if length and len(data) == length:
            fields.setdefault(tag, Field(kind, data, at))
    (following,) = _unpack(stream, following_at, order + pointer)
    return Directory(order, big, fields, following, following_at)


def subdirectory(stream: Readable, parent: Directory, tag: int) -> Directory | None:
    """The directory that a field points to, if it is there and whole."""
    offset = parent.integer(tag, 0)
    if not offset:
        return None
    try:
        return directory_at(stream, offset, parent.order, big=parent.big)
    except FormatError:
        return None


def pack_integers(kind: int, order: Order, *values: int) -> Field:
    """A field of whole numbers of type BYTE, SHORT, LONG or LONG8."""
    return Field(kind, struct.pack(f"{order}{len(values)}{_INTEGERS[kind]}", *values))


def pack_directory(
    fields: Mapping[int, Field], order: Order, offset: int, *, big: bool = False
) -> bytes:
    """A directory, classic or of a BigTIFF, that will stand at an even offset, its data after it.

    No other follows it, so far: the offset of the next one, at `pointer_at`, is zero.
    """
    counter, entry, pointer = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    room = struct.calcsize(order + pointer)
    data_at = offset + pointer_at(len(fields), big=big) + room
    entries, data = struct.pack(order + counter, len(fields)), bytearray()
    for tag, field in sorted(fields.items()):
        inline = field.data.ljust(room, b"\0")
        if len(field.data) > room:
            inline = struct.pack(order + pointer, data_at + len(data))
            data += field.data + bytes(len(field.data) % 2)
        entries += struct.pack(order + entry, tag, field.kind, field.count, inline)
    return entries + bytes(room) + data


def pointer_at(fields: int, *, big: bool) -> int:
    """Offset of the next directory's offset within a directory of so many fields."""
    return 8 + 20 * fields if big else 2 + 12 * fields


def in_order(field: Field, old: Order, new: Order) -> Field:
    """A field of a file of one byte order for one of another."""
    size = {5: 4, 10: 4}.get(field.kind, _SIZES[field.kind])  # fractions are two numbers
    if old == new or size == 1:
        return field
    turned = np.frombuffer(field.data, f"u{size}").byteswap().tobytes()
    return replace(field, data=turned)


def _unpack(stream: Readable, offset: int, code: str) -> tuple[Any, ...]:
    try:
        stream.seek(offset)
        return struct.unpack(code, stream.read(struct.calcsize(code)))
    except (struct.error, OverflowError, ValueError, OSError):
        raise FormatError(f"nothing at offset {offset}, where a directory should be") from None
