"""The file names that stand for clips."""

import os
from pathlib import Path

from srcli.url_paths import UrlPath

__all__ = ["WRITABLE", "begins_as_clip", "clip_suffix", "is_clip_name", "is_sequence", "is_written"]

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
    *(".3gp", ".3g2", ".asf", ".vob", ".y4m", ".gif", ".apng", ".divx", ".xvid", ".f4v", ".qt"),
    *(".m1v", ".m2v", ".mpe", ".m2t", ".trp", ".tod", ".dv", ".ogm", ".h264", ".264", ".hevc"),
    *(".265", ".ivf", ".obu"),
)
_IMAGE_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")
_SIGNATURES = (
    *(b"\x1aE\xdf\xa3", b"FLV\x01", b"0&\xb2u\x8ef\xcf\x11", b"\x06\x0e+4\x02\x05\x01\x01"),
    *(b"\0\0\x01\xba", b"\0\0\x01\xb3", b"YUV4MPEG2 ", b"DKIF", b"nut/multimedia"),
)  # Matroska, FLV, ASF, MXF, MPEG-PS, MPEG-2, Y4M, IVF, NUT
_TS_PACKET = 188  # bytes


def is_clip_name(path: Path) -> bool:
    """Tell if the suffix is one of a clip or an animation that srcli reads.

    >>> is_clip_name(Path("holiday.MOV")), is_clip_name(Path("holiday.jpg"))
    (True, False)
    """
    return path.suffix.lower() in _READABLE


def begins_as_clip(path: Path) -> bool:
    """Tell if a file begins as clips do, whatever it is called."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as stream:
            head = stream.read(_TS_PACKET + 1)
    except OSError:
        return False
    if head[4:8] == b"ftyp":
        return head[8:12] not in _IMAGE_BRANDS
    if head[:4] == b"RIFF":
        return head[8:12] == b"AVI "
    return (
        head.startswith(_SIGNATURES)
        or head[4:8] in (b"moov", b"mdat")
        or (head[:1] == b"G" and head[_TS_PACKET:] == b"G")
    )


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
    return numbered and not isinstance(path, UrlPath) and not os.path.lexists(path)
