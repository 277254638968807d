"""Frames through the network: decoded ahead of it, taken away behind it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np

from srcli.inference.report import Report, add_reports
from srcli.media import Pixels
from srcli.media.video import Frame, FrameSource
from srcli.pipeline import WriteQueue, prefetch

__all__ = ["FrameStage", "FrameUpscaler", "Progress"]

_QUEUE = 3  # frames that wait on either side of the network

Progress = Callable[[int, int], None]
"""Called with the frames done and those in all (0 if not known)."""


@runtime_checkable
class FrameUpscaler(Protocol):
    """The part of an upscaler that clips use."""

    @property
    def scale(self) -> float:
        """SR px per LR px to a side."""
        ...

    def batch_for(self, height: int, width: int) -> int:
        """Number of frames of so many LR px to compute at once."""
        ...

    def upscale_frames(self, frames: Sequence[Pixels]) -> tuple[list[Pixels], Report]:
        """Upscale frames of one size and type, each as if it were alone."""
        ...


@dataclass
class FrameStage:
    """One clip on its way through the network.

    Args:
        upscaler: Does the work.
        source: The frames.
        has_alpha: Whether the result can hold alpha; it is dropped before the network otherwise.
        on_frame: Told of every frame.
        segment: Frames that are computed apart from those after them.
    """

    upscaler: FrameUpscaler
    source: FrameSource
    has_alpha: bool
    on_frame: Progress
    segment: int
    _reports: list[Report] = field(default_factory=list[Report])

    def run(self, done: int, last: int | None, take: Callable[[Frame], None]) -> Report:
        """Upscale the frames after the first `done`.

        Args:
            done: Frames that a former run has made.
            last: When the last of them is shown.
            take: Called with each result, in order, in a thread of its own.
        """
        info = self.source.info
        batch = self.upscaler.batch_for(info.height, info.width)
        total, before = info.frames, done
        frame_size: tuple[int, int] | None = None
        self.on_frame(done, total)
        waiting = max(_QUEUE, batch)
        with (
            closing(prefetch(self.source.frames(done, last), waiting)) as frames,
            WriteQueue(take, waiting) as sink,
        ):
            for larger in self._larger(frames, batch):
                sink.put(larger)
                height, width = larger.pixels.shape[:2]
                frame_size = width, height
                done += 1
                self.on_frame(done, max(total, done) if total else 0)
        report = add_reports(self._reports)
        return replace(report, frames=done - before, frame_size=frame_size)

    def _larger(self, frames: Iterator[Frame], batch: int) -> Iterator[Frame]:
        """Upscale frames, in batches that never reach beyond a segment.

        So what is computed together does not depend on where a former run was stopped.
        """
        waiting: list[Frame] = []
        before: _Pair | None = None
        for number, frame in enumerate(frames, start=1):
            waiting.append(frame)
            ends = number % self.segment == 0
            if len(waiting) == batch or ends:
                pairs = self._batch(waiting, before)
                yield from (
                    replace(f, pixels=p.larger) for f, p in zip(waiting, pairs, strict=True)
                )
                waiting, before = [], None if ends else pairs[-1]
        pairs = self._batch(waiting, before)
        yield from (replace(f, pixels=p.larger) for f, p in zip(waiting, pairs, strict=True))

    def _batch(self, waiting: Sequence[Frame], before: "_Pair | None") -> list["_Pair"]:
        """Upscale what differs from the frame before it; the others reuse that one's result."""
        channels = 4 if self.has_alpha else 3
        distinct: list[Pixels] = []
        places: list[int] = []
        previous = None if before is None else before.smaller
        for frame in waiting:
            pixels = frame.pixels[..., :channels]
            if previous is None or not np.array_equal(previous, pixels):
                distinct.append(pixels)
            places.append(len(distinct) - 1)
            previous = pixels
        made: list[_Pair] = []
        if distinct:
            larger, report = self.upscaler.upscale_frames(distinct)
            self._reports.append(report)
            made = [_Pair(*pair) for pair in zip(distinct, larger, strict=True)]
        return [made[place] if place >= 0 else _known(before) for place in places]


@dataclass(frozen=True)
class _Pair:
    """A frame's pixels before and after."""

    smaller: Pixels
    larger: Pixels


def _known(pair: _Pair | None) -> _Pair:
    assert pair is not None, "the first frame repeats none"
    return pair
