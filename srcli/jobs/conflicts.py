"""No input is replaced, no two results share a name, and what this command has made is no input."""

import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from srcli.errors import UsageError
from srcli.jobs.job import CLIP, Job, Settled, State
from srcli.jobs.known_outputs import KnownOutputs
from srcli.jobs.many_keys import JobsByName, hashes_of, shared_with, with_repeated
from srcli.jobs.naming import case_folded, real_path
from srcli.url_paths import UrlPath

__all__ = ["ExistingResults", "resolve_conflicts"]

_SHOWN = 10
_SAME_INPUT = "another name of an input that becomes the same file"


@dataclass(frozen=True)
class ExistingResults:
    """Options about results that exist.

    Args:
        overwrite: They shall be replaced.
        journal: The file that --journal names.
    """

    overwrite: bool = False
    journal: Path | None = None


def resolve_conflicts(
    jobs: Sequence[Job],
    existing: ExistingResults,
    tell: Callable[[str], None],
) -> list[Job]:
    """Leave out inputs that are results of others, so that patterns find the same ones again.

    An input is one if another input becomes it now, or has become it by the journal, with another
    size for example. Where no journal vouches for a file that bears a result's name, it may be a
    photograph of the user's own: its maker's job is `guarded`.

    Args:
        jobs: What the inputs become.
        existing: What is known of results that exist, and whether to keep them.
        tell: Told in one line what is left out.

    Returns:
        The jobs. Of two that would become one file the second is settled if both are names of one
        input, or clips; else both are.

    Raises:
        UsageError: No input is left that would not become the same file as another, or a result
            would replace an input.
    """
    inputs = JobsByName(jobs)
    with KnownOutputs(existing.journal) as known:
        makers = _outputs_by_folder(jobs, inputs)
        recorded = [
            (job.source, maker)
            for job in jobs
            if job.source not in makers and (maker := known.maker(job, inputs)) is not None
        ]
        left_out = makers | dict(recorded)
        making = {maker.source for maker in makers.values()}
        kept = [
            _refuse_inputs_as_outputs(job, overwrite=existing.overwrite)
            if making and job.source in making and not known.is_result(job)
            else job
            for job in jobs
            if not left_out or job.source not in left_out
        ]
    del inputs
    kept = _without_shadowed_clips(kept)
    kept = _parted_collisions(kept, tell)
    _refuse_inputs_replaced([job for job in kept if not job.settled])
    if left_out:
        (path, maker), *more = left_out.items()
        are = "inputs are results" if len(more) > 1 else "input is a result"
        others = f"; {len(more)} more {are}, too" if more else ""
        tell(f"skipping {path}: it is the result of {maker.source}{others}")
    return kept


def _outputs_by_folder(jobs: Sequence[Job], inputs: JobsByName) -> dict[Path, Job]:
    """The inputs that are there under the name of another's result, and that other's job."""
    found: dict[Path, Job] = {}
    for job in jobs:
        for other in inputs.named(case_folded(job.target)):
            if other is not job and _is_file(job.target, other.source):
                found[other.source] = job
    return found


def _is_file(target: Path, source: Path) -> bool:
    """Tell if a name stands for that very file, not for a link to it."""
    if isinstance(target, UrlPath):
        return target == source
    if not os.path.lexists(target) or target.is_symlink():
        return False
    if real_path(target) == real_path(source):
        return True
    number = _file_number(target)  # where no difference of case is seen, both are one
    return number is not None and number == _file_number(source)


def _refuse_inputs_as_outputs(job: Job, *, overwrite: bool) -> Job:
    if overwrite:
        raise UsageError(
            f"{job.target} is an input, and no journal lists it as a result; hint: leave out "
            "--overwrite, or name another output folder with -o"
        )
    return replace(job, guarded=True)


def _without_shadowed_clips(jobs: list[Job]) -> list[Job]:
    """Settle clips whose result would have another clip's name, as of a.avi and a.flv: a.mkv."""
    taken: dict[str, Path] = {}
    settled: dict[Path, Settled] = {}
    for job in with_repeated(jobs, lambda job: case_folded(job.target)):
        first = taken.setdefault(case_folded(job.target), job.source)
        if job.image_format == CLIP and job.base is not None and first != job.source:
            reason = (
                f"{job.source} would become {job.target}, as {first} does; hint: upscale it into "
                "another folder"
            )
            settled[job.source] = Settled(State.FAILED, reason)
    return _with_ends(jobs, settled)


def _with_ends(jobs: list[Job], ends: Mapping[Path, Settled]) -> list[Job]:
    """The jobs, those whose end is known settled."""
    if not ends:
        return jobs
    return [replace(job, settled=ends[job.source]) if job.source in ends else job for job in jobs]


