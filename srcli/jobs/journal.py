"""The journal of an output folder: what was made there, from what, how, and what is still to do.

It is an SQLite database, `.srcli/journal.sqlite` in the folder or elsewhere (`journal_place`), in
WAL mode, so that it can be read while a run writes it; on a file system without shared memory maps
(exFAT, FUSE, 9p) or without locks (NFS, SMB) it does without both, for the folder's lock keeps
other runs out. Before a finished file gets its name, the journal says which content it will have
(state `writing`); so after a crash at any instant it can be told what was finished.
"""

import errno
import sqlite3
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from srcli.errors import JournalError, NoRoom
from srcli.jobs.journal_place import FOLDER, journal_path
from srcli.jobs.journal_schema import (
    ADDED_COLUMNS,
    COLUMNS,
    SCHEMA,
    VERSION,
    Entry,
    RunRecord,
    entry_from_row,
    path_to_cell,
)
from srcli.jobs.open_database import open_database
from srcli.url_paths import UrlPath

__all__ = ["FOLDER", "Entry", "Journal", "RunRecord", "journal_path"]


class Journal:
    """The journal of one folder; used from any thread.

    Args:
        folder: The output folder.
        create: Make it if it is missing; otherwise it is only read, also where nothing can be
            written.
        file: The database; None: the folder's own, see `journal_path`.

    Raises:
        JournalError: It is missing, damaged, or of a later srcli.
    """

    def __init__(self, folder: Path, *, create: bool, file: Path | None = None) -> None:
        self.folder = folder
        self.file = path = file or journal_path(folder)
        self._lock = threading.Lock()
        self._run = 0
        if not create and not path.exists():
            elsewhere = "; hint: name the file of --journal" if isinstance(folder, UrlPath) else ""
            raise JournalError(
                f"{folder} has no journal: it is not the output folder of a batch{elsewhere}"
            )
        with self._readable():
            self._db = open_database(path, create=create)
        try:
            self._check_version(path, create=create)
            self._columns = self._known_columns(create=create)
        except BaseException:
            self._db.close()
            raise

    def _check_version(self, path: Path, *, create: bool) -> None:
        """Write the tables into a new file, or see that it is one of ours."""
        with self._readable():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0 and create:
                self._db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; END;")
            elif version != VERSION:
                raise JournalError(
                    f"{path}: version {version}, this srcli knows {VERSION}; hint: update srcli"
                )

    def _known_columns(self, *, create: bool) -> str:
        """The columns to read; those that an earlier version did not have are added, or empty."""
        with self._readable():
            there = {row[1] for row in self._db.execute("PRAGMA table_info(files)")}
            missing = [name for name in ADDED_COLUMNS if name not in there]
            if create:
                for name in missing:
                    self._db.execute(f"ALTER TABLE files ADD COLUMN {name} {ADDED_COLUMNS[name]}")
                missing = []
        names = COLUMNS.split(", ")
        return ", ".join(f"'' AS {name}" if name in missing else name for name in names)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def entries(self) -> dict[Path, Entry]:
        """Everything known, by the output relative to the folder, in the order it was planned."""
        with self._readable(), self._lock:
            rows = self._db.execute(f"SELECT {self._columns} FROM files ORDER BY rowid").fetchall()
        return {entry.target: entry for entry in map(entry_from_row, rows)}

    def entry(self, target: Path) -> Entry | None:
        """Entry of one output, by its name in the journal; None if there is none."""
        with self._readable(), self._lock:
            row = self._db.execute(
                f"SELECT {self._columns} FROM files WHERE target = ?", (path_to_cell(target),)
            ).fetchone()
        return None if row is None else entry_from_row(row)

    def last_run(self) -> RunRecord | None:
        """The latest run; None if there was none."""
        with self._readable(), self._lock:
            row = self._db.execute(
                "SELECT pid, version, model, weights_sha256, settings, resolved, started, ended, "
                "outcome FROM runs ORDER BY id DESC LIMIT 1"
            ).fetchone()
        return None if row is None else RunRecord(*row)

    def begin(self, run: RunRecord, planned: Iterable[tuple[Path, Path]]) -> None:
        """Write down a run, and the (target, source) that it will work on."""
        with self._changing() as db:
            self._run = db.execute(
                "INSERT INTO runs (pid, version, model, weights_sha256, settings, resolved, "
                "started) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(run.pid, run.version, run.model, run.weights_sha256),
                    *(run.settings, run.resolved, time.time()),
                ),
            ).lastrowid
            db.executemany(
                "INSERT INTO files (target, source, state, run) VALUES (?, ?, 'pending', ?) "
                "ON CONFLICT (target) DO UPDATE SET source = excluded.source, run = excluded.run, "
                "reason = '', state = iif(state = 'writing', 'writing', 'pending')",
                (
                    (path_to_cell(target), path_to_cell(source), self._run)
                    for target, source in planned
                ),
            )

    def end(self, outcome: str) -> None:
        """Write down how the run ended."""
        with self._changing() as db:
            db.execute(
                "UPDATE runs SET ended = ?, outcome = ? WHERE id = ?",
                (time.time(), outcome, self._run),
            )

    def writing(self, made: Entry) -> None:
        """An output is whole on disk and about to get its name."""
        assert made.origin is not None
        assert made.output is not None
        with self._changing() as db:
            db.execute(
                "UPDATE files SET state = 'writing', reason = '', settings = ?, source_size = ?, "
                "source_mtime_ns = ?, source_sha256 = ?, size = ?, mtime_ns = ?, sha256 = ?, "
                "width = ?, height = ?, seconds = ?, ended = ?, chosen = ?, run = ?, "
                "source_tag = ?, tag = ? WHERE target = ?",
                (
                    made.settings,
                    *(made.origin.size, made.origin.mtime_ns, made.origin.sha256),
                    *(made.output.size, made.output.mtime_ns, made.output.sha256),
                    *(made.width, made.height, made.seconds, time.time(), made.chosen, self._run),
                    *(made.origin.tag, made.output.tag),
                    path_to_cell(made.target),
                ),
            )

    def uploaded(self, target: Path, mtime_ns: int, tag: str) -> None:
        """An output is whole in storage: its time and its tag there."""
        with self._changing() as db:
            db.execute(
                "UPDATE files SET mtime_ns = ?, tag = ? WHERE target = ?",
                (mtime_ns, tag, path_to_cell(target)),
            )

    def done(self, target: Path) -> None:
        """An output has its name."""
        self._set(target, "done", "")

    def failed(self, target: Path, reason: str) -> None:
        """An input has failed; what its output was before stays known."""
        text = reason.encode(errors="backslashreplace").decode()  # names in it need not be text
        self._set(target, "failed", text)

    def recognise(self, entry: Entry) -> None:
        """Write down what a file that was touched, moved or left `writing` turned out to be."""
        with self._changing() as db:
            db.execute(
                "UPDATE files SET state = 'done', reason = '', source = ?, source_mtime_ns = ?, "
                "mtime_ns = ?, source_tag = ?, tag = ? WHERE target = ?",
                (
                    path_to_cell(entry.source),
                    entry.origin and entry.origin.mtime_ns,
                    entry.output and entry.output.mtime_ns,
                    entry.origin.tag if entry.origin else "",
                    entry.output.tag if entry.output else "",
                    path_to_cell(entry.target),
                ),
            )

    def _set(self, target: Path, state: str, reason: str) -> None:
        with self._changing() as db:
            db.execute(
                "UPDATE files SET state = ?, reason = ?, ended = ? WHERE target = ?",
                (state, reason, time.time(), path_to_cell(target)),
            )

    @contextmanager
    def _changing(self) -> Generator[sqlite3.Connection, None, None]:
        """One transaction; a disk that refuses it is an OSError like any other."""
        try:
            with self._lock, self._db:
                yield self._db
        except sqlite3.OperationalError as error:
            number = errno.ENOSPC if _is_full(error) else 0
            raise OSError(
                number, f"the journal cannot be written ({error})", str(self.folder)
            ) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from error

    @contextmanager
    def _readable(self) -> Generator[None, None, None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if _is_full(error):
                raise NoRoom(
                    f"{self.file}: {error}; hint: make room, or name a folder on "
                    "another disk with -o"
                ) from error
            raise JournalError(
                f"{self.file}: cannot be opened ({error}); "
                "hint: name a folder on another disk with -o"
            ) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: sqlite3.Error) -> JournalError:
        return JournalError(
            f"{self.file}: {error}; hint: move it away to continue without it (outputs that exist "
            "are kept)"
        )


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
