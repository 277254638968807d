"""Colour that a frame and its container state."""

from dataclasses import dataclass
from pathlib import Path

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from srcli.errors import UnreadableVideo
from srcli.media.video.colour import UNSPECIFIED, Colour, is_convertible

__all__ = ["ContainerColour", "stored_colour"]

_FULL = 2  # of AVColorRange


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
    """Colour of a frame's samples: as the frame says, else the container, else as players assume.

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
    if not is_convertible(matrix) and not frame.format.is_rgb:
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
