"""Side data of frames: the rotation, and kinds that no result keeps."""

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideData as SideDataOfFrame

__all__ = ["SideData", "left_out_note", "side_data_of", "turn_of"]

# FFmpeg's numbers beyond those that PyAV 18 has names for; with one of them it shows none at all
_NEWER = {28: "LCEVC", 29: "VIEW_ID", 30: "3D_REFERENCE_DISPLAYS", 31: "EXIF"}
_UNKNOWN = range(28, 48)
_HDR = "data for HDR displays"
_WORDS = {
    "A53_CC": "closed captions",
    "AFD": "active format description",
    "STEREO3D": "stereo marks",
    "VIEW_ID": "further views of stereo",
    "SPHERICAL": "spherical marks",
    "MASTERING_DISPLAY_METADATA": _HDR,
    "CONTENT_LIGHT_LEVEL": _HDR,
    "DYNAMIC_HDR_PLUS": _HDR,
    "DYNAMIC_HDR_VIVID": _HDR,
    "AMBIENT_VIEWING_ENVIRONMENT": _HDR,
    "ICC_PROFILE": "ICC profile",
    "EXIF": "EXIF",
    "LCEVC": "enhancement by LCEVC",
    "S12M_TIMECODE": "timecode of each frame",
}
_SLIGHT = 0.01  # of a matrix's largest number: what rounding leaves of 0

# A point (x, y) is shown at (a x + c y, b x + d y), y pointing down.
_MATRICES = {
    (1, 0, 0, 1): (0, False),
    (0, 1, -1, 0): (3, False),
    (-1, 0, 0, -1): (2, False),
    (0, -1, 1, 0): (1, False),
    (-1, 0, 0, 1): (0, True),
    (1, 0, 0, -1): (2, True),
    (0, 1, 1, 0): (3, True),
    (0, -1, -1, 0): (1, True),
}


def side_data_of(frame: av.VideoFrame) -> Mapping[str, bytes]:
    """A frame's side data, by FFmpeg's names without AV_FRAME_DATA.

    A kind that PyAV does not know, as the EXIF of Motion JPEG, hides all others from it: those are
    read from the same frame without it, and the kind that is hidden is empty here.
    """
    try:
        return _known(frame)
    except ValueError:
        found = dict(_known(_without(frame, _UNKNOWN)))
    for number, name in _NEWER.items():
        try:
            _known(_without(frame, [n for n in _UNKNOWN if n != number]))
        except ValueError:
            found[name] = b""
    return found


def _known(frame: av.VideoFrame) -> dict[str, bytes]:
    held = cast("Sequence[SideDataOfFrame]", frame.side_data.keys())  # typed as names, but are not
    return {data.type.name: bytes(data) for data in held}


def _without(frame: av.VideoFrame, kinds: Collection[int]) -> av.VideoFrame:
    """Copy a frame without some kinds of side data."""
    base = frame.time_base or Fraction(1, 1000)
    size = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
    colour = f"colorspace={frame.colorspace}:range={frame.color_range}"
    graph = Graph()
    steps = (
        ("buffer", f"{size}:{colour}:time_base={base.numerator}/{base.denominator}"),
        *(("sidedata", f"mode=delete:type={number}") for number in kinds),
        ("buffersink", None),
    )
    graph.link_nodes(*(graph.add(*step) for step in steps)).configure()
    graph.vpush(frame)
    return graph.vpull()


def turn_of(matrix: bytes | None) -> tuple[int, bool] | None:
    """Quarter turns to the left, then whether to mirror, that a display matrix asks for.

    Returns:
        None for other angles; no turn without a matrix.
    """
    if matrix is None:
        return 0, False
    numbers = np.frombuffer(matrix, "<i4")[[0, 1, 3, 4]].astype(np.int64)
    numbers[np.abs(numbers) < np.abs(numbers).max() * _SLIGHT] = 0
    a, b, c, d = (int(sign) for sign in np.sign(numbers))
    return _MATRICES.get((a, b, c, d))


class SideData:
    """Names what the frames of a clip carry that a result does not."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._hides = False

    def add(self, frame: av.VideoFrame) -> None:
        """Look at a frame; where PyAV hides what there is, at the first such frame alone."""
        try:
            found: Mapping[str, bytes] = _known(frame)
        except ValueError:
            found = {} if self._hides else side_data_of(frame)
            self._hides = True
        self._names.update(dict.fromkeys(_WORDS[name] for name in found if name in _WORDS))
        if turn_of(found.get("DISPLAYMATRIX")) is None:
            self._names["rotation by other than quarter turns"] = None

    def names(self, *, hdr: bool, stereo: bool) -> tuple[str, ...]:
        """In words.

        Args:
            hdr: The clip is HDR: what becomes of that is asked for by its own options.
            stereo: A tag says the same as the stereo marks, and is kept or told itself.
        """
        answered = {*([_HDR] if hdr else []), *([_WORDS["STEREO3D"]] if stereo else [])}
        return tuple(name for name in self._names if name not in answered)


def left_out_note(path: Path, names: Collection[str]) -> list[str]:
    """One line about what is not kept, if there is anything."""
    return [f"{path}: not kept of its frames: {', '.join(names)}"] if names else []
