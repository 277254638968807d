"""No input is replaced, no two results share a name, and what this command has made is no input."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from srcli.errors import JournalError, UsageError
from srcli.jobs.identity import unchanged
from srcli.jobs.job import CLIP, Job
from srcli.jobs.journal import Entry, Journal, journal_path
from srcli.jobs.naming import case_folded, real_path

__all__ = ["resolve_conflicts"]


def resolve_conflicts(
    jobs: Sequence[Job], *, overwrite: bool, tell: Callable[[str], None]
) -> list[Job]:
    """Leave out inputs that are results of others, so that patterns find the same ones again.

    An input is one if another input becomes it now, or has become it by the journal, with another
    size for example. Where no journal vouches for a file that bears a result's name, it may be a
    photograph of the user's own: its maker's job is `guarded`.

    Args:
        jobs: What the inputs become.
        overwrite: Existing outputs shall be replaced.
        tell: Told in one line what is left out.

    Raises:
        UsageError: Two inputs would become one file, or a result would replace an input.
    """
    known = _KnownOutputs()
    inputs: dict[str, list[Job]] = {}
    for job in jobs:
        inputs.setdefault(case_folded(job.source), []).append(job)
    makers = _outputs_by_folder(jobs, inputs)
    recorded = {job.source: known.maker(job, inputs) for job in jobs if job.source not in makers}
    left_out = makers | {path: maker for path, maker in recorded.items() if maker is not None}
    making = {maker.source for maker in makers.values()}
    kept = [
        _refuse_inputs_as_outputs(job, overwrite=overwrite)
        if job.source in making and not known.is_result(job)
        else job
        for job in jobs
        if job.source not in left_out
    ]
    kept = _without_shadowed_clips(kept, tell)
    _refuse_collisions(kept)
    if left_out:
        (path, maker), *more = left_out.items()
        others = f", and {len(more)} more such inputs are" if more else " is"
        tell(f"{path}, which {maker.source} becomes{others} left out")
    return kept


def _outputs_by_folder(jobs: Sequence[Job], inputs: dict[str, list[Job]]) -> dict[Path, Job]:
    """The inputs that are there under the name of another's result, and that other's job."""
    found: dict[Path, Job] = {}
    for job in jobs:
        for other in inputs.get(case_folded(job.target), ()):
            if other is not job and _is_file(job.target, other.source):
                found[other.source] = job
    return found


def _is_file(target: Path, source: Path) -> bool:
    """Tell if a name stands for that very file, not for a link to it."""
    if not os.path.lexists(target) or target.is_symlink():
        return False
    if real_path(target) == real_path(source):
        return True
    number = _file_number(target)  # where no difference of case is seen, both are one
    return number is not None and number == _file_number(source)


def _refuse_inputs_as_outputs(job: Job, *, overwrite: bool) -> Job:
    if overwrite:
        raise UsageError(
            f"{job.target} is an input, and no journal knows it for a result: leave out "
            "--overwrite, or name another output folder with -o"
        )
    return replace(job, guarded=True)


def _without_shadowed_clips(jobs: Sequence[Job], tell: Callable[[str], None]) -> list[Job]:
    """Leave out clips whose result would have another clip's name, as of a.avi and a.flv: a.mkv."""
    taken: dict[str, Path] = {}
    kept: list[Job] = []
    for job in jobs:
        first = taken.setdefault(case_folded(job.target), job.source)
        if job.image_format == CLIP and job.base is not None and first is not job.source:
            tell(
                f"{job.source} would become {job.target}, as {first} does, and is left out: "
                "upscale it into another folder"
            )
        else:
            kept.append(job)
    return kept


def _refuse_collisions(jobs: Sequence[Job]) -> None:
    there = {number: job for job in jobs if (number := _file_number(job.target)) is not None}
    for job in jobs if there else ():
        number = _file_number(job.source)
        if number is not None and number in there:
            raise _replaces(there[number])
    inputs = {real_path(job.source) for job in jobs}
    taken: dict[str, Path] = {}
    for job in jobs:
        target = case_folded(job.target)
        if target == case_folded(job.source) or real_path(job.target) in inputs:
            raise _replaces(job)
        if target in taken:
            raise UsageError(
                f"{taken[target]} and {job.source} would both become {job.target}: "
                "upscale them into different folders"
            )
        taken[target] = job.source


def _replaces(job: Job) -> UsageError:
    return UsageError(f"{job.target} is an input: name another output folder with -o")


def _file_number(path: Path) -> tuple[int, int] | None:
    """The system's own number of a file, whatever its names; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class _KnownOutputs:
    """Entries of several folders' journals, each read once."""

    def __init__(self) -> None:
        self._entries: dict[Path, dict[Path, Entry]] = {}

    def is_result(self, job: Job) -> bool:
        """Tell if the file under the name of a job's result was made by srcli."""
        return _made(self._of(job.folder).get(job.inside), job.target)

    def maker(self, job: Job, inputs: dict[str, list[Job]]) -> Job | None:
        """The job of the input that a job's input was once made of; None if there is none."""
        for folder in dict.fromkeys((job.source.parent, job.folder)):
            entries = self._of(folder)
            entry = entries.get(_inside(job.source, folder)) if entries else None
            if entry is not None and _made(entry, job.source):
                origin = inputs.get(case_folded(entry.source), [job])[0]
                return None if origin is job else origin
        return None

    def _of(self, folder: Path) -> dict[Path, Entry]:
        if folder not in self._entries:
            self._entries[folder] = _read(folder)
        return self._entries[folder]


def _inside(path: Path, folder: Path) -> Path:
    """A path as seen from a folder."""
    try:
        return Path(os.path.relpath(path, folder))
    except ValueError:  # on another drive
        return path


def _read(folder: Path) -> dict[Path, Entry]:
    """A journal's entries; none where there is no journal, or none that can be read."""
    if not os.path.lexists(journal_path(folder)):
        return {}
    try:
        journal = Journal(folder, create=False)
    except JournalError:
        return {}
    try:
        return journal.entries()
    except JournalError:
        return {}
    finally:
        journal.close()


def _made(entry: Entry | None, path: Path) -> bool:
    """Tell if a file is the one in the journal, or one that a run was about to replace."""
    if entry is None or entry.output is None:
        return False
    return entry.state == "writing" or unchanged(path, entry.output)
