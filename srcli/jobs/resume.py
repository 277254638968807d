"""Find what is left to do: compare every job with the journal and the disk."""

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import psutil

from srcli.atomic import TEMPORARY_SUFFIX, process_place
from srcli.jobs.identity import Identity, identity_of, is_there, unchanged
from srcli.jobs.job import Job
from srcli.jobs.journal import Entry
from srcli.jobs.settings import difference
from srcli.url_paths import UrlPath

__all__ = [
    "OutputState",
    "Verdict",
    "absolute",
    "classify_output",
    "is_abandoned",
    "remove_leftovers",
]

_SILENCE_SECONDS = 24 * 3600  # between two pages of a TIFF the network may take hours


class OutputState(StrEnum):
    """State of an output against what is asked for now."""

    MISSING = "missing"  # it is not there, or was never finished
    DONE = "done"  # made from this input with these settings, and untouched since
    UNTRACKED = "untracked"  # it is there, and the journal does not know it
    INPUT_CHANGED = "input changed"  # the input has changed since
    SETTINGS_CHANGED = "settings changed"  # made with other settings
    ALTERED = "altered"  # somebody has changed it since


@dataclass(frozen=True, slots=True)
class Verdict:
    """State of a job's output.

    Args:
        job: The job.
        state: State of its output.
        reason: In words.
        known: Record of an output that is done, with the places and times of today, where the
            journal has others; None: as the journal has it.
        stale: The journal has others.
    """

    job: Job
    state: OutputState
    reason: str
    known: Entry | None = None
    stale: bool = False


def classify_output(job: Job, entry: Entry | None, settings: str) -> Verdict:
    """Compare a job with what is known and what is there; files are read only if times differ.

    Args:
        job: Input and output.
        entry: Record of the output; None if there is none.
        settings: Text of the settings that are asked for now.
    """
    if job.guarded:
        return Verdict(job, OutputState.UNTRACKED, f"{job.target} is an input too, and is kept")
    there = identity_of(job.target)
    if there is None:
        if is_there(job.target):
            return Verdict(job, OutputState.UNTRACKED, f"{job.target} is no file")
        was_made = entry is not None and entry.state == "done"
        return Verdict(job, OutputState.MISSING, "was deleted since" if was_made else "")
    if entry is None or entry.output is None or entry.origin is None or entry.settings is None:
        return Verdict(
            job, OutputState.UNTRACKED, "the output exists; hint: --overwrite replaces it"
        )
    if not unchanged(job.target, entry.output):
        if entry.state == "writing" or _never_uploaded(entry):  # an older one is there
            return Verdict(job, OutputState.MISSING, "")
        return Verdict(job, OutputState.ALTERED, "the output was altered since it was made")
    if not unchanged(job.source, entry.origin):
        return Verdict(job, OutputState.INPUT_CHANGED, "the input has changed since")
    if entry.settings != settings:
        reason = f"made with other settings ({difference(entry.settings, settings)})"
        return Verdict(job, OutputState.SETTINGS_CHANGED, reason)
    known = _as_it_is(job, entry, there)
    reason = "done before, with the same settings"
    stale = known != entry
    return Verdict(job, OutputState.DONE, reason, known if stale else None, stale)


def _as_it_is(job: Job, entry: Entry, there: Identity) -> Entry:
    """The entry with the places and times of today."""
    now = identity_of(job.source)
    assert entry.origin is not None
    assert entry.output is not None
    assert now is not None
    return replace(
        entry,
        state="done",
        reason="",
        source=absolute(job.source),
        origin=replace(entry.origin, mtime_ns=now.mtime_ns, tag=now.tag),
        output=replace(entry.output, mtime_ns=there.mtime_ns, tag=there.tag),
    )


def _never_uploaded(entry: Entry) -> bool:
    """Tell if a result was made whose upload to storage failed."""
    tagged = entry.output is not None and entry.output.tag
    return entry.state == "failed" and isinstance(entry.target, UrlPath) and not tagged


def absolute(path: Path) -> Path:
    """Where an input is, whatever the current folder, links left as they are."""
    return path if path.is_absolute() else Path.cwd() / path


def remove_leftovers(folders: Iterable[Path]) -> int:
    """Remove the temporary files that dead runs left in folders; return how many there were."""
    removed = 0
    for folder in folders:
        for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
            with contextlib.suppress(OSError):
                if is_abandoned(path.name, path.lstat().st_mtime):
                    path.unlink()
                    removed += 1
    return removed


def is_abandoned(name: str, written: float) -> bool:
    """Tell if a temporary file has no writer any more.

    The number in its name tells, if it was given on this boot, in this container: one that does
    not run, or our own, for this is asked before this process writes anything. Of processes
    elsewhere we know nothing but when they wrote last.

    Args:
        name: Of the file.
        written: When it was last changed, in s since 1970.
    """
    owner = name.removesuffix(TEMPORARY_SUFFIX).rpartition(".")[2]
    number, _, rest = owner.partition("-")
    if not number.isdecimal():
        return False
    if rest.partition("-")[0] == process_place():
        return int(number) == os.getpid() or not psutil.pid_exists(int(number))
    return time.time() - written > _SILENCE_SECONDS
