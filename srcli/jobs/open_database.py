"""Open an SQLite file on whatever file system it lies: with shared memory and locks or without."""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

__all__ = ["open_database"]

_OPENING_SECONDS = 0.5  # after which a lock is taken for one that no one will grant
_BUSY_SECONDS = 10  # waited for who reads or writes the file meanwhile
_NO_LOCKS = "win32-none" if os.name == "nt" else "unix-none"  # SQLite's name for such files


@dataclass(frozen=True)
class _Way:
    """A way to open the file.

    Args:
        access: Of SQLite's URI.
        mode: How changes are made whole: "wal", "truncate" or, for reading, "".
        alone: Nobody else has the file open, so that nothing in memory is shared.
    """

    access: str
    mode: str = ""
    alone: bool = False


_WRITING = (
    _Way("mode=rwc", "wal"),
    _Way(f"mode=rwc&vfs={_NO_LOCKS}", "truncate", alone=True),
)
_READING = (_Way(f"mode=ro&vfs={_NO_LOCKS}", alone=True), _Way("immutable=1"))
"""After the usual way."""


def open_database(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open an SQLite file, in the first way that its file system allows.

    Args:
        path: The file's.
        create: Make it if it is missing, and write to it; otherwise it is only read.

    Raises:
        sqlite3.Error: It cannot be opened in any way.
    """
    ways = _WRITING if create else (_Way(_access(path)), *_READING)
    for way in ways[:-1]:
        try:
            return _connection(path, way)
        except sqlite3.OperationalError:
            continue
    return _connection(path, ways[-1])


def _connection(path: Path, way: _Way) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?{way.access}",
        uri=True,
        timeout=_OPENING_SECONDS,
        check_same_thread=False,
    )
    try:
        _set_up(db, way)
    except BaseException:
        db.close()
        raise
    return db


def _set_up(db: sqlite3.Connection, way: _Way) -> None:
    """Choose how changes are made whole, and touch the file: some refuse only then.

    Raises:
        sqlite3.OperationalError: The file system does not allow it.
    """
    if way.alone:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")  # before anything is read
    if way.mode:
        (mode,) = db.execute(f"PRAGMA journal_mode = {way.mode}").fetchone()
        if mode != way.mode:
            raise sqlite3.OperationalError(f"no {way.mode} journal there")
        db.execute("PRAGMA synchronous = FULL")  # a record must outlast a power cut
        db.execute("PRAGMA wal_autocheckpoint = 100")  # pages: small on a full disk
    db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    db.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")


def _access(path: Path) -> str:
    """URI for SQLite to read the file; that, too, needs room beside it for a shared index."""
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return "mode=rw"
    return "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
