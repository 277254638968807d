"""Upscale a batch's clips: decode, network and encoder at once, in segments that outlive a kill."""

import contextlib
import errno
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from srcli.defaults import AUTO
from srcli.errors import UnreadableVideo, UnwritableVideo
from srcli.geometry import scaled_size
from srcli.inference.choose_weights import choose_weights
from srcli.inference.report import Report, WeightsChoice, add_reports
from srcli.inference.upscaler import Upscaler
from srcli.jobs.clip_frames import upscale_animation, upscale_to_frames
from srcli.jobs.clip_keys import key_of_encoding, key_of_info, key_of_reading
from srcli.jobs.clip_pipeline import FrameStage, FrameUpscaler, Progress
from srcli.jobs.clip_segments import SegmentStore
from srcli.jobs.clip_source import ClipSettings, open_source, require_unchanged
from srcli.jobs.clip_tasks import SegmentMaker, SegmentTask, make_segments
from srcli.jobs.identity import Identity, digest, give_time, identity_of
from srcli.jobs.job import ANIMATION, CLIP, FRAMES, Finished, Job, State, reason_of
from srcli.jobs.result_records import record_of, write_record
from srcli.media.video import (
    ClipInfo,
    Encoding,
    Frame,
    FrameSource,
    SeekableSource,
    Segment,
    SegmentWriter,
    choose_encoding,
    compression_of_clip,
    find_segments,
    mux_result,
    other_streams_of,
    preflight_encode,
)

__all__ = [
    "run_clips",
    "upscale_clip",
    "upscaler_for_clip",
]

_SUPERSEDED = (
    "{}: made again; {} frames that an earlier run had finished with other settings, or of another "
    "state of the source, are deleted"
)
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


def upscale_clip(
    job: Job,
    upscaler: FrameUpscaler,
    settings: ClipSettings,
    on_frame: Progress,
    maker: SegmentMaker | None = None,
) -> tuple[tuple[str, ...], Report]:
    """Upscale one clip, continuing where a former run was stopped.

    Args:
        job: The clip, and what it becomes.
        upscaler: Does the work.
        settings: How it is read and written.
        on_frame: Told of every frame.
        maker: Makes segments elsewhere; what it leaves out is made here.

    Returns:
        What was lost, one line each, and what it took in this run.

    Raises:
        InputError: It cannot be read or written.
    """
    source = open_source(job.source, settings)
    info = _upscaled_frames(source.frames.info, upscaler.scale)
    encoding = choose_encoding(settings.wanted, info, job.target)
    rest = None
    if source.passthrough is not None:
        rest = other_streams_of(
            source.passthrough, job.target, info, settings.reading, settings.policy
        )
    job.target.parent.mkdir(parents=True, exist_ok=True)
    key = {
        **settings.key,
        "reading": key_of_reading(settings.reading),
        "encoding": key_of_encoding(encoding),
        "result": key_of_info(info),
        "segment": str(settings.segment),
    }
    with _disk_full_message(job.target), SegmentStore(job.target, *source.keys(key)) as parts:
        segments = parts.resume()
        resumed = bool(segments)
        if not segments:
            preflight_encode(encoding, info, job.target, rest, parts.folder)
        reports, complete = list[Report](), False
        if maker is not None and isinstance(source.frames, SeekableSource):
            whole = SegmentTask(job, settings, encoding, info, parts.folder, 0, None, ())
            reports, complete = make_segments(
                whole, upscaler, source.frames, parts, maker, on_frame
            )
            segments = find_segments(parts.folder)
        if not complete:
            cutter = _Cutter(parts, encoding, info, settings.segment, segments, source.frames)
            work = FrameStage(
                upscaler, source.frames, encoding.has_alpha, on_frame, settings.segment,
                settings.temporal,
            )  # fmt: skip
            reports.append(cutter.run(work))
        if not segments:
            raise UnreadableVideo(f"{job.source}: no frame of it is in the part that was asked for")
        if resumed and (parts.lossy or source.frames.lossy):
            source.frames.recount()
        require_unchanged(job.source, source)
        damaged = mux_result(segments, info, job.target, rest)
        superseded = parts.superseded
    notes = (
        *source.frames.notes,
        *(f"{job.target}: {note}" for note in encoding.notes),
        *(rest.notes if rest else ()),
        *damaged,
        *([_SUPERSEDED.format(job.target, superseded)] if superseded else ()),
    )
    return notes, replace(
        add_reports(reports), frame_size=reports[0].frame_size if reports else None
    )


