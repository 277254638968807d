"""The journals of all folders that one run writes into, and the locks that keep others out."""

import contextlib
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from srcli.atomic import BeforeRename
from srcli.errors import FolderBusy, SrcliError, cannot_write
from srcli.jobs.identity import Identity, give_time, identity_of, is_there
from srcli.jobs.job import Job, is_moving
from srcli.jobs.journal import FOLDER, Entry, Journal, RunRecord, journal_path
from srcli.jobs.result_records import read_record, record_of, write_record
from srcli.jobs.resume import OutputState, Verdict, absolute, classify_output, remove_leftovers
from srcli.jobs.settings import Settings
from srcli.locks import FolderLock

__all__ = ["OutputRecord", "ResultRecorder", "RunJournal"]


@dataclass(frozen=True)
class OutputRecord:
    """An output and what it was made from.

    Args:
        origin: What the input was when it was read.
        width: Of the output, px.
        height: Of the output, px.
        seconds: Time in the network.
        chosen: The weights that `auto` chose, and why; empty if a model was named.
        sha256: Of the output; "" if it is to be read for that.
    """

    origin: Identity
    width: int
    height: int
    seconds: float
    chosen: str = ""
    sha256: str = ""


@runtime_checkable
class ResultRecorder(Protocol):
    """Interface of what learns of results: a run's journal, or a worker of a cluster."""

    def before_rename(self, job: Job, made: OutputRecord) -> BeforeRename:
        """Callback for the temporary file before it is renamed."""
        ...

    def done(self, job: Job) -> None:
        """An output is written."""
        ...


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


