"""Results that srcli has made, by the journals of folders and by records of single results."""

import os
from pathlib import Path
from typing import Self

from srcli.errors import JournalError
from srcli.jobs.identity import unchanged
from srcli.jobs.job import Job
from srcli.jobs.journal import Entry, Journal, journal_path
from srcli.jobs.many_keys import JobsByName
from srcli.jobs.naming import case_folded
from srcli.jobs.result_records import read_record, record_name, record_names

__all__ = ["KnownOutputs"]


class KnownOutputs:
    """Journals of several folders, and records of single results; a context manager."""

    def __init__(self) -> None:
        self._journals: dict[Path, Journal | None] = {}
        self._above: dict[Path, tuple[Path, ...]] = {}  # folders with journals, by a folder in them
        self._records = record_names()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for journal in self._journals.values():
            if journal is not None:
                journal.close()
        self._journals = {}

    def is_result(self, job: Job) -> bool:
        """Tell if the file under the name of a job's result was made by srcli."""
        entry = self._entry(job.folder, job.inside)
        return _made(entry, job.target) or _made(self._record(job.target), job.target)

    def maker(self, job: Job, inputs: JobsByName) -> Job | None:
        """The job of the input that a job's input was once made of; None if there is none.

        The journals of all folders above it are asked, for a result may lie in a subfolder.
        """
        folders = self._journals_above(job.source.parent)
        for folder in (*folders, job.folder):
            if self._of(folder) is None:
                continue
            entry = self._entry(folder, _inside(job.source, folder))
            if entry is not None and _made(entry, job.source):
                return _other(job, entry, inputs)
        record = self._record(job.source)
        if record is not None and _made(record, job.source):
            return _other(job, record, inputs)
        return None

    def _journals_above(self, folder: Path) -> tuple[Path, ...]:
        """The folder and those above it, as far as they have journals."""
        if folder not in self._above:
            here = Path(os.path.abspath(folder))  # noqa: PTH100 links are left as they are
            self._above[folder] = tuple(
                one for one in (here, *here.parents) if self._of(one) is not None
            )
        return self._above[folder]

    def _record(self, path: Path) -> Entry | None:
        """The record of a single result; None if there is none."""
        if not self._records or record_name(path) not in self._records:
            return None
        return read_record(path)

    def _entry(self, folder: Path, inside: Path) -> Entry | None:
        journal = self._of(folder)
        try:
            return None if journal is None else journal.entry(inside)
        except JournalError:
            return None

    def _of(self, folder: Path) -> Journal | None:
        if folder not in self._journals:
            self._journals[folder] = _opened(folder)
        return self._journals[folder]


def _other(job: Job, entry: Entry, inputs: JobsByName) -> Job | None:
    """The job of the input that an entry names; None if it is not among the inputs."""
    origins = inputs.named(case_folded(entry.source)) or [job]
    return None if origins[0] is job else origins[0]


def _inside(path: Path, folder: Path) -> Path:
    """A path as seen from a folder."""
    try:
        return Path(os.path.relpath(path, folder))
    except ValueError:  # on another drive
        return path


def _opened(folder: Path) -> Journal | None:
    """A folder's journal; None where there is none, or none that can be read."""
    if not os.path.lexists(journal_path(folder)):
        return None
    try:
        return Journal(folder, create=False)
    except JournalError:
        return None


def _made(entry: Entry | None, path: Path) -> bool:
    """Tell if a file is the one in the journal, or one that a run was about to replace."""
    if entry is None or entry.output is None:
        return False
    return entry.state == "writing" or unchanged(path, entry.output)
