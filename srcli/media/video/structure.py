"""Properties of tracks that PyAV does not expose: crops and BCP 47 languages."""

import io
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer

__all__ = ["Crop", "TrackExtras", "extras_of", "is_fast_start", "write_display_size"]

_MOST_BOXES = 100_000  # of a file; more are no container's
_MOST_BYTES = 1 << 20  # of a value that is read
_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_LANGUAGE = 0x22B59D  # LanguageBCP47
_CROPS = {0x54CC: "left", 0x54BB: "top", 0x54DD: "right", 0x54AA: "bottom"}
_VOID = 0xEC
_MOST_SHOWN = 65535  # px to a side, in two bytes
_HEAD = 1 << 20  # bytes in which a file's description of its tracks is
_GROWTH = 6  # bytes: twice 5 instead of 4
_ONE_BYTE = 126  # the largest size that takes one byte
_INSIDE = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_ENTRY = 78  # bytes of a video sample's description before its own boxes
_HEADER = 8  # bytes of a box before its content

_Readable = io.BufferedReader | io.BytesIO


@dataclass(frozen=True)
class Crop:
    """Pixels that are not shown, on each side of the stored frame."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def __bool__(self) -> bool:
        """True if anything is cut off."""
        return any((self.left, self.top, self.right, self.bottom))

    @property
    def even(self) -> "Crop":
        """As much of it as goes in whole samples of halved chroma."""
        return Crop(*(side // 2 * 2 for side in (self.left, self.top, self.right, self.bottom)))


@dataclass
class TrackExtras:
    """Properties of one track that PyAV does not expose.

    Args:
        language: BCP 47; empty if it says none.
        crop: Of its image.
    """

    language: str = ""
    crop: Crop = Crop()


def extras_of(path: Path, container: InputContainer) -> dict[int, TrackExtras]:
    """The extras of a clip's streams, by their index; nothing of a container that has none."""
    try:
        with path.open("rb") as file:
            if "matroska" in container.format.name:
                return dict(enumerate(_matroska_tracks(file, path.stat().st_size)))
            if "mp4" in container.format.name:
                found = _mp4_tracks(file, path.stat().st_size)
                streams = {s.id: s.index for s in container.streams}
                return {streams[key]: extras for key, extras in found.items() if key in streams}
    except (OSError, ValueError):  # whatever is wrong with it is reported when it is decoded
        pass
    return {}


def is_fast_start(path: Path) -> bool:
    """Tell if an MP4 or QuickTime file holds its index before its media."""
    try:
        with path.open("rb") as file:
            for kind, _, _ in _boxes(file, 0, path.stat().st_size):
                if kind in (b"moov", b"mdat"):
                    return kind == b"moov"
    except (OSError, ValueError):
        pass
    return False


def write_display_size(file: io.BufferedRandom, size: tuple[int, int], aspect: Fraction) -> bool:
    """Put the size at which a video is shown into a Matroska file that FFmpeg has just written.

    PyAV cannot tell the muxer. The unit it has written, unknown, and a gap that it leaves behind
    the video's description give the room, so nothing else moves.

    Args:
        file: Opened to be changed.
        size: (width, height) of the frames, px.
        aspect: Width of a pixel to its height.

    Returns:
        False, and nothing is changed, if the file is not built so.
    """
    ratio = aspect * size[0] / size[1]
    times = math.ceil(size[1] / ratio.denominator)  # so that the ratio is exact
    shown_size = ratio.numerator * times, ratio.denominator * times
    if max(shown_size) > _MOST_SHOWN:
        return False
    file.seek(0)
    head = file.read(_HEAD)
    length = len(head)
    view = io.BytesIO(head)
    segment = next((e for e in _elements(view, 0, length) if e[0] == _SEGMENT), (0, 0, 0))
    tracks = next((e for e in _elements(view, *segment[1:]) if e[0] == _TRACKS), (0, 0, 0))
    track = next((e for e in _elements(view, *tracks[1:]) if e[0] == _TRACK), (0, 0, 0))
    inside = {kind: (begin, end) for kind, begin, end in _elements(view, *track[1:])}
    if _VIDEO not in inside or _VOID not in inside or tracks[2] >= length:
        return False
    (begin, end), (_, gap) = inside[_VIDEO], inside[_VOID]
    video, between = head[begin:end], head[end:gap]
    wide, high = (side.to_bytes(2, "big") for side in shown_size)
    shown = b"\x54\xb0\x82" + wide + b"\x54\xba\x82" + high
    video = video.replace(b"\x54\xb2\x81\x04", shown, 1)
    grown = len(video) - (end - begin)
    rest = between[: between.rindex(bytes([_VOID]))] if bytes([_VOID]) in between else b""
    room = len(between) - len(rest) - grown - 2
    crc = head[tracks[1] : tracks[1] + 6]
    if grown != _GROWTH or room < 0 or len(video) > _ONE_BYTE or crc[:2] != b"\xbf\x84":
        return False
    new = bytes([0x80 | len(video)]) + video + rest + bytes([_VOID, 0x80 | room]) + bytes(room)
    content = head[tracks[1] + 6 : begin - 1] + new + head[gap : tracks[2]]
    file.seek(tracks[1] + 2)
    file.write(zlib.crc32(content).to_bytes(4, "little") + content)
    return True