def _refuse_inputs_replaced(jobs: Sequence[Job]) -> None:
    numbers = hashes_of(_file_number(job.target) for job in jobs)
    there = numbers[numbers != hash(None)]
    for job in shared_with(lambda job: _file_number(job.source), jobs, there):
        number = _file_number(job.source)
        for maker in jobs:
            if _file_number(maker.target) == number:
                raise _replaces(maker)
    inputs = hashes_of(real_path(job.source) for job in jobs)
    suspects = shared_with(lambda job: real_path(job.target), jobs, inputs)
    names = {real_path(job.source) for job in jobs} if suspects else set[str]()
    replacing = {job.target for job in suspects if real_path(job.target) in names}
    for job in jobs:
        if case_folded(job.target) == case_folded(job.source) or job.target in replacing:
            raise _replaces(job)


def _parted_collisions(jobs: list[Job], tell: Callable[[str], None]) -> list[Job]:
    """Keep jobs whose results have one name from each other.

    Of several names of one file the first that is no link is done, the others are skipped. Names
    that differ in case or composition alone are all done in a folder that holds such inputs. All
    others fail, for which of them a result is of would depend on what lies beside them.

    Raises:
        UsageError: All of them do.
    """
    by_target: dict[str, list[Job]] = {}
    for job in with_repeated(jobs, lambda job: case_folded(job.target)):
        if not job.settled:
            by_target.setdefault(case_folded(job.target), []).append(job)
    ends: dict[Path, Settled] = {}
    lines: list[str] = []
    for rivals in by_target.values():
        first = next((job for job in rivals if not job.source.is_symlink()), rivals[0])
        for job in rivals:
            line, end = _ending_beside(first, job) if job is not first else ("", None)
            lines += [line] if line else []
            ends |= {job.source: end} if end else {}
            if end and end.state is State.FAILED:
                ends.setdefault(first.source, end)
    more = [f"and {len(lines) - _SHOWN} more such names"] if len(lines) > _SHOWN else []
    for line in (*lines[:_SHOWN], *more):
        tell(line)
    kept = _with_ends(jobs, ends)
    failed = [end.reason for end in ends.values() if end.state is State.FAILED]
    if failed and all(job.settled for job in kept):
        raise UsageError(failed[0])
    return kept


def _ending_beside(first: Job, job: Job) -> tuple[str, Settled | None]:
    """A line to tell, or none; and how a job ends whose result has the name of the first one's."""
    if _is_same_input(job.source, first.source):
        line = f"{job.source} is another name of {first.source}, and becomes the same file"
        return line, Settled(State.SKIPPED, _SAME_INPUT)
    names = _told_apart(first.source, job.source)
    if _differ_in_spelling(first, job):
        line = (
            f"{names} differ in case or composition alone; both are done, but macOS, Windows and "
            "many sticks hold only one of them"
        )
        return line, None
    reason = f"{names} would both become {job.target}; hint: upscale them into different folders"
    return "", Settled(State.FAILED, reason)


def _is_same_input(path: Path, other: Path) -> bool:
    """Tell if two names lead to one file."""
    number = _file_number(path)
    return real_path(path) == real_path(other) or (
        number is not None and number == _file_number(other)
    )


def _differ_in_spelling(job: Job, other: Job) -> bool:
    """Tell if two results have names that differ, in a folder on whose disk such inputs lie.

    Both inputs lie in one folder and differ so themselves: that folder tells them apart, and so
    will the results' folder if it is on the same disk.
    """
    alike = case_folded(job.source) == case_folded(other.source)
    if job.target == other.target or job.source.parent != other.source.parent or not alike:
        return False
    there = next(p for p in (job.target.parent, *job.target.absolute().parents) if p.exists())
    try:
        return there.stat().st_dev == job.source.parent.stat().st_dev
    except OSError:
        return False


def _told_apart(path: Path, other: Path) -> str:
    r"""Two paths in words; those that look alike with their characters as codes.

    >>> print(_told_apart(Path("u\u0308.png"), Path("\u00fc.png")))
    u\u0308.png and \xfc.png
    """
    names = [str(path), str(other)]
    if unicodedata.normalize("NFC", names[0]) == unicodedata.normalize("NFC", names[1]):
        names = [name.encode("unicode_escape").decode() for name in names]
    return " and ".join(names)


def _replaces(job: Job) -> UsageError:
    return UsageError(f"{job.target} is an input; hint: name another output folder with -o")


def _file_number(path: Path) -> tuple[int, int] | None:
    """The system's own number of a file, whatever its names; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