class RunJournal:
    """Knows what was done, and writes down what is done; used as a context manager.

    A single input keeps no journal, but is written into one that is there, else into a record of
    its own (`result_records`).

    Args:
        jobs: All of them.
        settings: What is asked for.
        wait: Wait for another run in one of the folders to end.
        times: Results get the modification times of their inputs.
        tell: Told, once, what is waited for, and what is wrong with a journal.

    Raises:
        FolderBusy: Another run writes into one of the folders.
        JournalError: A journal is damaged.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        settings: Settings,
        *,
        wait: bool,
        tell: Callable[[str], None],
        times: bool = False,
    ) -> None:
        self._settings, self._wait, self._tell, self._times = settings, wait, tell, times
        self._keeps = len(jobs) > 1
        self._locks: list[FolderLock] = []
        self._journals: dict[Path, Journal] = {}
        self._told = False
        self._records: dict[Path, Entry] = {}
        self._recorded: set[Path] = set()  # results that no journal lists
        self._new_folders: list[Path] = []
        try:
            for folder in dict.fromkeys(job.folder for job in jobs):
                if journal_path(folder).exists():
                    self._open(folder)
            texts = {kind: settings.text(kind) for kind in {job.image_format for job in jobs}}
            self.verdicts: tuple[Verdict, ...] = tuple(
                classify_output(
                    job,
                    self._known(job),
                    texts[job.image_format],
                )
                for job in jobs
            )
            """State of every job, in the order of the jobs."""
        except BaseException:
            self.close()
            raise

    def _known(self, job: Job) -> Entry | None:
        """Entry of an output in its folder's journal or a record of its own; None without one."""
        journal = self._journals.get(job.folder)
        entry = None if journal is None else journal.entry(job.inside)
        if (entry is not None and entry.output is not None) or not is_there(job.target):
            return entry
        record = read_record(job.target)  # made alone, perhaps before the folder had a journal
        if record is not None:
            self._recorded.add(job.target)
        return record or entry

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others in; remove folders that this run has made and put nothing into."""
        for journal in self._journals.values():
            journal.close()
        for folder in self._new_folders:
            _remove_if_empty(folder)
        for lock in self._locks:
            lock.release()
        self._journals, self._locks, self._new_folders = {}, [], []

    def begin(self, run: RunRecord, todo: Sequence[Job]) -> None:
        """Write down that these are about to be done, and clean up after runs that died.

        Raises:
            FolderBusy: Another run has begun there meanwhile.
            UsageError: A folder cannot be written.
            NoRoom: The disk is full.
        """
        folders: dict[Path, list[Job]] = {}
        for job in todo:
            folders.setdefault(job.folder, []).append(job)
        for folder, here in folders.items():
            try:
                if self._keeps and folder not in self._journals:
                    self._open(folder)
                remove_leftovers({job.target.parent for job in here})
                if journal := self._journals.get(folder):
                    journal.begin(run, ((job.inside, absolute(job.source)) for job in here))
            except OSError as error:
                reason = error.strerror or error
                raise cannot_write(
                    f"{folder}: {reason}; hint: name another folder with -o", error
                ) from error
        stale = [verdict for verdict in self.verdicts if verdict.stale]
        busy = set(todo) if stale else set[Job]()
        for verdict in stale:
            journal = self._journals.get(verdict.job.folder)
            known = verdict.known
            if verdict.job.target in self._recorded:
                continue
            if journal and known is not None and verdict.job not in busy:
                self._try(journal, partial(Journal.recognise, entry=known))

    def keep_times(self, verdicts: Sequence[Verdict]) -> None:
        """Give results that were done before the modification times of their inputs."""
        for verdict in verdicts:
            known = verdict.known
            if verdict.state is OutputState.DONE and not verdict.stale:  # as it was written down
                moving = is_moving(verdict.job)
                known = read_record(verdict.job.target) if moving else self._known(verdict.job)
            if known is None or known.origin is None or known.output is None:
                continue
            give_time(verdict.job.target, known.origin.mtime_ns)
            now = identity_of(verdict.job.target)
            if now is None or now.mtime_ns == known.output.mtime_ns:
                continue
            entry = replace(known, output=replace(known.output, mtime_ns=now.mtime_ns))
            journal = self._journals.get(verdict.job.folder)
            by_record = is_moving(verdict.job) or verdict.job.target in self._recorded
            if journal is None or by_record:
                write_record(entry)
            else:
                self._try(journal, partial(Journal.recognise, entry=entry))

    def before_rename(self, job: Job, made: OutputRecord) -> BeforeRename:
        """Callback for the temporary file before it is renamed."""

        def write_down(temporary: Path) -> None:
            if self._times:
                give_time(temporary, made.origin.mtime_ns)
            text = self._settings.text(job.image_format)
            entry = record_of(job.source, temporary, made.origin, text, sha256=made.sha256)
            if entry is None:
                return
            entry = replace(entry, chosen=made.chosen)
            journal = self._journals.get(job.folder)
            if journal is None:
                self._records[job.target] = replace(entry, target=absolute(job.target))
                return
            journal.writing(
                replace(
                    entry,
                    target=job.inside,
                    source=absolute(job.source),
                    state="writing",
                    width=made.width,
                    height=made.height,
                    seconds=made.seconds,
                    ended=None,
                )
            )

        return write_down

    def done(self, job: Job) -> None:
        """An output has its name."""
        if entry := self._records.pop(job.target, None):
            write_record(entry)
        if journal := self._journals.get(job.folder):
            self._try(journal, lambda j: j.done(job.inside))

    def failed(self, job: Job, reason: str) -> None:
        """An input has failed."""
        if journal := self._journals.get(job.folder):
            self._try(journal, lambda j: j.failed(job.inside, reason))

    def end(self, outcome: str) -> None:
        """The run has ended."""
        for journal in self._journals.values():
            self._try(journal, lambda j: j.end(outcome))

    def _open(self, folder: Path) -> None:
        def told(holder: str) -> None:
            self._tell(f"{folder} is in use by process {holder}; waiting for it to end")

        missing = [one for one in (folder, *folder.absolute().parents) if not one.exists()]
        with _nothing_left_behind(folder / FOLDER):
            try:
                lock = self._lock(folder, told)
            except OSError as error:
                reason = error.strerror or error
                raise cannot_write(
                    f"{folder}: {reason}; hint: name another folder with -o", error
                ) from error
            try:
                self._journals[folder] = Journal(folder, create=True)
            except BaseException:
                lock.release()
                raise
            self._locks.append(lock)
            self._new_folders += missing

    def _lock(self, folder: Path, on_wait: Callable[[str], None]) -> FolderLock:
        """Lock a folder; again if the run that was waited for has removed it."""
        path = folder / FOLDER / "lock"
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FolderLock(path, wait=self._wait, on_wait=on_wait)
            if lock.is_at(path):
                return lock
            lock.release()

    def _try(self, journal: Journal, change: Callable[[Journal], None]) -> None:
        """Change a journal; if the disk is full, the next run will find out by itself."""
        try:
            change(journal)
        except (OSError, SrcliError) as error:
            if not self._told:
                self._tell(getattr(error, "strerror", None) or str(error))
                self._told = True
