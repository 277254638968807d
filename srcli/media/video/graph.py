"""Chains of FFmpeg's filters that turn stored samples into RGB and back."""

from fractions import Fraction

import av
from av.filter import Graph

from srcli.media.video.colour import Colour

__all__ = ["Conversion"]

# Bicubic chroma, rounded rather than cut off: without these swscale is some values off.
_EXACT = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"


class Conversion:
    """Converts frames of one size and format.

    Args:
        width: Of the frames, in pixels.
        height: Of the frames, in pixels.
        source: FFmpeg's name of their format.
        colour: What their samples mean.
        time_base: Of their times.
        target: FFmpeg's name of the format they become.
        becomes: What their samples then mean.
        before: Filters to go through first.
        scaling: More options of the filter that converts.
    """

    def __init__(
        self,
        width: int,
        height: int,
        source: str,
        colour: Colour,
        time_base: Fraction,
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
                f"video_size={width}x{height}:pix_fmt={source}:pixel_aspect=1/1"
                f":time_base={time_base.numerator}/{time_base.denominator}"
                f":colorspace={colour.matrix_name}:range={colour.range_name}",
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
        self._colour = colour

    def __call__(self, frame: av.VideoFrame | None) -> list[av.VideoFrame]:
        """Put a frame in, or the end (None); take out what is ready."""
        if frame is not None:
            frame.colorspace = self._colour.matrix
            frame.color_range = self._colour.range_code
        self._graph.vpush(frame)
        ready: list[av.VideoFrame] = []
        while True:
            try:
                ready.append(self._graph.vpull())
            except (BlockingIOError, EOFError):
                return ready
