"""Chains of FFmpeg's filters that turn stored samples into RGB and back."""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

from srcli.media.picture import Pixels
from srcli.media.video.colour import UNSPECIFIED, Colour

__all__ = ["Conversion", "Samples", "full_scale", "swscale_white"]

# Bicubic chroma, rounded rather than cut off: without these swscale is some values off.
_EXACT = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"

_SWSCALE_WHITE = 255 << 8  # of 16 bits, on the way from limited range and on the way to any
_WHITE = 65535


def full_scale(pixels: Pixels) -> Pixels:
    """Undo that swscale makes 65280 of white when it turns limited range to RGB of 16 bits."""
    return _rescaled(pixels, _WHITE / _SWSCALE_WHITE)


def swscale_white(pixels: Pixels) -> Pixels:
    """Bring white to 65280, which swscale expects of RGB of 16 bits."""
    return _rescaled(pixels, _SWSCALE_WHITE / _WHITE)


def _rescaled(pixels: Pixels, factor: float) -> Pixels:
    scaled = pixels * np.float32(factor) + np.float32(0.5)
    return np.minimum(scaled, np.float32(_WHITE)).astype(np.uint16)


@dataclass(frozen=True)
class Samples:
    """How frames are stored.

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
