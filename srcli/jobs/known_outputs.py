"""Results that srcli has made, by the journals of folders and by records of single results."""

import os
from pathlib import Path
from typing import Self

from srcli.errors import JournalError
from srcli.jobs.identity import unchanged
from srcli.jobs.job import Job
from srcli.jobs.journal import Entry, Journal
from srcli.jobs.journal_place import JournalPlace, journal_place
from srcli.jobs.many_keys import JobsByName
from srcli.jobs.naming import case_folded
from srcli.jobs.result_records import read_record, record_name, record_names
from srcli.url_paths import UrlPath, absolute_path

__all__ = ["KnownOutputs"]


class KnownOutputs:
    """Journals of several folders, and records of single results; a context manager.

    Args:
        named: The file that --journal names.
    """

    def __init__(self, named: Path | None = None) -> None:
        self._named = named
        self._journals: dict[JournalPlace, Journal | None] = {}
        self._above: dict[Path, tuple[JournalPlace, ...]] = {}  # journals, by a folder in theirs
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
        entry = self._entry(journal_place(job.folder, self._named), job.target)
        return _made(entry, job.target) or _made(self._record(job.target), job.target)

    def maker(self, job: Job, inputs: JobsByName) -> Job | None:
        """The job of the input that a job's input was once made of; None if there is none.

        The journals of all folders above it are asked, for a result may lie in a subfolder.
        """
        places = self._journals_above(job.source.parent)
        for place in (*places, journal_place(job.folder, self._named)):
            if self._of(place) is None:
                continue
            entry = self._entry(place, job.source)
            if entry is not None and _made(entry, job.source):
                return _other(job, entry, inputs)
        record = self._record(job.source)
        if record is not None and _made(record, job.source):
            return _other(job, record, inputs)
        return None

    def _journals_above(self, folder: Path) -> tuple[JournalPlace, ...]:
        """Journals of the folder and of those above it, as far as they have any."""
        if folder not in self._above:
            here = absolute_path(folder)  # links are left as they are
            folders = (here, *here.parents)
            if isinstance(here, UrlPath):  # beyond its bucket there is nothing
                folders = tuple(one for one in folders if len(one.parts) > 1)
            places = map(journal_place, folders)
            self._above[folder] = tuple(one for one in places if self._of(one) is not None)
        return self._above[folder]

    def _record(self, path: Path) -> Entry | None:
        """The record of a single result; None if there is none."""
        if not self._records or record_name(path) not in self._records:
            return None
        return read_record(path)

    def _entry(self, place: JournalPlace, path: Path) -> Entry | None:
        journal = self._of(place)
        try:
            return None if journal is None else journal.entry(place.key(path))
        except JournalError:
            return None

    def _of(self, place: JournalPlace) -> Journal | None:
        if place not in self._journals:
            self._journals[place] = _opened(place)
        return self._journals[place]


def _other(job: Job, entry: Entry, inputs: JobsByName) -> Job | None:
    """The job of the input that an entry names; None if it is not among the inputs."""
    origins = inputs.named(case_folded(entry.source)) or [job]
    return None if origins[0] is job else origins[0]


def _opened(place: JournalPlace) -> Journal | None:
    """A journal; None where there is none, or none that can be read."""
    if not os.path.lexists(place.file):
        return None
    try:
        return Journal(place.folder or place.file, create=False, file=place.file)
    except JournalError:
        return None


def _made(entry: Entry | None, path: Path) -> bool:
    """Tell if a file is the one in the journal, or one that a run was about to replace."""
    if entry is None or entry.output is None:
        return False
    return entry.state == "writing" or unchanged(path, entry.output)
