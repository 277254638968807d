"""The objects that a run has listed, so that a million of them need no request each.

They are kept on disk, in a file without a name that ends with the process.
"""

import sqlite3
import threading
from collections.abc import Iterable

from srcli.storage.listing import list_objects
from srcli.storage.objects import StoredObject, find
from srcli.url_paths import UrlPath

__all__ = ["forget_objects", "look_up", "remember", "remember_folder"]

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE objects (url TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, tag TEXT)
    WITHOUT ROWID;
"""


class _Catalogue:
    """Objects by their URLs; used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._folders: set[UrlPath] = set()  # of which all objects are known

    def forget(self) -> None:
        """Forget everything: it may have changed since."""
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db, self._folders = None, set()

    def keep(self, objects: Iterable[tuple[UrlPath, StoredObject]]) -> None:
        """Take note of objects."""
        with self._lock:
            self._open().executemany(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)",
                ((str(url), one.size, one.mtime_ns, one.tag) for url, one in objects),
            )

    def complete(self, folder: UrlPath) -> None:
        """All objects of a folder have been kept."""
        self._folders.add(folder)

    def get(self, url: UrlPath) -> StoredObject | None:
        """An object that was kept."""
        with self._lock:
            if self._db is None:
                return None
            row = self._db.execute(
                "SELECT size, mtime_ns, tag FROM objects WHERE url = ?", (str(url),)
            ).fetchone()
        return None if row is None else StoredObject(*row)

    def is_complete(self, url: UrlPath) -> bool:
        """Tell if an object that was not kept is none."""
        return bool(self._folders) and not self._folders.isdisjoint(url.parents)

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._db.executescript(_TABLES)
        return self._db


_catalogue = _Catalogue()


def forget_objects() -> None:
    """Forget what was listed: it may have changed since another batch was planned."""
    _catalogue.forget()


def remember(url: UrlPath, found: StoredObject) -> None:
    """Take note of an object that was listed or written, for `look_up`."""
    _catalogue.keep([(url, found)])


def remember_folder(folder: UrlPath) -> None:
    """List all objects of a folder, for `look_up`.

    Raises:
        StorageError: It cannot be listed.
        UsageError: There is no such bucket.
    """
    _catalogue.keep(
        (folder / one.inside, one.found) for one in list_objects(folder) if one.is_named
    )
    _catalogue.complete(folder)


def look_up(url: UrlPath) -> StoredObject | None:
    """An object as it was when it was listed, else as it is now; None if there is none.

    Raises:
        StorageError: The storage does not answer.
    """
    found = _catalogue.get(url)
    if found is not None or _catalogue.is_complete(url):
        return found
    return find(url)
