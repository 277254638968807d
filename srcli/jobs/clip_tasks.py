"""Segments of a clip as tasks of their own: each can be made anywhere, in any order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from srcli.inference.report import Report
from srcli.jobs.clip_pipeline import FrameStage, FrameUpscaler, Progress
from srcli.jobs.clip_segments import SegmentStore
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.job import Job
from srcli.media.video import ClipInfo, Encoding, Frame, SeekableSource, SegmentWriter, segment_at

__all__ = ["MadeSegment", "SegmentMaker", "SegmentTask", "make_segment", "make_segments"]


@dataclass(frozen=True)
class SegmentTask:
    """One segment that is to be made.

    Args:
        job: The clip, and what it becomes.
        settings: How it is read and written.
        encoding: The encoder.
        info: Of the result's frames.
        path: Where the segment goes.
        done: Frames before it.
        last: When the last of them is shown; None: there is none.
        times: When each of its own frames is shown.
    """

    job: Job
    settings: ClipSettings
    encoding: Encoding
    info: ClipInfo
    path: Path
    done: int
    last: int | None
    times: tuple[int, ...]


@dataclass(frozen=True)
class MadeSegment:
    """A segment that is finished on disk.

    Args:
        task: Which one.
        report: What it took.
        lossy: True if what it was made from is damaged.
    """

    task: SegmentTask
    report: Report
    lossy: bool


SegmentMaker = Callable[[Sequence[SegmentTask]], Iterator[MadeSegment]]
"""Makes segments in any order and yields each as it is finished; none for those it could not."""


def make_segments(
    whole: SegmentTask,
    upscaler: FrameUpscaler,
    source: SeekableSource,
    store: SegmentStore,
    maker: SegmentMaker,
    on_frame: Progress,
) -> tuple[list[Report], bool]:
    """Make the segments of a clip that are missing, in any order.

    Args:
        whole: The task for all frames, but for their times.
        upscaler: Makes the segments that `maker` leaves out.
        source: The frames.
        store: Where segments go.
        maker: Makes segments elsewhere.
        on_frame: Told of the frames that are done.

    Returns:
        What it took, and whether none is missing now. If one is, the clip has to be read in order.

    Raises:
        InputError: The clip cannot be read, or a segment not be written.
    """
    times = source.times()
    if not times:
        return [], False
    tasks = _tasks(replace(whole, times=tuple(times)), store)
    missing = {task.path: task for task in tasks if not _is_made(task)}
    done = len(times) - sum(len(task.times) for task in missing.values())
    reports: list[Report] = []

    def take(made: MadeSegment) -> None:
        nonlocal done
        if made.lossy:
            store.mark_lossy()
        reports.append(made.report)
        del missing[made.task.path]
        done += len(made.task.times)
        on_frame(done, len(times))

    on_frame(done, len(times))
    for made in maker(list(missing.values())):
        take(made)
    on_frame(done, len(times))  # which raises if the run is to stop
    for task in list(missing.values()):
        made_here = make_segment(task, upscaler, source)
        if made_here is None:
            return reports, False
        take(made_here)
    return reports, True


def _is_made(task: SegmentTask) -> bool:
    segment = segment_at(task.path)
    return segment is not None and tuple(segment.pts) == task.times


def _tasks(whole: SegmentTask, store: SegmentStore) -> list[SegmentTask]:
    """Cut a task for a whole clip into one for each segment."""
    times, length = whole.times, whole.settings.segment
    return [
        replace(
            whole,
            path=store.next(done // length),
            done=done,
            last=times[done - 1] if done else None,
            times=times[done : done + length],
        )
        for done in range(0, len(times), length)
    ]


def make_segment(
    task: SegmentTask,
    upscaler: FrameUpscaler,
    source: SeekableSource,
) -> MadeSegment | None:
    """Upscale the frames of one segment into its file.

    Returns:
        What it took; None if the frames found there are not those that the whole clip has there,
        as where a damaged clip is entered in its middle: nothing is written then.

    Raises:
        InputError: The frames cannot be read or written.
    """
    writer = SegmentWriter(task.path, task.encoding, task.info)
    found: list[int] = []

    def add(frame: Frame) -> None:
        found.append(frame.pts)
        writer.add(frame.pts, frame.duration, frame.pixels)

    stage = FrameStage(
        upscaler, _Part(source, len(task.times)), task.encoding.has_alpha,
        lambda done, total: None, task.settings.segment, task.settings.temporal,
    )  # fmt: skip
    try:
        report = stage.run(task.done, task.last, add)
        is_right = tuple(found) == task.times
        if is_right:
            writer.finish()
    except BaseException:
        writer.discard()
        raise
    if not is_right:
        writer.discard()
        return None
    return MadeSegment(task, report, source.lossy)


@dataclass
class _Part:
    """Some frames of a clip; see `FrameSource`.

    Args:
        source: All of them.
        count: How many there are in the part.
    """

    source: SeekableSource
    count: int

    @property
    def info(self) -> ClipInfo:
        """See `FrameSource`."""
        return self.source.info

    @property
    def notes(self) -> list[str]:
        """See `FrameSource`."""
        return self.source.notes

    @property
    def lossy(self) -> bool:
        """See `FrameSource`."""
        return self.source.lossy

    def recount(self) -> None:
        """See `FrameSource`."""
        self.source.recount()

    def frames(self, done: int, last: int | None) -> Iterator[Frame]:
        """See `FrameSource`."""
        return self.source.frames(done, last, self.count)
