"""Meaning of the numbers in a frame, and their conversion to RGB and back.

The code points are those of ITU-T H.273, which FFmpeg uses for its enumerations.
"""

from dataclasses import dataclass
from pathlib import Path

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from srcli.errors import UnreadableVideo

__all__ = [
    "HLG",
    "PQ",
    "RGB",
    "SDR",
    "UNSPECIFIED",
    "Colour",
    "ContainerColour",
    "stored_colour",
]

UNSPECIFIED = 2
PQ, HLG = 16, 18
_LIMITED, _FULL = 1, 2  # of AVColorRange
_RGB, _BT709, _SMPTE170M = 0, 1, 6
_HD_WIDTH, _SD_HEIGHT = 1280, 576  # from the one on, and beyond the other, it is HD

_MATRIX_NAMES = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020nc",
}
_OPEN = (UNSPECIFIED, 3)  # 3 is reserved
_SCALE_NAMES = {5: "bt470", 9: "bt2020"}


def _is_convertible(matrix: int) -> bool:
    """Tell if a matrix can be converted or is not stated: not those of ICtCp and the like."""
    return matrix in _MATRIX_NAMES or matrix in _OPEN


@dataclass(frozen=True)
class Colour:
    """Range, primaries, transfer and matrix of a clip.

    Args:
        full: Samples use all values, not only 16 to 235 (of 8 bits).
        primaries: Code point; 2 unspecified.
        transfer: Code point; 2 unspecified.
        matrix: Code point, never unspecified; 0 is RGB.
    """

    full: bool
    primaries: int
    transfer: int
    matrix: int

    @classmethod
    def read(
        cls,
        *,
        color_range: int,
        primaries: int,
        transfer: int,
        matrix: int,
        rgb: bool,
        size: tuple[int, int],
    ) -> "Colour":
        """From what the decoder says; what it leaves open is taken as every player takes it.

        Without a matrix, that is BT.709 where the `size` (width, height) is 1280 px wide or more,
        or higher than 576, and BT.601 elsewhere; without a range, limited, and full for RGB.
        Settled before the size changes, and written into the result.
        """
        if rgb:
            return cls(full=True, primaries=primaries, transfer=transfer, matrix=_RGB)
        if matrix not in _MATRIX_NAMES or matrix == _RGB:
            is_hd = size[0] >= _HD_WIDTH or size[1] > _SD_HEIGHT
            matrix = _BT709 if is_hd else _SMPTE170M
        return cls(color_range == _FULL, primaries, transfer, matrix)

    @property
    def hdr(self) -> str:
        """The name of its HDR transfer; empty if it has none."""
        return {PQ: "PQ", HLG: "HLG"}.get(self.transfer, "")

    @property
    def matrix_name(self) -> str:
        """FFmpeg's name of the matrix."""
        return _MATRIX_NAMES[self.matrix]

    @property
    def is_rgb(self) -> bool:
        """True if samples are red, green and blue."""
        return self.matrix == _RGB

    @property
    def scaled_by(self) -> str:
        """The scale filter's name of the matrix."""
        return _SCALE_NAMES.get(self.matrix, self.matrix_name)

    @property
    def range_name(self) -> str:
        """FFmpeg's name of the range."""
        return "pc" if self.full else "tv"

    @property
    def range_code(self) -> int:
        """FFmpeg's number of the range."""
        return _FULL if self.full else _LIMITED

    def for_yuv(self) -> "Colour":
        """Describe the colours as luma and chroma: RGB becomes BT.709."""
        if not self.is_rgb:
            return self
        return Colour(full=False, primaries=self.primaries, transfer=self.transfer, matrix=_BT709)


RGB = Colour(full=True, primaries=UNSPECIFIED, transfer=UNSPECIFIED, matrix=_RGB)
"""Full range RGB, as the networks take it."""

SDR = Colour(full=False, primaries=_BT709, transfer=_BT709, matrix=_BT709)
"""The colours that tone mapping makes, and that --force-sdr assumes."""


@dataclass(frozen=True)
class ContainerColour:
    """Colour tags of a container; 2 (0 of the range) where it does not say.

    Args:
        color_range: 1 limited, 2 full.
        primaries: Code point.
        transfer: Code point.
        matrix: Code point.
    """

    color_range: int
    primaries: int
    transfer: int
    matrix: int

    @classmethod
    def of(cls, stream: VideoStream) -> "ContainerColour":
        """Read them, before anything is decoded: then they are the decoder's."""
        context = stream.codec_context
        return cls(
            context.color_range, context.color_primaries, context.color_trc, context.colorspace
        )


def stored_colour(path: Path, frame: VideoFrame, tags: ContainerColour) -> Colour:
    """What a frame's samples mean: what the frame says, else the container, else as players do.

    Raises:
        UnreadableVideo: By a matrix that srcli does not convert.
    """
    name = frame.format.name
    own = (frame.color_primaries, frame.color_trc, frame.colorspace)
    # decoders state limited range where a stream has no description of its colour at all
    silent = frame.color_range != _FULL and all(point == UNSPECIFIED for point in own)
    color_range = tags.color_range if silent and tags.color_range else frame.color_range
    primaries, transfer, matrix = (
        stated if point == UNSPECIFIED else point
        for point, stated in zip(own, (tags.primaries, tags.transfer, tags.matrix), strict=True)
    )
    if not _is_convertible(matrix) and not frame.format.is_rgb:
        raise UnreadableVideo(
            f"{path}: its colours are coded by matrix {matrix} of H.273, which srcli "
            "does not convert: bring it to BT.709 or BT.2020 (non-constant luminance) first"
        )
    return Colour.read(
        color_range=_FULL if name.startswith("yuvj") else color_range,
        primaries=primaries,
        transfer=transfer,
        matrix=matrix,
        rgb=frame.format.is_rgb or name == "pal8",
        size=(frame.width, frame.height),
    )
