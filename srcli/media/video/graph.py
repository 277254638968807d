"""Chains of FFmpeg's filters that turn stored samples into RGB and back."""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

from srcli.media.image import Pixels
from srcli.media.video.colour import UNSPECIFIED, Colour

__all__ = ["Conversion", "Samples", "full_scale", "swscale_white"]

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
