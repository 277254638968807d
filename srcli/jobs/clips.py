"""Upscale clips: decode, network and encoder at once, in segments that outlive a kill."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np

from srcli.errors import UnreadableVideo
from srcli.geometry import scaled_size
from srcli.inference.report import Report, add_reports
from srcli.jobs.background import Behind, ahead
from srcli.jobs.clip_parts import Parts, identity_of
from srcli.jobs.plan import Job
from srcli.media import Pixels
from srcli.media.video import (
    ClipInfo,
    ClipReader,
    Encoding,
    Frame,
    FrameSource,
    Reading,
    Segment,
    SegmentWriter,
    Wanted,
    choose_encoding,
    join,
    what_is_copied,
)

__all__ = ["ClipSettings", "FrameUpscaler", "upscale_clip"]

_SEGMENT = 120  # frames: what a kill costs at most
_QUEUE = 3  # frames that wait on either side of the network


@runtime_checkable
class FrameUpscaler(Protocol):
    """What a clip needs of an upscaler."""

    @property
    def scale(self) -> float:
        """SR px per LR px to a side."""
        ...

    def batch_for(self, height: int, width: int) -> int:
        """How many frames of so many LR px it takes at once."""
        ...

    def upscale_frames(self, frames: Sequence[Pixels]) -> tuple[list[Pixels], Report]:
        """Upscale frames of one size and type, each as if it were alone."""
        ...


@dataclass(frozen=True)
class ClipSettings:
    """How clips are read and written.

    Args:
        reading: Which part, and what becomes of HDR and of interlaced frames.
        wanted: The encoder.
        key: What else decides the result: model, effort, precision ...
        segment: Frames a segment.
    """

    reading: Reading = field(default_factory=Reading)
    wanted: Wanted = field(default_factory=Wanted)
    key: Mapping[str, str] = field(default_factory=dict[str, str])
    segment: int = _SEGMENT


def upscale_clip(
    job: Job,
    upscaler: FrameUpscaler,
    settings: ClipSettings,
    on_frame: Callable[[Job, int, int], None],
) -> tuple[tuple[str, ...], Report]:
    """Upscale one clip, going on where a former run was stopped.

    Args:
        job: The clip, and what it becomes.
        upscaler: Does the work.
        settings: How it is read and written.
        on_frame: Called with the job, the frames done and those in all (0 if not known).

    Returns:
        What was lost, one line each, and what it took in this run.

    Raises:
        InputError: It cannot be read or written.
    """
    reader = ClipReader(job.source, settings.reading)
    info = _enlarged(reader.info, upscaler.scale)
    encoding = choose_encoding(settings.wanted, info, job.target)
    copied = what_is_copied(job.source, job.target)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    parts = Parts(
        job.target,
        {
            **settings.key,
            "source": identity_of(job.source),
            "reading": repr(settings.reading),
            "encoding": repr(encoding),
            "result": repr(info),
            "segment": str(settings.segment),
        },
    )
    segments = parts.resume()
    work = _Work(job, upscaler, encoding, info, parts, settings.segment, on_frame)
    report = work.run(reader, segments)
    if not segments:
        raise UnreadableVideo(f"{job.source}: no frame of it is in the part that was asked for")
    join(segments, info, job.target, job.source, settings.reading)
    parts.remove()
    notes = (*reader.notes, *(f"{job.target}: {note}" for note in encoding.notes), *copied.notes)
    return notes, report


def _enlarged(info: ClipInfo, scale: float) -> ClipInfo:
    return replace(
        info, width=scaled_size(info.width, scale), height=scaled_size(info.height, scale)
    )


@dataclass
class _Work:
    """One clip on its way through the network."""

    job: Job
    upscaler: FrameUpscaler
    encoding: Encoding
    info: ClipInfo
    parts: Parts
    segment: int
    on_frame: Callable[[Job, int, int], None]
    reports: list[Report] = field(default_factory=list[Report])

    def run(self, source: FrameSource, segments: list[Segment]) -> Report:
        """Make the segments that are missing."""
        done = sum(len(segment.pts) for segment in segments)
        last = segments[-1].pts[-1] if segments else None
        batch = self.upscaler.batch_for(source.info.height, source.info.width)
        cutter = _Cutter(self.parts, self.encoding, self.info, self.segment, segments)
        total = source.info.frames
        self.on_frame(self.job, done, total)
        try:
            with (
                closing(ahead(source.frames(done, last), max(_QUEUE, batch))) as frames,
                Behind(cutter.add, max(_QUEUE, batch)) as encoder,
            ):
                for larger in self._larger(frames, batch):
                    encoder.put(larger)
                    done += 1
                    self.on_frame(self.job, done, max(total, done) if total else 0)
            cutter.finish()
        finally:
            cutter.discard()
        return add_reports(self.reports)

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
        channels = 4 if self.encoding.has_alpha else 3
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
            self.reports.append(report)
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


@dataclass
class _Cutter:
    """Puts frames into segments of a fixed length."""

    parts: Parts
    encoding: Encoding
    info: ClipInfo
    length: int
    segments: list[Segment]
    writer: SegmentWriter | None = None

    def add(self, frame: Frame) -> None:
        """Encode one frame."""
        if self.writer is None:
            self.writer = SegmentWriter(
                self.parts.next(len(self.segments)), self.encoding, self.info
            )
        self.writer.add(frame.pts, frame.duration, frame.pixels)
        if len(self.writer) == self.length:
            self.finish()

    def finish(self) -> None:
        """Complete the segment that is begun, if one is."""
        if self.writer is not None:
            self.segments.append(self.writer.finish())
            self.writer = None

    def discard(self) -> None:
        """Leave nothing of a segment that is not complete."""
        if self.writer is not None:
            self.writer.discard()
            self.writer = None
