"""The journals that one run writes, each locked while it does."""

import contextlib
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from srcli.errors import FolderBusy, cannot_write
from srcli.jobs.job import Job
from srcli.jobs.journal import Journal
from srcli.jobs.journal_place import FOLDER, JournalPlace, journal_place
from srcli.locks import FolderLock

__all__ = ["OpenJournals"]


@contextmanager
def _nothing_left_behind(folder: Path) -> Generator[None]:
    """Remove a folder that the block made if it fails; not one that another run made meanwhile."""
    new = not folder.exists()
    try:
        yield
    except FolderBusy:
        raise
    except BaseException:
        if new:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _remove_if_empty(folder: Path) -> None:
    """Remove a folder that holds nothing but a journal, or nothing at all."""
    with contextlib.suppress(OSError):
        if {entry.name for entry in folder.iterdir()} <= {FOLDER}:
            shutil.rmtree(folder / FOLDER, ignore_errors=True)
            folder.rmdir()


class OpenJournals:
    """Journals by the output folders that they are of.

    Args:
        named: The file that --journal names, for all folders; None: each has its own.
        wait: Wait for another run in one of the folders to end.
        tell: Told, once, what is waited for.
    """

    def __init__(self, named: Path | None, *, wait: bool, tell: Callable[[str], None]) -> None:
        self._named, self._wait, self._tell = named, wait, tell
        self._places: dict[Path, JournalPlace] = {}
        self._journals: dict[JournalPlace, Journal] = {}
        self._locks: list[FolderLock] = []
        self._new_folders: list[Path] = []

    def place(self, folder: Path) -> JournalPlace:
        """Where the journal of an output folder is."""
        if folder not in self._places:
            self._places[folder] = journal_place(folder, self._named)
        return self._places[folder]

    def of(self, folder: Path) -> Journal | None:
        """The journal of an output folder, if it is open."""
        return self._journals.get(self.place(folder))

    def all(self) -> list[Journal]:
        """Those that are open."""
        return list(self._journals.values())

    def key(self, job: Job) -> Path:
        """Name of a job's output in its journal."""
        place = self.place(job.folder)
        return job.inside if place.folder else place.key(job.target)

    def open(self, folder: Path) -> None:
        """Lock the journal of an output folder, and open it.

        Raises:
            FolderBusy: Another run holds it.
            JournalError: It is damaged.
            UsageError: It cannot be written.
            NoRoom: The disk is full.
        """
        place = self.place(folder)
        if place in self._journals:
            return
        home = place.lock.parent
        missing = [one for one in (folder, *folder.absolute().parents) if not one.exists()]
        with _nothing_left_behind(home):
            try:
                lock = self._lock(place)
            except OSError as error:
                where, remedy = folder, "name another folder with -o"
                if place.folder is None:
                    where, remedy = place.file, "name another file with --journal"
                reason = error.strerror or error
                raise cannot_write(f"{where}: {reason}; hint: {remedy}", error) from error
            try:
                self._journals[place] = Journal(folder, create=True, file=place.file)
            except BaseException:
                lock.release()
                raise
            self._locks.append(lock)
            if place.folder is not None:
                self._new_folders += missing

    def close(self) -> None:
        """Let others in; remove folders that this run has made and put nothing into."""
        for journal in self._journals.values():
            journal.close()
        for folder in self._new_folders:
            _remove_if_empty(folder)
        for lock in self._locks:
            lock.release()
        self._journals, self._locks, self._new_folders = {}, [], []

    def _lock(self, place: JournalPlace) -> FolderLock:
        """Lock a journal; again if the run that was waited for has removed its folder."""
        named = place.folder or place.file

        def told(holder: str) -> None:
            self._tell(f"{named} is in use by process {holder}; waiting for it to end")

        while True:
            place.lock.parent.mkdir(parents=True, exist_ok=True)
            lock = FolderLock(place.lock, wait=self._wait, on_wait=told, shown=named)
            if lock.is_at(place.lock):
                return lock
            lock.release()