def _value(file: _Readable, begin: int, end: int) -> bytes:
    file.seek(begin)
    return file.read(min(end - begin, _MOST_BYTES))


def _boxes(file: _Readable, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of MP4 between two places: kind, and where the content begins and ends."""
    for _ in range(_MOST_BOXES):
        if begin + _HEADER > end:
            return
        file.seek(begin)
        head = file.read(2 * _HEADER)
        size, content = int.from_bytes(head[:4], "big"), begin + _HEADER
        if size == 1:
            size, content = int.from_bytes(head[8:16], "big"), content + _HEADER
        stop = min(begin + size, end) if size else end
        if stop < content:
            return
        yield head[4:8], content, stop
        begin = stop


def _mp4_tracks(file: _Readable, size: int) -> dict[int, TrackExtras]:
    tracks: dict[int, TrackExtras] = {}
    for kind, begin, end in _boxes(file, 0, size):
        if kind == b"moov":
            for inner, start, stop in _boxes(file, begin, end):
                if inner == b"trak":
                    extras = TrackExtras()
                    number = _read_track(file, start, stop, extras)
                    tracks[number] = extras
    return tracks


def _read_track(file: _Readable, begin: int, end: int, extras: TrackExtras) -> int:
    """The number of a track, while `extras` takes what else it says."""
    number = 0
    for kind, start, stop in _boxes(file, begin, end):
        if kind == b"tkhd":
            head = _value(file, start, stop)
            number = int.from_bytes(head[20:24] if head[0] else head[12:16], "big")
        elif kind == b"elng":
            extras.language = _value(file, start + 4, stop).rstrip(b"\0").decode("ascii", "replace")
        elif kind == b"stsd":
            for _, entry, after in _boxes(file, start + _HEADER, stop):
                head = _value(file, entry, entry + _ENTRY)
                size = (int.from_bytes(head[24:26], "big"), int.from_bytes(head[26:28], "big"))
                for name, clap, last in _boxes(file, entry + _ENTRY, after):
                    if name == b"clap":
                        extras.crop = _clean_aperture(_value(file, clap, last), size)
        elif kind in _INSIDE:
            number = _read_track(file, start, stop, extras) or number
    return number


def _clean_aperture(data: bytes, size: tuple[int, int]) -> Crop:
    """The crop that a `clap` box asks for: sizes and offsets of the centre, as fractions."""
    numbers = [int.from_bytes(data[n : n + 4], "big", signed=True) for n in range(0, 32, 4)]
    if len(data) < 32 or 0 in numbers[1::2]:
        return Crop()
    width, height, across, down = (a / b for a, b in zip(numbers[::2], numbers[1::2], strict=True))
    left = round((size[0] - width) / 2 + across)
    top = round((size[1] - height) / 2 + down)
    right, bottom = size[0] - left - round(width), size[1] - top - round(height)
    sound = min(left, top, right, bottom) >= 0 and width >= 1 and height >= 1
    return Crop(left, top, right, bottom) if sound else Crop()


def _elements(file: _Readable, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The elements of Matroska between two places: id, and where the content begins and ends."""
    for _ in range(_MOST_BOXES):
        file.seek(begin)
        head = file.read(12)
        length = next((n for n in range(1, 5) if head[:1] and head[0] & 1 << (8 - n)), 0)
        if begin >= end or not length or len(head) <= length:
            return
        lead = head[length]
        more = next((n for n in range(1, 9) if lead & 1 << (8 - n)), 0)
        if not more:
            return
        size = int.from_bytes(head[length : length + more], "big") & ((1 << 7 * more) - 1)
        content = begin + length + more
        unknown = size == (1 << 7 * more) - 1
        stop = end if unknown else min(content + size, end)
        yield int.from_bytes(head[:length], "big"), content, stop
        begin = stop


def _matroska_tracks(file: _Readable, size: int) -> Iterator[TrackExtras]:
    for kind, begin, end in _elements(file, 0, size):
        for inner, start, stop in _elements(file, begin, end) if kind == _SEGMENT else ():
            if inner == _TRACKS:
                for track, first, last in _elements(file, start, stop):
                    if track == _TRACK:
                        yield _matroska_track(file, first, last)
                return


def _matroska_track(file: _Readable, begin: int, end: int) -> TrackExtras:
    extras = TrackExtras()
    for kind, start, stop in _elements(file, begin, end):
        if kind == _LANGUAGE:
            extras.language = _value(file, start, stop).rstrip(b"\0").decode("ascii", "replace")
        elif kind == _VIDEO:
            sides = {
                _CROPS[side]: int.from_bytes(_value(file, first, last), "big")
                for side, first, last in _elements(file, start, stop)
                if side in _CROPS
            }
            extras.crop = Crop(**sides)
    return extras
