"""Identity of a file: size and time at a glance, its content where that does not settle it.

Of an object in storage, its tag stands for its content, and it is read only where none is known.
"""

import contextlib
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from srcli.errors import StorageError
from srcli.storage import digest_of, look_up
from srcli.url_paths import UrlPath

__all__ = ["Identity", "digest", "give_time", "identity_of", "is_there", "unchanged"]


@dataclass(frozen=True)
class Identity:
    """One state of a file.

    Args:
        size: Bytes.
        mtime_ns: When its content last changed.
        sha256: Of its content, hexadecimal; None if nobody has read it yet.
        tag: Of an object in storage, see `StoredObject`; "" of a file.
    """

    size: int
    mtime_ns: int
    sha256: str | None = None
    tag: str = ""


def identity_of(path: Path) -> Identity | None:
    """Size and time of a regular file, or an object; None if there is none."""
    if isinstance(path, UrlPath):
        stored = look_up(path)
        return stored and Identity(stored.size, stored.mtime_ns, tag=stored.tag)
    try:
        found = path.stat()
    except OSError:
        return None
    return Identity(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def give_time(path: Path, mtime_ns: int) -> None:
    """Set the modification time of a file, in ns, where the file system allows it."""
    with contextlib.suppress(OSError, OverflowError):
        os.utime(path, ns=(path.stat().st_atime_ns, mtime_ns))


def is_there(path: Path) -> bool:
    """Tell if anything has that name; no where the system accepts no such name."""
    if isinstance(path, UrlPath):
        return look_up(path) is not None
    try:
        return path.exists()
    except OSError:
        return False


def digest(path: Path) -> str:
    """sha256 of a file or an object, hexadecimal.

    Raises:
        OSError: It cannot be read.
        StorageError: Likewise.
    """
    if isinstance(path, UrlPath):
        return digest_of(path)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def unchanged(path: Path, known: Identity) -> bool:
    """Tell if a file is unchanged; read only if its time differs and its size does not.

    An object is read only if no tag of it was known.
    """
    now = identity_of(path)
    if now is None or now.size != known.size:
        return False
    if known.tag:
        return now.tag == known.tag
    if now.mtime_ns == known.mtime_ns:
        return True
    try:
        return known.sha256 is not None and digest(path) == known.sha256
    except (OSError, StorageError):
        return False
