"""The journals of all folders that one run writes into, and the locks that keep others out."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from srcli.atomic import BeforeRename
from srcli.errors import SrcliError, cannot_write
from srcli.jobs.identity import Identity, digest, give_time, identity_of, is_there
from srcli.jobs.job import Job, is_moving
from srcli.jobs.journal import Entry, Journal, RunRecord
from srcli.jobs.open_journals import OpenJournals
from srcli.jobs.result_records import read_record, write_record
from srcli.jobs.resume import (
    OutputState,
    Verdict,
    absolute,
    classify_output,
    is_abandoned,
    remove_leftovers,
)
from srcli.jobs.settings import Settings
from srcli.storage import (
    StoredObject,
    abort_uploads,
    remember,
    remember_folder,
    remove_temporaries,
    upload,
)
from srcli.url_paths import UrlPath

__all__ = ["OutputRecord", "ResultRecorder", "RunJournal"]

_WORTH_LISTING = 20  # results in a folder in storage, from which on one request for each is dearer


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
        size: Bytes of the output; -1 if it is to be looked at.
    """

    origin: Identity
    width: int
    height: int
    seconds: float
    chosen: str = ""
    sha256: str = ""
    size: int = -1


@runtime_checkable
class ResultRecorder(Protocol):
    """Interface of what learns of results: a run's journal, or a worker of a cluster."""

    def before_rename(self, job: Job, made: OutputRecord) -> BeforeRename:
        """Callback for the temporary file before it is renamed."""
        ...

    def done(self, job: Job) -> None:
        """An output is written."""
        ...


class RunJournal:
    """Knows what was done, and writes down what is done; used as a context manager.

    A single input keeps no journal, but is written into one that is there, else into a record of
    its own (`result_records`), unless it goes into storage.

    Args:
        jobs: All of them.
        settings: What is asked for.
        wait: Wait for another run in one of the folders to end.
        times: Results get the modification times of their inputs.
        named: The file that --journal names.
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
        named: Path | None = None,
    ) -> None:
        self._settings, self._tell, self._times = settings, tell, times
        folders = Counter(job.folder for job in jobs)
        self._stored = [folder for folder in folders if isinstance(folder, UrlPath)]
        self._keeps = len(jobs) > 1 or named is not None or bool(self._stored)
        self._journals = OpenJournals(named, wait=wait, tell=tell)
        self._told = False
        self._records: dict[Path, Entry] = {}
        self._recorded: set[Path] = set()  # results that no journal lists
        try:
            for folder in folders:
                if self._journals.place(folder).file.exists():
                    self._journals.open(folder)
            for folder in self._stored:
                if folders[folder] >= _WORTH_LISTING:
                    remember_folder(folder)
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
        journal = self._journals.of(job.folder)
        entry = None if journal is None else journal.entry(self._journals.key(job))
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
        self._journals.close()

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
                if self._keeps:
                    self._journals.open(folder)
                remove_leftovers({job.target.parent for job in here})
                if journal := self._journals.of(folder):
                    key = self._journals.key
                    journal.begin(run, ((key(job), absolute(job.source)) for job in here))
                    self._remove_unfinished(folder, journal)
            except OSError as error:
                reason = error.strerror or error
                raise cannot_write(
                    f"{folder}: {reason}; hint: name another folder with -o", error
                ) from error
        stale = [verdict for verdict in self.verdicts if verdict.stale]
        busy = set(todo) if stale else set[Job]()
        for verdict in stale:
            journal = self._journals.of(verdict.job.folder)
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
            journal = self._journals.of(verdict.job.folder)
            by_record = is_moving(verdict.job) or verdict.job.target in self._recorded
            if journal is None or by_record:
                write_record(entry)
            else:
                self._try(journal, partial(Journal.recognise, entry=entry))

    def before_rename(self, job: Job, made: OutputRecord) -> BeforeRename:
        """Callback for the temporary file before it is renamed; to storage it is uploaded."""

        def write_down(temporary: Path) -> bool | None:
            if self._times:
                give_time(temporary, made.origin.mtime_ns)
            found = identity_of(temporary)
            if found is None:
                return None
            self.writing(job, replace(made, sha256=made.sha256 or digest(temporary)), found)
            if not isinstance(job.target, UrlPath):
                return None
            self.uploaded(job, upload(temporary, job.target))
            temporary.unlink()
            return False

        return write_down

    def writing(self, job: Job, made: OutputRecord, output: Identity) -> None:
        """An output is whole on a disk, and about to get its name.

        Args:
            job: Its job.
            made: What it was made from, with its sha256.
            output: Its size and time.
        """
        entry = Entry(
            absolute(job.target),
            absolute(job.source),
            "writing",
            settings=self._settings.text(job.image_format),
            origin=made.origin,
            output=replace(output, sha256=made.sha256),
            width=made.width,
            height=made.height,
            seconds=made.seconds,
            chosen=made.chosen,
        )
        journal = self._journals.of(job.folder)
        if journal is None:
            self._records[job.target] = replace(entry, state="done", ended=time.time())
        else:
            journal.writing(replace(entry, target=self._journals.key(job)))

    def uploaded(self, job: Job, found: StoredObject) -> None:
        """An output is whole in storage."""
        assert isinstance(job.target, UrlPath)
        remember(job.target, found)
        if journal := self._journals.of(job.folder):
            key = self._journals.key(job)
            self._try(journal, lambda j: j.uploaded(key, found.mtime_ns, found.tag))

    def done(self, job: Job) -> None:
        """An output has its name."""
        if entry := self._records.pop(job.target, None):
            write_record(entry)
        if journal := self._journals.of(job.folder):
            key = self._journals.key(job)
            self._try(journal, lambda j: j.done(key))

    def failed(self, job: Job, reason: str) -> None:
        """An input has failed."""
        if journal := self._journals.of(job.folder):
            key = self._journals.key(job)
            self._try(journal, lambda j: j.failed(key, reason))

    def end(self, outcome: str) -> None:
        """The run has ended."""
        for folder in self._stored:  # workers that were lost may have left some
            if journal := self._journals.of(folder):
                abort_uploads(folder, lambda url, j=journal: j.entry(url) is not None)
        for journal in self._journals.all():
            self._try(journal, lambda j: j.end(outcome))

    def _remove_unfinished(self, folder: Path, journal: Journal) -> None:
        """Remove what dead runs have left in storage of results that a journal lists."""
        if isinstance(folder, UrlPath):
            abort_uploads(folder, lambda url: journal.entry(url) is not None)
            remove_temporaries(folder, is_abandoned)

    def _try(self, journal: Journal, change: Callable[[Journal], None]) -> None:
        """Change a journal; if the disk is full, the next run will find out by itself."""
        try:
            change(journal)
        except (OSError, SrcliError) as error:
            if not self._told:
                self._tell(getattr(error, "strerror", None) or str(error))
                self._told = True
