"""A clip as the rest of srcli sees it: its properties, and its frames one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

from srcli.media.image import Pixels
from srcli.media.video.colour import Colour

__all__ = ["ClipInfo", "Frame", "FrameSource", "SeekableSource"]


@dataclass(frozen=True)
class Frame:
    """One image of a clip.

    Args:
        pts: When it is shown, in the clip's time base.
        duration: For how long; 0 if the file does not say.
        pixels: (h, w, 3 or 4) uint8 or uint16, upright, full range RGB, straight alpha.
    """

    pts: int
    duration: int
    pixels: Pixels


@dataclass(frozen=True)
class ClipInfo:
    """Properties that a clip's frames share.

    Args:
        width: Upright width in pixels.
        height: Upright height in pixels.
        time_base: Seconds that one unit of `Frame.pts` stands for.
        rate: Frames a second, on average.
        frames: How many there are, as far as the file says; 0 if it does not.
        depth: Bits a sample.
        pixel_format: FFmpeg's name of how the samples are stored.
        has_alpha: Whether there is an alpha channel.
        aspect: Width of a pixel to its height, upright.
        colour: What the numbers mean.
        shift: Added to every time in the result, in units of `time_base`: away with the start
            that a cut or a broadcast stream has.
    """

    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    frames: int
    depth: int
    pixel_format: str
    has_alpha: bool
    aspect: Fraction
    colour: Colour
    shift: int = 0


@runtime_checkable
class FrameSource(Protocol):
    """Gives a clip's frames, from the beginning or from where a former run ended."""

    @property
    def info(self) -> ClipInfo:
        """Properties that the frames share."""
        ...

    @property
    def notes(self) -> list[str]:
        """Losses and changes so far, one line each; complete once all frames are read."""
        ...

    @property
    def lossy(self) -> bool:
        """True if anything was lost so far that `recount` has to count again."""
        ...

    def recount(self) -> None:
        """Complete `notes` by what was lost in the part that a former run has read."""
        ...

    def frames(self, done: int, last: int | None) -> Iterator[Frame]:
        """The frames after the first `done`, the last of which was at `last`."""
        ...


@runtime_checkable
class SeekableSource(FrameSource, Protocol):
    """Gives any part of a clip's frames, if `times` tells where they are."""

    def times(self) -> list[int] | None:
        """When each frame is shown, all decoded once; `notes` and `lossy` are complete then.

        Returns:
            Times as of `Frame.pts`; None of a file that can only be read from its beginning.
        """
        ...

    def frames(self, done: int, last: int | None, most: int | None = None) -> Iterator[Frame]:
        """Frames as of `FrameSource`, at most so many."""
        ...
