"""Name what stands behind a picture's end: videos, second pictures, makers' trailers.

Telephones and photo programs append it to JPEG files, and other things end up behind files of any
format. An upscaled image has none of it; IPTC, which an AFCP trailer holds, is handed on.
"""

import os
import struct
from dataclasses import dataclass

from srcli.media.format import Readable

__all__ = ["Appended", "SecondPicture", "name_appended", "name_behind", "second_pictures"]

_PICTURE = b"\xff\xd8\xff"
_PICTURES = (_PICTURE, b"\x89PNG\r\n", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cJXL ")
_PICTURE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1")
_SAMSUNG, _SAMSUNG_START = b"SEFT", b"SEFH"
_SAMSUNG_VIDEO = 0x0A30
_PHOTO_MECHANIC = b"cbipcbbl"
_AFCP = {b"AXS!": ">", b"AXS*": "<"}
_MPF_ENTRIES = 0xB002
_ENTRY_BYTES = 16
_GAIN_MAP = (b"hdrgm", b"ts:21496", b"HDRGainMap", b"hdrgainmap")
_MOST_ENTRIES = 100
_KINDS = {  # of Multi-Picture Format, CIPA DC-007, the lower 24 bits
    0x010001: "preview",
    0x010002: "preview",
    0x020001: "panorama",
    0x020002: "3D",
    0x020003: "another angle",
}


@dataclass(frozen=True)
class SecondPicture:
    """A further picture by a Multi-Picture index: its kind, its place and length in the file."""

    kind: str
    at: int
    length: int


@dataclass(frozen=True)
class Appended:
    """Data appended to a JPEG: a line for each item, and the IPTC records among them."""

    lines: tuple[str, ...]
    iptc: bytes | None


def second_pictures(index: bytes, base: int) -> list[SecondPicture]:
    """The pictures of a Multi-Picture index but for the first.

    Args:
        index: The segment from its TIFF header on.
        base: Where that header is in the file: offsets count from there.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(index[:4])
    try:
        if order is None:
            return []
        (at,) = struct.unpack_from(order + "I", index, 4)
        (total,) = struct.unpack_from(order + "H", index, at)
        for number in range(min(total, _MOST_ENTRIES)):
            tag, _, size, start = struct.unpack_from(order + "HHII", index, at + 2 + 12 * number)
            if tag == _MPF_ENTRIES:
                entries = index[start : start + size]
                return [
                    picture
                    for place in range(0, len(entries) - _ENTRY_BYTES + 1, _ENTRY_BYTES)
                    if (picture := _picture(order, entries[place:], base))
                ]
    except struct.error:
        return []
    return []


def _picture(order: str, entry: bytes, base: int) -> SecondPicture | None:
    kind, length, offset = struct.unpack_from(order + "III", entry)
    if not offset:  # the first picture
        return None
    return SecondPicture(_KINDS.get(kind & 0xFFFFFF, ""), base + offset, length)


def name_appended(data: bytes, end: int, pictures: list[SecondPicture]) -> Appended:
    """Name everything behind the end of the first picture.

    Args:
        data: The whole file.
        end: Where its first picture ends.
        pictures: Those that its index lists.
    """
    lines: list[str] = []
    iptc: bytes | None = None
    stop = len(data)
    while taken := _last_trailer(data[:stop], end):
        stop, line, found = taken
        lines += [line] if line else []
        iptc = iptc or found
    known: list[tuple[int, int]] = []
    for picture in pictures:
        known.append((picture.at, picture.at + picture.length))
        lines.append(_second(data, picture))
    for start, until in _gaps(known, end, stop):
        lines += _unlisted(data[start:until])
    return Appended(tuple(f"{line} left out" for line in lines), iptc)


def name_behind(stream: Readable, end: int) -> Appended:
    """Name everything behind the end of an image, in a file without an index of further ones."""
    if stream.seek(0, os.SEEK_END) <= end:
        return Appended((), None)
    stream.seek(0)
    return name_appended(stream.read(), end, [])


def _second(data: bytes, picture: SecondPicture) -> str:
    content = data[picture.at : picture.at + picture.length]
    if any(mark in content for mark in _GAIN_MAP):
        return f"HDR gain map, {picture.length} bytes,"
    kind = f" ({picture.kind})" if picture.kind else ""
    return f"a second image{kind}, {picture.length} bytes,"


def _gaps(known: list[tuple[int, int]], start: int, stop: int) -> list[tuple[int, int]]:
    """The stretches between two offsets that no known one covers."""
    gaps: list[tuple[int, int]] = []
    for first, last in sorted(known):
        if first > start:
            gaps.append((start, min(first, stop)))
        start = max(start, last)
    if start < stop:
        gaps.append((start, stop))
    return gaps


def _unlisted(data: bytes) -> list[str]:
    """Names of what no index tells of; zeros are padding, and nothing."""
    if not data.strip(b"\0"):
        return []
    if data.startswith(_PICTURES[1:]):  # whose own bytes may look like the others' beginnings
        return [_part(data)]
    video, picture = data.find(b"ftyp", 4) - 4, data.find(_PICTURE)
    starts = sorted({0, *(at for at in (video, picture) if at >= 0)})
    parts = [data[at:until] for at, until in zip(starts, [*starts[1:], len(data)], strict=True)]
    return [_part(part) for part in parts if part.strip(b"\0")]


def _part(data: bytes) -> str:
    box, webp = data[4:8] == b"ftyp", data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    if box and data[8:12] not in _PICTURE_BRANDS:
        return f"motion video, {len(data)} bytes,"
    bmp = data[:2] == b"BM" and int.from_bytes(data[2:6], "little") == len(data)
    if box or webp or bmp or data.startswith(_PICTURES):
        gain = any(mark in data for mark in _GAIN_MAP)
        return f"{'HDR gain map' if gain else 'a second image'}, {len(data)} bytes,"
    return f"{len(data)} bytes behind its end"


def _last_trailer(data: bytes, end: int) -> tuple[int, str, bytes | None] | None:
    """Where the last trailer begins, its line, its IPTC; None if there is none that is known."""
    stop = len(data.rstrip(b"\0"))
    for find in (_samsung, _photo_mechanic, _afcp):
        for until in dict.fromkeys((len(data), stop)):
            found = find(data[:until], end)
            if found and end <= found[0] < until:
                return found
    return None


def _samsung(data: bytes, end: int) -> tuple[int, str, bytes | None] | None:
    if data[-4:] != _SAMSUNG:
        return None
    directory = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    if directory < end or data[directory : directory + 4] != _SAMSUNG_START:
        return None
    (total,) = struct.unpack_from("<I", data, directory + 8)
    start, video = directory, 0
    for number in range(min(total, _MOST_ENTRIES)):
        at = directory + 12 + 12 * number
        if at + 12 > len(data):
            break
        _, kind, back, length = struct.unpack_from("<HHII", data, at)
        start = min(start, directory - back)
        if kind == _SAMSUNG_VIDEO:  # behind its kind, its name's length and its name
            video = length - 8 - int.from_bytes(data[directory - back + 4 :][:4], "little")
    if start < end:
        start = end
    held = f" with motion video, {video} bytes," if video else ""
    return start, f"Samsung's trailer, {len(data) - start} bytes,{held}", None


def _photo_mechanic(data: bytes, _: int) -> tuple[int, str, bytes | None] | None:
    if not data.endswith(_PHOTO_MECHANIC):
        return None
    length = int.from_bytes(data[-12:-8], "big") + 12
    return len(data) - length, f"Photo Mechanic's trailer (soft edits), {length} bytes,", None


def _afcp(data: bytes, end: int) -> tuple[int, str, bytes | None] | None:
    """The AFCP trailer: IPTC, previews, texts; its offsets count from the file's beginning."""
    order = _AFCP.get(data[-12:-8])
    if order is None:
        return None
    (start,) = struct.unpack_from(order + "I", data, len(data) - 8)
    if start < end or data[start : start + 4] != data[-12:-8]:
        return None
    (total,) = struct.unpack_from(order + "H", data, start + 6)
    iptc, others, first = None, list[str](), start
    for number in range(min(total, _MOST_ENTRIES)):
        entry = data[start + 12 + 12 * number :][:12]
        if len(entry) < 12:
            break
        kind, length, at = struct.unpack(order + "4sII", entry)
        content = data[at : at + length]
        first = min(first, at) if at >= end else first
        if kind == b"IPTC":
            iptc = content
        else:
            others.append(f"{kind.decode('ascii', 'replace').strip()}, {length} bytes")
    line = f"AFCP trailer's {', '.join(others)}," if others else ""
    return first, line, iptc
