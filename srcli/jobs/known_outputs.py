"""Results that srcli has made, by the journals of folders and by records of single results."""

import os
from pathlib import Path

from srcli.errors import JournalError
from srcli.jobs.identity import unchanged
from srcli.jobs.job import Job
from srcli.jobs.journal import Entry, Journal, journal_path
from srcli.jobs.naming import case_folded
from srcli.jobs.result_records import read_record, record_name, record_names

__all__ = ["KnownOutputs"]


class KnownOutputs:
    """Entries of several folders' journals, each read once, and records of single results."""

    def __init__(self) -> None:
        self._entries: dict[Path, dict[Path, Entry]] = {}
        self._above: dict[Path, tuple[Path, ...]] = {}  # folders with journals, by a folder in them
        self._records = record_names()

    def is_result(self, job: Job) -> bool:
        """Tell if the file under the name of a job's result was made by srcli."""
        entry = self._of(job.folder).get(job.inside)
        return _made(entry, job.target) or _made(self._record(job.target), job.target)

    def maker(self, job: Job, inputs: dict[str, list[Job]]) -> Job | None:
        """The job of the input that a job's input was once made of; None if there is none.

        The journals of all folders above it are asked, for a result may lie in a subfolder.
        """
        folders = self._journals_above(job.source.parent)
        for folder in (*folders, job.folder):
            entries = self._of(folder)
            entry = entries.get(_inside(job.source, folder)) if entries else None
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
            self._above[folder] = tuple(one for one in (here, *here.parents) if self._of(one))
        return self._above[folder]

    def _record(self, path: Path) -> Entry | None:
        """The record of a single result; None if there is none."""
        if not self._records or record_name(path) not in self._records:
            return None
        return read_record(path)

    def _of(self, folder: Path) -> dict[Path, Entry]:
        if folder not in self._entries:
            self._entries[folder] = _read(folder)
        return self._entries[folder]


def _other(job: Job, entry: Entry, inputs: dict[str, list[Job]]) -> Job | None:
    """The job of the input that an entry names; None if it is not among the inputs."""
    origin = inputs.get(case_folded(entry.source), [job])[0]
    return None if origin is job else origin


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
