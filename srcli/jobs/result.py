"""Results of jobs: states and reasons; needs no network to be loaded."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from srcli.errors import SrcliError
from srcli.jobs.plan import Job

if TYPE_CHECKING:
    from srcli.inference.report import Report

__all__ = ["Finished", "State", "reason_of"]


class State(StrEnum):
    """The end of a job: its state, reason and notes."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
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
    report: "Report | None" = None


def reason_of(job: Job, error: Exception | None) -> str:
    """One line that names the file, whatever the error."""
    if isinstance(error, SrcliError):
        text = str(error)
        named = str(job.source) in text or str(job.target) in text
        return text if named else f"{job.source}: {text}"
    if isinstance(error, MemoryError):
        return f"{job.source}: not enough memory; close other programs or upscale it in parts"
    if isinstance(error, OSError):
        return f"{error.filename or job.source}: {error.strerror or error}"
    return f"{job.source}: {type(error).__name__}: {error}; please report this"