@contextmanager
def _disk_full_message(target: Path) -> Generator[None]:
    """A full disk is the result's, not the source's."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise UnwritableVideo(
            f"{target}: {error.strerror}; hint: make room and run the same command again, what is "
            "done is kept"
        ) from error


def _upscaled_frames(info: ClipInfo, scale: float) -> ClipInfo:
    return replace(
        info, width=scaled_size(info.width, scale), height=scaled_size(info.height, scale)
    )


@dataclass
class _Cutter:
    """Puts frames into segments of a fixed length."""

    parts: SegmentStore
    encoding: Encoding
    info: ClipInfo
    length: int
    segments: list[Segment]
    source: FrameSource
    writer: SegmentWriter | None = None

    def run(self, work: FrameStage) -> Report:
        """Make the segments that are missing at the end; return what it took."""
        done = sum(len(segment.pts) for segment in self.segments)
        last = self.segments[-1].pts[-1] if self.segments else None
        try:
            report = work.run(done, last, self.add)
            self.finish()
        finally:
            self.discard()
        return report

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
            if self.source.lossy:
                self.parts.mark_lossy()
            self.segments.append(self.writer.finish())
            self.writer = None

    def discard(self) -> None:
        """Leave nothing of a segment that is not complete."""
        if self.writer is not None:
            self.writer.discard()
            self.writer = None


_WAYS = {ANIMATION: upscale_animation, FRAMES: upscale_to_frames}


def run_clips(
    jobs: Sequence[Job],
    upscaler: Upscaler,
    settings: ClipSettings,
    *,
    recorded: str,
    on_frame: Callable[[Job, int, int], None],
    maker: SegmentMaker | None = None,
) -> Iterator[Finished]:
    """Upscale every clip and animation, one after the other.

    Args:
        jobs: What to do; existing outputs are replaced.
        upscaler: Does the work.
        settings: How clips are read and written.
        recorded: Text of all settings, for the record of each result.
        on_frame: Called with the job, the frames done and those in all (0 if not known).
        maker: Makes segments of clips elsewhere.

    Yields:
        Each job's end, as it comes.
    """
    ways = {**_WAYS, CLIP: partial(upscale_clip, maker=maker)}
    for job in jobs:
        way = ways[job.image_format]
        origin = identity_of(job.source)
        try:
            chosen, choice = upscaler_for_clip(job.source, upscaler)
            key = {**settings.key, "weights": chosen.network.fingerprint}
            key |= {"model": choice.model} if choice else {}
            keyed = replace(settings, key=key)
            losses, report = way(job, chosen, keyed, partial(on_frame, job))
            report = report.with_choice(choice)
            if origin is not None:
                if settings.policy.times:
                    _give_times(job, origin.mtime_ns)
                _keep_record(job, origin, recorded, report.chosen)
        except Exception as error:  # noqa: BLE001 one bad clip must not end the others
            yield Finished(job, State.FAILED, reason_of(job, error))
        else:
            yield Finished(job, State.DONE, losses=losses, report=report)


def upscaler_for_clip(path: Path, upscaler: Upscaler) -> tuple[Upscaler, WeightsChoice | None]:
    """The upscaler for a clip, with the weights that suit its compression, if that is asked for."""
    if upscaler.model != AUTO:
        return upscaler, None
    compression = compression_of_clip(path)
    choice = choose_weights(upscaler.model, compression, upscaler.scale)
    return upscaler.with_weights(choice), choice


def _give_times(job: Job, mtime_ns: int) -> None:
    """Give a clip, or the frames it became, the modification time of its source."""
    for path in job.target.glob("*") if job.image_format == FRAMES else (job.target,):
        give_time(path, mtime_ns)


def _keep_record(job: Job, origin: Identity, recorded: str, chosen: str) -> None:
    """Note what a result was made from and how; without a record it counts as somebody else's."""
    with contextlib.suppress(OSError):
        read = Identity(origin.size, origin.mtime_ns, digest(job.source))
        if entry := record_of(job.source, job.target, read, recorded, chosen):
            write_record(entry)
