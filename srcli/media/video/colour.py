"""Meaning of the numbers in a frame, and their conversion to RGB and back.

The code points are those of ITU-T H.273, which FFmpeg uses for its enumerations.
"""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

from srcli.media.image import Pixels

__all__ = [
    "HLG",
    "PQ",
    "RGB",
    "SDR",
    "UNSPECIFIED",
    "Colour",
    "Conversion",
    "Samples",
    "full_scale",
    "is_convertible",
    "swscale_white",
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


def is_convertible(matrix: int) -> bool:
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


# Bicubic chroma, rounded rather than cut off: without these swscale is some values off.
_EXACT = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"

_SWSCALE_WHITE = 255 << 8  # of 16 bits, on the way from limited range and on the way to any
_WHITE = 65535


def full_scale(pixels: Pixels, name: str, colour: Colour) -> Pixels:
    """Undo what swscale makes of white and of opaque on the way to RGB of 16 bits.

    Args:
        pixels: What it made, (h, w, 3 or 4) uint16.
        name: FFmpeg's name of the format that they were stored in.
        colour: What the samples meant.
    """
    white = _WHITE if colour.full else _SWSCALE_WHITE
    return _rescaled(pixels, _WHITE / white, _WHITE / _opaque(name, colour))


def swscale_white(pixels: Pixels, name: str, colour: Colour) -> Pixels:
    """Bring white and opaque to what swscale expects of them in RGB of 16 bits; see `full_scale`.

    It would round alpha up where it has to be cut off.
    """
    white = _WHITE if colour.is_rgb else _SWSCALE_WHITE
    return _rescaled(pixels, white / _WHITE, _opaque(name, colour) / _WHITE)


def _opaque(name: str, colour: Colour) -> int:
    """The highest alpha that a format holds, moved up to 16 bits; beside RGB that is made white."""
    bits = [c.bits for c in av.VideoFormat(name).components if c.is_alpha]
    return _WHITE if colour.is_rgb or not bits else _WHITE >> (16 - bits[0]) << (16 - bits[0])


def _rescaled(pixels: Pixels, colours: float, alpha: float) -> Pixels:
    factors = np.array([colours] * 3 + [alpha], np.float32)[: pixels.shape[2]]
    if (factors == 1).all():
        return pixels
    scaled = pixels * factors + np.float32(0.5)
    return np.minimum(scaled, np.float32(_WHITE)).astype(np.uint16)


@dataclass(frozen=True)
class Samples:
    """Storage of frames: sample format, range, matrix.

    Args:
        width: In pixels.
        height: In pixels.
        name: FFmpeg's name of the format.
        colour: What the samples mean.
        time_base: Of the frames' times.
    """

    width: int
    height: int
    name: str
    colour: Colour
    time_base: Fraction


class Conversion:
    """Converts frames of one size and format.

    Args:
        stored: What they are.
        target: FFmpeg's name of the format they become.
        becomes: What their samples then mean.
        before: Filters to go through first.
        scaling: More options of the filter that converts.
    """

    def __init__(
        self,
        stored: Samples,
        *,
        target: str,
        becomes: Colour,
        before: tuple[tuple[str, str], ...] = (),
        scaling: str = "",
    ) -> None:
        self._graph = Graph()
        matrix = "" if becomes.is_rgb else f"out_color_matrix={becomes.scaled_by}:"
        steps = (
            (
                "buffer",
                f"video_size={stored.width}x{stored.height}:pix_fmt={stored.name}:pixel_aspect=1/1"
                f":time_base={stored.time_base.numerator}/{stored.time_base.denominator}"
                f":colorspace={stored.colour.matrix_name}:range={stored.colour.range_name}",
            ),
            *before,
            (
                "scale",
                f"{matrix}out_range={becomes.range_name}:{_EXACT}{scaling}",
            ),
            ("format", target),
            ("buffersink", None),
        )
        self._graph.link_nodes(*(self._graph.add(*step) for step in steps)).configure()
        self._colour = stored.colour
        self._transfers = bool(scaling)  # otherwise swscale would refuse those that it lacks

    def __call__(self, frame: av.VideoFrame | None) -> list[av.VideoFrame]:
        """Put a frame in, or the end (None); take out what is ready."""
        if frame is not None:
            frame.colorspace = self._colour.matrix
            frame.color_range = self._colour.range_code
            frame.color_primaries = self._colour.primaries if self._transfers else UNSPECIFIED
            frame.color_trc = self._colour.transfer if self._transfers else UNSPECIFIED
        self._graph.vpush(frame)
        ready: list[av.VideoFrame] = []
        while True:
            try:
                ready.append(self._graph.vpull())
            except (BlockingIOError, EOFError):
                return ready
