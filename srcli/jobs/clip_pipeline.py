"""Frames through the network: decoded ahead of it, taken away behind it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from srcli.defaults import TEMPORAL
from srcli.inference.crop_reach import CropReach
from srcli.inference.report import Report, add_reports
from srcli.jobs.frame_changes import CODING_NOISE, ChangedPart, FrameChanges
from srcli.media import Pixels
from srcli.media.video import Frame, FrameSource
from srcli.thread_queues import WriteQueue, prefetch

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

    def crop_reach(self, *, exact: bool) -> CropReach | None:
        """Px around changed px that a result depends on; None: on the whole frame."""
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
        temporal: Which results are reused, one of `defaults.TEMPORAL_MODES`.
    """

    upscaler: FrameUpscaler
    source: FrameSource
    has_alpha: bool
    on_frame: Progress
    segment: int
    temporal: str = TEMPORAL
    _reports: list[Report] = field(default_factory=list[Report])
    _changes: FrameChanges = field(init=False)
    _result: Pixels | None = None  # of the last frame

    def __post_init__(self) -> None:
        fast = self.temporal == "fast"
        reach = None if self.temporal == "off" else self.upscaler.crop_reach(exact=not fast)
        self._changes = FrameChanges(reach, CODING_NOISE if fast else None)

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
        for number, frame in enumerate(frames, start=1):
            waiting.append(frame)
            ends = number % self.segment == 0
            if len(waiting) == batch or ends:
                yield from self._batch(waiting)
                waiting = []
            if ends:
                self._changes.reset()
        yield from self._batch(waiting)

    def _batch(self, waiting: Sequence[Frame]) -> Iterator[Frame]:
        """Upscale what changed from frame to frame; the rest of the last result is reused."""
        channels = 4 if self.has_alpha else 3
        frames = [frame.pixels[..., :channels] for frame in waiting]
        parts = [self._changes.parts(pixels) for pixels in frames]
        whole = [pixels for pixels, some in zip(frames, parts, strict=True) if some is None]
        larger = iter(self._upscale(whole) if whole else ())
        for frame, pixels, some in zip(waiting, frames, parts, strict=True):
            if some is None:
                self._result = next(larger)
            elif some:
                self._result = self._with_parts(pixels, some)
            assert self._result is not None, "the first frame is computed whole"
            yield replace(frame, pixels=self._result)

    def _with_parts(self, pixels: Pixels, parts: Sequence[ChangedPart]) -> Pixels:
        """Copy the last result with some parts computed anew."""
        assert self._result is not None, "the first frame is computed whole"
        result, scale = self._result.copy(), round(self.upscaler.scale)
        for one in parts:
            crop, part = one.crop, one.part
            (larger,) = self._upscale([pixels[crop.top : crop.bottom, crop.left : crop.right]])
            top, left = scale * (part.top - crop.top), scale * (part.left - crop.left)
            target = result[
                scale * part.top : scale * part.bottom, scale * part.left : scale * part.right
            ]
            target[:] = larger[top:, left:][: target.shape[0], : target.shape[1]]
        return result

    def _upscale(self, frames: Sequence[Pixels]) -> list[Pixels]:
        larger, report = self.upscaler.upscale_frames(frames)
        self._reports.append(report)
        return larger
