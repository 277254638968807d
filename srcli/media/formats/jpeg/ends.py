"""Find the end of a JPEG's first image, or make sure that only its marker is missing.

libjpeg invents blocks that are missing, without a word. Whether all are there is seen from what it
decodes: where none is missing, it makes no difference what is put behind the last one.
"""

import re
from dataclasses import dataclass
from io import BytesIO

from PIL import JpegImagePlugin

from srcli.media.format import FormatError

__all__ = ["FirstImage", "whole_image"]

_SCAN, _END, _RESTARTS = 0xDA, 0xD9, 0xDD
_FRAMES = (0xC0, 0xC1, 0xC2)
_END_MARKER = b"\xff\xd9"
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_MARKER_IN_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # neither stuffing nor restart
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_TAILS = (b"\0" * 64, b"\x55" * 64, b"\xaa" * 64, b"\xfe" * 64)
_MOST_ZEROS = 2  # bytes at the end that may belong to the last block
_COEFFICIENTS = range(64)


@dataclass(frozen=True)
class FirstImage:
    """The bytes of the first image, where they end in the file, and whether a marker says so."""

    data: bytes
    end: int
    marked: bool


def whole_image(data: bytes) -> FirstImage:
    """The first image of a file, whole.

    Raises:
        FormatError: The file stops before its last block.
    """
    segments = _segments(data)
    if segments and segments[-1][0] == _END:
        end = segments[-1][2]
        return FirstImage(data[:end], end, marked=True)
    short = FormatError(f"it is cut short: no end of image in {len(data)} bytes")
    kept = data.rstrip(b"\0")
    if not _all_scans(segments, kept):
        raise short
    candidates = [kept.rstrip(b"\xff")]  # zeros are padding, and half a marker may be there
    if kept.endswith(b"\xff"):
        candidates.append(kept + b"\0")  # or a byte of the last block
    if 0 < len(data) - len(kept) <= _MOST_ZEROS:
        candidates.append(data)
    for candidate in candidates:
        pictures = {_decoded(candidate + tail + _END_MARKER) for tail in _TAILS}
        if len(pictures) == 1 and None not in pictures:
            return FirstImage(candidate + _END_MARKER, len(data), marked=False)
    raise short


def _segments(data: bytes) -> list[tuple[int, int, int]]:
    """Marker, offset of its content and that of what follows it, up to the end of the image."""
    found: list[tuple[int, int, int]] = []
    at, in_scan = 2, False
    while match := (_MARKER_IN_SCAN if in_scan else _MARKER).search(data, at):
        marker, at = match[1][0], match.end()
        if marker == _END:
            return [*found, (marker, at, at)]
        following = at + int.from_bytes(data[at : at + 2], "big")
        found.append((marker, at + 2, following))
        at, in_scan = following, marker == _SCAN
    return found


def _decoded(data: bytes) -> bytes | None:
    try:
        return JpegImagePlugin.JpegImageFile(BytesIO(data)).tobytes()
    except (OSError, SyntaxError):
        return None


@dataclass
class _Progress:
    """Components seen so far: their sampling, and coefficients complete to the last bit."""

    sampling: dict[int, tuple[int, int]]
    width: int
    height: int
    finished: dict[int, set[int]]

    def units(self, components: list[int]) -> int:
        """Number of blocks of one component, or of groups of blocks of several."""
        across = max(h for h, _ in self.sampling.values())
        down = max(v for _, v in self.sampling.values())
        if len(components) > 1:
            return _ceil(self.width, 8 * across) * _ceil(self.height, 8 * down)
        h, v = self.sampling[components[0]]
        return _ceil(_ceil(self.width * h, across), 8) * _ceil(_ceil(self.height * v, down), 8)


def _ceil(number: int, by: int) -> int:
    return -(-number // by)


def _all_scans(segments: list[tuple[int, int, int]], data: bytes) -> bool:
    """Tell if every coefficient has its last bit, and the last scan all its restart markers."""
    progress: _Progress | None = None
    interval, restarts_fit = 0, True
    for number, (marker, at, following) in enumerate(segments):
        content = data[at:following]
        if marker in _FRAMES and len(content) >= 6:
            progress = _frame(content)
        elif marker == _RESTARTS:
            interval = int.from_bytes(content[:2], "big")
        elif marker == _SCAN:
            if progress is None or not content or len(content) < 4 + 2 * content[0]:
                return False
            components = [content[1 + 2 * place] for place in range(content[0])]
            if any(component not in progress.sampling for component in components):
                return False
            first, last, bits = content[1 + 2 * content[0] :][:3]
            if not bits & 15:  # its point transform: what it leaves out below
                for component in components:
                    progress.finished[component] |= set(range(first, last + 1))
            stop = segments[number + 1][1] if number + 1 < len(segments) else len(data)
            seen = len(_RESTART.findall(data, following, stop))
            expected = _ceil(progress.units(components), interval) - 1 if interval else seen
            restarts_fit = seen >= expected
    if progress is None or not restarts_fit:
        return False
    return all(found.issuperset(_COEFFICIENTS) for found in progress.finished.values())


def _frame(content: bytes) -> _Progress:
    sampling = {
        content[at]: (content[at + 1] >> 4, content[at + 1] & 15)
        for at in range(6, len(content) - 2, 3)
    }
    return _Progress(
        sampling,
        width=int.from_bytes(content[3:5], "big"),
        height=int.from_bytes(content[1:3], "big"),
        finished={component: set() for component in sampling},
    )
