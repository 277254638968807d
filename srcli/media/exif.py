"""Correct an EXIF block where it stands.

Only the bytes that an upscaled, upright image makes untrue are changed. Everything else keeps its
offset, so that maker notes, which point into the block in ways of their own, stay readable.
"""

import io
import struct
from collections.abc import Mapping
from dataclasses import replace

from srcli.media.format import FormatError, Readable
from srcli.media.ifd import (
    LONG,
    SHORT,
    Directory,
    Field,
    Order,
    directory_at,
    first_directory,
    pack_directory,
    pack_integers,
    subdirectory,
)
from srcli.media.tiff_tags import Tag

__all__ = [
    "DESCRIBED",
    "exif_orientation",
    "extracted_exif",
    "kept_fields",
    "reset_exif_orientation",
    "resized_exif",
    "separated",
    "without_gps",
]

_INTEROPERABILITY = 40965
_EXIF_WIDTH, _EXIF_HEIGHT = 40962, 40963
_THUMBNAIL, _THUMBNAIL_LENGTH = 513, 514
_MAKER_NOTE = 37500

# NewSubfileType, DocumentName, ImageDescription, Make, Model, PageName, PageNumber, Software,
# DateTime, Artist, HostComputer, Rating, RatingPercent, Copyright, IPTC, the Windows XP texts,
# PrintIM: nothing about the pixels.
_DESCRIPTIVE = (
    *(254, 269, 270, 271, 272, 285, 297, 305, 306, 315, 316),
    *(18246, 18249, 33432, 33723, 40091, 40092, 40093, 40094, 40095, 50341),
)
DESCRIBED = frozenset((*_DESCRIPTIVE, Tag.EXIF, Tag.GPS))
"""The tags of a TIFF file that `extracted_exif` takes over."""
_HARMLESS = (Tag.ORIENTATION, Tag.X_RESOLUTION, Tag.Y_RESOLUTION, Tag.RESOLUTION_UNIT)


def exif_orientation(block: bytes | None) -> int | None:
    """The orientation an EXIF block states, 1 to 8; None without a block or a valid statement."""
    if block is None:
        return None
    try:
        value = first_directory(io.BytesIO(block), lenient=True).integer(Tag.ORIENTATION, 0)
    except FormatError:
        return None
    return value if 1 <= value <= 8 else None


def reset_exif_orientation(block: bytes) -> bytes | None:
    """The block with orientation 1 and without its thumbnail; None if it is damaged."""
    stream = io.BytesIO(block)
    try:
        main = first_directory(stream, lenient=True)
    except FormatError:
        return None
    if main.big:  # no EXIF is, and a classic TIFF could not begin with it
        return None
    result = bytearray(block)
    _set(result, main, Tag.ORIENTATION, SHORT, 1)
    if main.following:
        struct.pack_into(main.order + "I", result, main.following_at, 0)
        _erase_thumbnail(result, stream, main)
    return bytes(result)


def resized_exif(block: bytes, width: int, height: int) -> bytes:
    """The block with the pixel dimensions it states set to these."""
    stream = io.BytesIO(block)
    main = first_directory(stream, lenient=True)
    result = bytearray(block)
    _set(result, main, Tag.IMAGE_WIDTH, LONG, width)
    _set(result, main, Tag.IMAGE_LENGTH, LONG, height)
    details = subdirectory(stream, main, Tag.EXIF)
    if details is not None:
        _set(result, details, _EXIF_WIDTH, LONG, width)
        _set(result, details, _EXIF_HEIGHT, LONG, height)
    return bytes(result)


def without_gps(block: bytes) -> bytes | None:
    """A new block that says nothing of where the image was taken; None if it is damaged.

    The GPS directory goes, and so do what may hold places in ways of its own: maker notes, IPTC,
    fields that are not known to be harmless, and bytes to which nothing points.
    """
    stream = io.BytesIO(block)
    try:
        main = first_directory(stream, lenient=True)
    except FormatError:
        return None
    fields, parts = separated(stream, main)
    fields |= {tag: main.fields[tag] for tag in _HARMLESS if tag in main.fields}
    fields.pop(Tag.IPTC, None)
    parts.pop(Tag.GPS, None)
    if details := parts.get(Tag.EXIF):
        parts[Tag.EXIF] = {tag: f for tag, f in details.items() if tag != _MAKER_NOTE}
    return _packed(fields, parts, main.order)


def kept_fields(block: bytes) -> Directory:
    """The fields of a block that a TIFF directory in the same file may take over as they are."""
    main = first_directory(io.BytesIO(block), lenient=True)
    kept = {
        tag: main.fields[tag] for tag in (*_DESCRIPTIVE, Tag.EXIF, Tag.GPS) if tag in main.fields
    }
    return replace(main, fields=kept)


def extracted_exif(stream: Readable, main: Directory) -> bytes | None:
    """A new EXIF block from the descriptive fields of a TIFF file; None if it has none.

    EXIF and GPS directories are copied field by field; a maker note that points outside itself
    loses those references, as it does whenever a TIFF is rewritten.
    """
    fields, parts = separated(stream, main)
    if main.integer(Tag.ORIENTATION, 1) != 1:
        fields[Tag.ORIENTATION] = main.fields[Tag.ORIENTATION]
    return _packed(fields, parts, main.order)


def separated(
    stream: Readable, main: Directory
) -> tuple[dict[int, Field], dict[int, Mapping[int, Field]]]:
    """The descriptive fields of a file or block; and those of its directories EXIF and GPS."""
    fields = {tag: main.fields[tag] for tag in _DESCRIPTIVE if tag in main.fields}
    if not main.integer(Tag.NEW_SUBFILE_TYPE, 0):
        fields.pop(Tag.NEW_SUBFILE_TYPE, None)  # 0 says nothing
    parts: dict[int, Mapping[int, Field]] = {}
    for tag in (Tag.EXIF, Tag.GPS):
        part = subdirectory(stream, main, tag)
        if part is not None:
            parts[tag] = {
                t: f for t, f in part.fields.items() if t != _INTEROPERABILITY and f.kind <= 12
            }
    return fields, parts


def _packed(
    fields: Mapping[int, Field], parts: Mapping[int, Mapping[int, Field]], order: Order
) -> bytes | None:
    """A block of these fields and directories; None if there are none."""
    block = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4))
    pointers: dict[int, Field] = {}
    for tag, part in parts.items():
        pointers[tag] = pack_integers(LONG, order, len(block))
        block += pack_directory(part, order, len(block))
    if not fields and not parts:
        return None
    struct.pack_into(order + "I", block, 4, len(block))
    return bytes(block + pack_directory({**fields, **pointers}, order, len(block)))


def _set(block: bytearray, directory: Directory, tag: int, kind: int, value: int) -> None:
    """Give a field that is there a new whole number; types of 4 bytes at most fit in the entry."""
    field: Field | None = directory.fields.get(tag)
    if field is not None:
        inline = pack_integers(kind, directory.order, value).data.ljust(4, b"\0")
        struct.pack_into(directory.order + "HI4s", block, field.at + 2, kind, 1, inline)


def _erase_thumbnail(block: bytearray, stream: Readable, main: Directory) -> None:
    """Cut the thumbnail off the block's end, or blank it where something follows it."""
    try:
        second = directory_at(stream, main.following, main.order)
    except FormatError:
        return
    start = second.integer(_THUMBNAIL, 0)
    end = start + second.integer(_THUMBNAIL_LENGTH, 0)
    if main.following < start < end <= len(block):
        block[start:end] = b"" if end >= len(block) - 1 else bytes(end - start)
