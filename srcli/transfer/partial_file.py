"""The part of a file that has come so far: who works on it, and room for the rest."""

import errno
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["locked", "partial_name", "require_room"]


def partial_name(path: Path) -> Path:
    """The hidden name under which a file comes, so that a later call can continue with it."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def locked(path: Path, on_wait: Callable[[], None]) -> Generator[None]:
    """Hold the lock of a file or folder, one for all processes; it lies beside it.

    Args:
        path: What is worked on; its parent folder exists.
        on_wait: Told once if another process holds the lock.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def require_room(partial: Path, size: int, copies: int = 1) -> None:
    """Refuse to begin a download that the disk will not take.

    Args:
        partial: What has come so far; its folder exists.
        size: Bytes of the whole file; 0 if not known.
        copies: How many files of that size will lie there at the same time.

    Raises:
        OSError: `ENOSPC`, as if the disk were full.
    """
    there = partial.stat().st_size if partial.exists() else 0
    needed = size * copies - there
    free = shutil.disk_usage(partial.parent).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed} bytes needed, {free} free")
