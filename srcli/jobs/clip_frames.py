"""Clips that do not become a video: frames in a folder, animations."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from srcli.errors import UsageError
from srcli.geometry import Size
from srcli.inference.device import available_ram
from srcli.inference.report import Report
from srcli.jobs.clip_keys import key_of_reading
from srcli.jobs.clip_pipeline import FrameStage, FrameUpscaler, Progress
from srcli.jobs.clip_segments import key_text
from srcli.jobs.clip_source import ClipSettings, open_source
from srcli.jobs.job import Job
from srcli.media import DecodedImage, atomic_file, write_image
from srcli.media.video import (
    AnimationReader,
    AnimationWriter,
    ClipInfo,
    Frame,
    FrameSource,
    require_memory,
)

__all__ = ["upscale_animation", "upscale_to_frames"]

_KEY = ".srcli-frames.json"
_TIMES = "times.txt"


def upscale_to_frames(
    job: Job, upscaler: FrameUpscaler, settings: ClipSettings, on_frame: Progress
) -> tuple[tuple[str, ...], Report]:
    """Write every frame of a clip as a PNG into the folder `job.target`, 000000.png and on.

    times.txt beside them tells when each is shown, in ms (a timecode file, version 2). Frames
    that a former run has written are kept.

    Returns:
        What was lost, one line each, and what it took.

    Raises:
        InputError: The clip cannot be read, or a frame not be written.
        UsageError: The folder holds frames of another clip or of other settings.
    """
    source = open_source(job.source, settings)
    folder = job.target
    key = {
        **settings.key,
        "scale": str(upscaler.scale),
        "reading": key_of_reading(settings.reading),
    }
    _claim(folder, *map(key_text, source.keys(key)))
    missing = _Missing(source.frames, folder)
    has_alpha = source.frames.info.has_alpha

    def write(frame: Frame) -> None:
        write_image(DecodedImage(frame.pixels, "png"), _name(folder, frame.pts))

    stage = FrameStage(upscaler, missing, has_alpha, on_frame, settings.segment, settings.temporal)
    report = stage.run(0, None, write)
    with atomic_file(folder / _TIMES) as stream:
        stream.write(("\n".join(["# timecode format v2", *missing.times]) + "\n").encode())
    return tuple(source.frames.notes), report


def upscale_animation(
    job: Job, upscaler: FrameUpscaler, settings: ClipSettings, on_frame: Progress
) -> tuple[tuple[str, ...], Report]:
    """Upscale an animated GIF, WebP or PNG into one, with its timing and its metadata.

    Returns:
        What was lost, one line each, and what it took.

    Raises:
        InputError: It cannot be read or written, or its frames do not fit in memory.
    """
    source = open_source(job.source, settings)
    reader = source.frames
    assert isinstance(reader, AnimationReader)
    policy = settings.policy
    _require_memory(job, reader.info, upscaler.scale)
    writer = AnimationWriter(job.target, reader.loop, policy.applied(reader.metadata))
    work = FrameStage(upscaler, reader, True, on_frame, settings.segment, settings.temporal)
    report = work.run(0, None, lambda frame: writer.add(frame.pixels))
    unread = [name for name in reader.unread if name != "XMP" or not policy.strip]
    notes = [f"{job.source}: its {name} is not kept" for name in unread]
    return (*notes, *reader.damage, *writer.finish(reader.durations)), report


def _require_memory(job: Job, info: ClipInfo, scale: float) -> None:
    size = Size(info.width, info.height).scaled(scale)
    require_memory(job.target, info.frames, size, available_ram())


class _Missing:
    """The frames of a clip whose images are not there yet; their times are their numbers.

    Args:
        source: All frames.
        folder: Where the images go.
    """

    def __init__(self, source: FrameSource, folder: Path) -> None:
        self._source = source
        self._folder = folder
        self.times: list[str] = []
        """When each frame is shown, ms; whole once all are read."""

    @property
    def info(self) -> ClipInfo:
        """See `FrameSource`."""
        return self._source.info

    @property
    def notes(self) -> list[str]:
        """See `FrameSource`."""
        return self._source.notes

    @property
    def lossy(self) -> bool:
        """See `FrameSource`."""
        return self._source.lossy

    def recount(self) -> None:
        """See `FrameSource`: all frames are read in any case."""

    def frames(self, done: int, last: int | None) -> Iterator[Frame]:
        """See `FrameSource`."""
        info = self.info
        for number, frame in enumerate(self._source.frames(done, last)):
            moment = float((frame.pts + info.shift) * info.time_base * 1000)
            self.times.append(f"{moment:.6f}")
            if not _name(self._folder, number).exists():
                yield replace(frame, pts=number)


def _name(folder: Path, number: int) -> Path:
    return folder / f"{number:06}.png"


def _claim(folder: Path, key: str, former_key: str) -> None:
    """Claim the folder, or continue in it if it was made for the same clip and settings."""
    file = folder / _KEY
    if file.is_file() and file.read_text("utf-8") in (key, former_key):
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"--frames-dir {folder} holds other things; hint: name a new or an empty folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as stream:
        stream.write(key.encode())
