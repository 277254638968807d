"""Boxes of HEIF and AVIF files (ISO/IEC 14496-12, 23008-12) that their libraries do not report.

Libraries hand EXIF over changed, and are silent about depth, colour numbers, and what lies beside
the main image.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from srcli.media.format import Readable
from srcli.media.top_boxes import name_beside, top_boxes

__all__ = ["HeifFile", "Item", "Nclx", "read_heif"]

_HIGH, _TWELVE = 0x40, 0x20  # its third byte: more than 8 bits; and then 12
_AUXILIARY = re.compile(rb"auxC\0\0\0\0([ -~]+)\0")
_MOST_META = 1 << 24  # bytes
_OF_THE_FORMAT = (b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"wide", b"mini", b"idat")
_NAMES = (  # of auxiliary images, by a part of their type; alpha is read with the image
    ("hdrgainmap", "HDR gain map"),
    ("21496", "HDR gain map"),
    ("depth", "depth map"),
    ("auxid:2", "depth map"),
    ("disparity", "depth map"),
    ("matte", "matte"),
)
_ALPHA = ("alpha", "auxid:1")


@dataclass(frozen=True)
class Nclx:
    """H.273 numbers of an image's colours, and whether its samples use all values."""

    primaries: int
    transfer: int
    matrix: int
    full: bool


