"""One run at a time in a folder: a lock that the system gives back when its holder dies.

Where the file system knows no locks, the number in the file alone keeps others out: that of a
process that runs.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from srcli.atomic import process_place
from srcli.errors import FolderBusy

__all__ = ["FolderLock"]

_POLL_SECONDS = 0.5
_HOLDER_BYTES = 40
_HELD: set[tuple[int, int]] = set()  # by this process: device and inode


class FolderLock:
    """Holds `.srcli/lock` of a folder, with our process's number inside.

    Args:
        path: The lock's file; made if it is missing, and left where it is.
        wait: Wait for another run to end instead of giving up.
        on_wait: Told the other's process number, once, before the waiting begins.
        shown: What is locked, for messages; None: the folder.

    Raises:
        FolderBusy: Another run holds it.
    """

    def __init__(
        self,
        path: Path,
        *,
        wait: bool,
        on_wait: Callable[[str], None],
        shown: Path | None = None,
    ) -> None:
        self._shown = shown or path.parent.parent
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._acquire(on_wait if wait else None)
            os.ftruncate(self._descriptor, 1)
            os.lseek(self._descriptor, 1, os.SEEK_SET)
            os.write(self._descriptor, f"{os.getpid()} {process_place()}".encode())
            _HELD.add(self._file())
        except BaseException:
            os.close(self._descriptor)
            raise

    def _acquire(self, on_wait: Callable[[str], None] | None) -> None:
        told = False
        while (taken := _try_lock(self._descriptor)) is not True:
            number, place = self._holder()
            if self._is_abandoned(number, place) and (
                taken is None or self._is_still_refused(number)
            ):
                return
            if on_wait is None:
                raise FolderBusy(
                    f"{self._shown} is in use by another run, process {number or '?'}; "
                    "hint: wait for it with --wait, stop it, or name another folder with -o"
                )
            if not told:
                on_wait(number or "?")
                told = True
            time.sleep(_POLL_SECONDS)

    def _is_still_refused(self, number: str) -> bool:
        """Tell if a lock whose holder is dead stays refused: the file system grants none."""
        time.sleep(_POLL_SECONDS)  # a new holder writes its number at once
        return _try_lock(self._descriptor) is not True and self._holder()[0] == number

    def _holder(self) -> tuple[str, str]:
        """Process number and place that the holder left behind the byte that is locked."""
        os.lseek(self._descriptor, 1, os.SEEK_SET)
        text = os.read(self._descriptor, _HOLDER_BYTES).decode(errors="replace")
        number, _, place = text.strip().partition(" ")
        return number, place

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
        _HELD.discard(self._file())
        os.close(self._descriptor)

    def _file(self) -> tuple[int, int]:
        state = os.fstat(self._descriptor)
        return state.st_dev, state.st_ino

    def _is_abandoned(self, number: str, place: str) -> bool:
        """Tell if no number is there, or that of a process of this machine that is gone."""
        if self._file() in _HELD:
            return False
        if not number.isdecimal():
            return True
        here = place in ("", process_place())
        return here and (int(number) == os.getpid() or not psutil.pid_exists(int(number)))


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool | None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import errno
    import fcntl

    _NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}

    def _try_lock(descriptor: int) -> bool | None:
        """Tell if the lock is ours now; None where the file system knows no locks."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return None
        return True
