"""The file names that stand for clips."""

import os
from pathlib import Path

__all__ = ["WRITABLE", "clip_suffix", "is_clip_name", "is_sequence", "is_written"]

WRITABLE = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}
"""FFmpeg's muxer for each suffix that srcli writes."""

_READABLE = (
    *WRITABLE,
    *(".avi", ".flv", ".m2ts", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogv", ".ts", ".wmv"),
    *(".3gp", ".asf", ".vob", ".y4m", ".gif"),
)


def is_clip_name(path: Path) -> bool:
    """Tell if the suffix is one of a clip or an animation that srcli reads.

    >>> is_clip_name(Path("holiday.MOV")), is_clip_name(Path("holiday.jpg"))
    (True, False)
    """
    return path.suffix.lower() in _READABLE


def clip_suffix(path: Path) -> str:
    """The suffix of a clip's result: its own where srcli writes that, else .mkv.

    >>> clip_suffix(Path("a.mov")), clip_suffix(Path("a.avi"))
    ('.mov', '.mkv')
    """
    return path.suffix if is_written(path) else ".mkv"


def is_written(path: Path) -> bool:
    """Tell if the suffix is one of a clip or a GIF that srcli writes.

    >>> is_written(Path("a.MOV")), is_written(Path("a.gif")), is_written(Path("a.avi"))
    (True, True, False)
    """
    return path.suffix.lower() in (*WRITABLE, ".gif")


def is_sequence(path: Path) -> bool:
    """Tell if a name stands for numbered images, as frames/%06d.png does.

    What is there under that very name is no pattern: `my%20dog.jpg` is a photograph.

    >>> is_sequence(Path("frames/%06d.png")), is_sequence(Path("100%.png"))
    (True, False)
    """
    _, percent, tail = path.name.partition("%")
    digits, d, _ = tail.partition("d")
    numbered = bool(percent and d) and (not digits or digits.isdecimal())
    return numbered and not os.path.lexists(path)