@dataclass(frozen=True)
class Item:
    """A coded image of a file.

    Attributes:
        kind: What coded it: `av01`, `hvc1`; `grid` if it is put together of others.
        properties: The first content of each kind of its properties, and of `colr` by their kind.
        extents: Offset and length of its parts; None where they stand in a box of their own.
        premultiplied: Its colours were multiplied by its alpha.
    """

    kind: bytes
    properties: Mapping[bytes, bytes]
    extents: tuple[tuple[int, int], ...] | None
    premultiplied: bool = False

    @property
    def nclx(self) -> Nclx | None:
        """Colour numbers of H.273 that the container states; None without them."""
        data = self.properties.get(b"nclx")
        if data is None or len(data) < 7:
            return None
        primaries, transfer, matrix, flags = struct.unpack_from(">HHHB", data)
        return Nclx(primaries, transfer, matrix, full=bool(flags & 0x80))

    @property
    def bits(self) -> int:
        """Bits a sample of AV1; 8 of other codecs."""
        settings = self.properties.get(b"av1C", b"")
        flags = settings[2] if len(settings) > 2 else 0
        return 8 if not flags & _HIGH else 12 if flags & _TWELVE else 10

    def clap(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The part of the stored image that is meant: left, top, right, bottom in pixels."""
        data = self.properties.get(b"clap", b"")
        whole = (0, 0, width, height)
        if len(data) < 32:
            return whole
        numbers = struct.unpack(">IIIIiIiI", data[:32])
        if not all(numbers[1::2]):
            return whole
        w, h, x, y = (numbers[at] / numbers[at + 1] for at in (0, 2, 4, 6))
        left, top = round((width - w) / 2 + x), round((height - h) / 2 + y)
        right, bottom = left + round(w), top + round(h)
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            return whole
        return left, top, right, bottom


@dataclass(frozen=True)
class HeifFile:
    """Facts of a HEIF or AVIF file that its library keeps back.

    Attributes:
        exif: The EXIF block as it stands in the file, from its TIFF header on; None without one.
        main: The main image; None if there is none, as in a damaged file.
        alpha: Its alpha, which is an image, too.
        beside: What lies beside the main image and is not read, a line each.
    """

    exif: bytes | None = None
    main: Item | None = None
    alpha: Item | None = None
    beside: tuple[str, ...] = ()


def read_heif(stream: Readable) -> HeifFile:
    """Read the facts; of a file whose boxes are damaged some are missing, for decoders to judge."""
    meta, boxes = b"", list(top_boxes(stream))
    for kind, at, length in boxes:
        if kind == b"meta" and length <= _MOST_META:
            stream.seek(at)
            meta = stream.read(length)
    try:
        exif = _exif(stream, meta)
    except (struct.error, IndexError):
        exif = None
    try:
        main, alpha = _images(meta)
    except (struct.error, IndexError):
        main, alpha = None, None
    inside = (f"{name} left out" for name in _auxiliary_images(meta))
    return HeifFile(exif, main, alpha, (*name_beside(stream, boxes, _OF_THE_FORMAT), *inside))


def _images(meta: bytes) -> tuple[Item | None, Item | None]:
    """The main image and its alpha."""
    inside = dict(_boxes(meta[4:]))
    kinds, properties = dict(_items(meta)), _properties(inside.get(b"iprp", b""))
    places = {
        number: tuple(extents) if construction == 0 else None
        for number, construction, extents in _locations(inside.get(b"iloc", b""))
    }
    links = list(_references(inside.get(b"iref", b"")))
    pitm = inside.get(b"pitm", b"")
    (number,) = struct.unpack_from(">I" if pitm[:1] == b"\1" else ">H", pitm, 4)
    if number not in kinds:
        return None, None
    premultiplied = any(kind == b"prem" and source == number for kind, source, _ in links)
    main = Item(kinds[number], properties.get(number, {}), places.get(number), premultiplied)
    for kind, source, target in links:
        found = properties.get(source, {})
        purpose = found.get(b"auxC", b"").decode("latin1")
        if kind == b"auxl" and target == number and any(part in purpose for part in _ALPHA):
            return main, Item(kinds.get(source, b""), found, places.get(source))
    return main, None


def _properties(iprp: bytes) -> dict[int, dict[bytes, bytes]]:
    """Properties of each item, by their kind."""
    inside = dict(_boxes(iprp))
    every: list[tuple[bytes, bytes]] = list(_boxes(inside.get(b"ipco", b"")))
    ipma = inside.get(b"ipma", b"")
    result: dict[int, dict[bytes, bytes]] = {}
    if len(ipma) < 8:
        return result
    wide_item, wide_index = ipma[0] > 0, bool(ipma[3] & 1)
    at = 8
    for _ in range(int.from_bytes(ipma[4:8], "big")):
        item, count = struct.unpack_from(">IB" if wide_item else ">HB", ipma, at)
        at += 5 if wide_item else 3
        found: dict[bytes, bytes] = result.setdefault(item, {})
        for _ in range(count):
            size = 2 if wide_index else 1
            index = int.from_bytes(ipma[at : at + size], "big") & (0x7FFF if wide_index else 0x7F)
            at += size
            if 0 < index <= len(every):
                kind, data = every[index - 1]
                if kind == b"colr":
                    kind, data = data[:4], data[4:]
                found.setdefault(kind, data)
    return result


def _references(iref: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, source and target of each reference between items."""
    wide = iref[:1] == b"\1"
    size = 4 if wide else 2
    for kind, data in _boxes(iref[4:]):
        source = int.from_bytes(data[:size], "big")
        for at in range(size + 2, len(data) - size + 1, size):
            yield kind, source, int.from_bytes(data[at : at + size], "big")


def _auxiliary_images(meta: bytes) -> list[str]:
    """Kinds of auxiliary images, but for alpha."""
    kinds = [kind.decode("ascii") for kind in _AUXILIARY.findall(meta)]
    names = [
        next((name for part, name in _NAMES if part in kind), f"auxiliary image ({kind})")
        for kind in kinds
        if not any(part in kind for part in _ALPHA)
    ]
    if any(kind == b"tmap" for kind in _item_kinds(meta)):
        names.append("HDR gain map")
    return list(dict.fromkeys(names))


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the boxes that stand in a box."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if length < 8 or at + length > len(data):
            return
        yield kind, data[at + 8 : at + length]
        at += length


def _items(meta: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and kind of each item of a meta box."""
    info = dict(_boxes(meta[4:])).get(b"iinf", b"")
    for kind, entry in _boxes(info[8 if info[:1] != b"\0" else 6 :]):
        if kind == b"infe" and len(entry) >= 12:
            wide = entry[0] >= 3
            (number,) = struct.unpack_from(">I" if wide else ">H", entry, 4)
            yield number, entry[10:14] if wide else entry[8:12]


def _item_kinds(meta: bytes) -> list[bytes]:
    return [kind for _, kind in _items(meta)]


def _exif(stream: Readable, meta: bytes) -> bytes | None:
    """The EXIF item, less the offset and the prefix before its TIFF header."""
    wanted = {number for number, kind in _items(meta) if kind == b"Exif"}
    inside = dict(_boxes(meta[4:]))
    for number, construction, extents in _locations(inside.get(b"iloc", b"")):
        if number not in wanted or construction > 1:
            continue
        if construction:
            data = b"".join(inside.get(b"idat", b"")[at : at + n] for at, n in extents)
        else:
            data = b"".join(_read(stream, at, length) for at, length in extents)
        if len(data) > 4:
            start = 4 + int.from_bytes(data[:4], "big")
            return data[start:].removeprefix(b"Exif\0\0") or None
    return None


def _read(stream: Readable, at: int, length: int) -> bytes:
    stream.seek(at)
    return stream.read(length) if length <= _MOST_META else b""


def _locations(iloc: bytes) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Number, construction method and extents (offset, length) of every item."""
    if len(iloc) < 8:
        return
    version, sizes = iloc[0], (iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4, iloc[5] & 15)
    offset_size, length_size, base_size, index_size = sizes
    if version == 0:
        index_size = 0
    at = 6

    def number(size: int) -> int:
        nonlocal at
        at += size
        if at > len(iloc):
            raise IndexError(at)
        return int.from_bytes(iloc[at - size : at], "big")

    wide = 4 if version > 1 else 2
    for _ in range(number(wide)):
        item = number(wide)
        construction = number(2) & 15 if version else 0
        number(2)  # which file: always this one
        base = number(base_size)
        extents: list[tuple[int, int]] = []
        for _ in range(number(2)):
            number(index_size)
            start = number(offset_size)
            extents.append((base + start, number(length_size)))
        yield item, construction, extents
