"""One run at a time in a folder: a lock that the system gives back when its holder dies."""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from srcli.errors import FolderBusy

__all__ = ["FolderLock"]

_POLL_SECONDS = 0.5
_PID_BYTES = 20


class FolderLock:
    """Holds `.srcli/lock` of a folder, with our process's number inside.

    Args:
        path: The lock's file; made if it is missing, and left where it is.
        wait: Wait for another run to end instead of giving up.
        on_wait: Told the other's process number, once, before the waiting begins.

    Raises:
        FolderBusy: Another run holds it.
    """

    def __init__(self, path: Path, *, wait: bool, on_wait: Callable[[str], None]) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._acquire(path, on_wait if wait else None)
            os.ftruncate(self._descriptor, 1)
            os.lseek(self._descriptor, 1, os.SEEK_SET)
            os.write(self._descriptor, str(os.getpid()).encode())
        except BaseException:
            os.close(self._descriptor)
            raise

    def _acquire(self, path: Path, on_wait: Callable[[str], None] | None) -> None:
        told = False
        while not _try_lock(self._descriptor):
            holder = self._holder() or "?"
            if on_wait is None:
                raise FolderBusy(
                    f"{path.parent.parent} is in use by another run, process {holder}: "
                    "wait for it with --wait, stop it, or name another folder with -o"
                )
            if not told:
                on_wait(holder)
                told = True
            time.sleep(_POLL_SECONDS)

    def _holder(self) -> str:
        """The number the holder left behind the byte that is locked."""
        os.lseek(self._descriptor, 1, os.SEEK_SET)
        return os.read(self._descriptor, _PID_BYTES).decode(errors="replace").strip()

    def is_at(self, path: Path) -> bool:
        """Tell if the lock still holds the file of that name; another run may have removed it."""
        try:
            return os.path.samestat(path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Let others in."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 1)
        os.close(self._descriptor)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import errno
    import fcntl

    # Some network file systems know no locks: better to work there without than not at all.
    _NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        return True
