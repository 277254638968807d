"""One job: an input, the file it becomes, how it ended, and who observes it. Light to import."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from srcli.compact_paths import FolderSlots, compact_paths
from srcli.errors import SrcliError
from srcli.inference.report import Report

__all__ = [
    "ANIMATION",
    "CLIP",
    "FRAMES",
    "BatchObserver",
    "BatchResult",
    "Finished",
    "Job",
    "Settled",
    "State",
    "is_moving",
    "reason_of",
]

CLIP, ANIMATION, FRAMES = "clip", "animation", "frames"
"""In place of an image's format: the job is no image; a clip's suffix says which container, and
of frames the target is their folder."""


class State(StrEnum):
    """The end of a job: done, skipped or failed."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Settled:
    """The end of a job that is known before any work.

    Args:
        state: Skipped or failed.
        reason: Why, one line.
    """

    state: State
    reason: str


@compact_paths("source", "target")
@dataclass(frozen=True, slots=True)
class Job(FolderSlots):
    """One input and the file it becomes.

    Args:
        source: The input.
        target: The file it becomes.
        image_format: The format of that file, by which its suffix goes; or `CLIP` and the like.
        base: The output folder that it belongs to, with its tree; None: the one it lies in.
        guarded: The target is there, was named as an input, and no journal knows it for a result:
            it is not replaced.
        settled: How it ends, where that is known before any work; it is never begun.
    """

    source: Path
    target: Path
    image_format: str
    base: Path | None = field(default=None, compare=False)
    guarded: bool = field(default=False, compare=False)
    settled: Settled | None = field(default=None, compare=False)

    @property
    def folder(self) -> Path:
        """The output folder that keeps the journal."""
        return self.base or self.target.parent

    @property
    def inside(self) -> Path:
        """Where the output is in that folder."""
        return self.target.relative_to(self.folder)


def is_moving(job: Job) -> bool:
    """Tell if the job is a clip or an animation, not an image."""
    return job.image_format in (CLIP, ANIMATION, FRAMES)


@dataclass(frozen=True, slots=True)
class Finished:
    """A job's end.

    Args:
        job: Which one.
        state: How it ended.
        reason: Why it was skipped or failed, one line; empty when done.
        losses: What the output's format could not hold of the input, one line each.
        report: What it took, when done.
    """

    job: Job
    state: State
    reason: str = ""
    losses: tuple[str, ...] = ()
    report: Report | None = None


@dataclass
class BatchResult:
    """Ends of a batch's jobs, as far as it has come.

    Args:
        finished: How each job ended.
        interrupted: True if it was stopped before all of them had.
        device: What computed them, and in which precision; "" if nothing was to be computed.
    """

    finished: list[Finished] = field(default_factory=list[Finished])
    interrupted: bool = False
    device: str = ""


def reason_of(job: Job, error: Exception | None) -> str:
    """One line that names the file, whatever the error."""
    if isinstance(error, SrcliError):
        text = str(error)
        named = str(job.source) in text or str(job.target) in text
        return text if named else f"{job.source}: {text}"
    if isinstance(error, MemoryError):
        return f"{job.source}: not enough memory; hint: close other programs or upscale it in parts"
    if isinstance(error, OSError):
        return f"{error.filename or job.source}: {error.strerror or error}"
    return f"{job.source}: {type(error).__name__}: {error}; please report this"


@runtime_checkable
class BatchObserver(Protocol):
    """Interface of whatever shows the progress of a batch."""

    def begun(self, job: Job) -> None:
        """The network begins with a job."""
        ...

    def tile(self, job: Job, done: int, total: int) -> None:
        """A tile of an image is done, or of a page."""
        ...

    def progress(self, job: Job, share: float) -> None:
        """A share, in (0, 1], of an image or of a page is done."""
        ...

    def page(self, job: Job, done: int, total: int) -> None:
        """A page of a document is done."""
        ...
