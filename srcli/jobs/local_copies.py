"""Copies on this machine of inputs from storage, and of results that go there."""

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Self

from srcli.atomic import TEMPORARY_SUFFIX, process_place
from srcli.errors import ImageTooLarge, StorageError, UnreadableImage
from srcli.jobs.identity import Identity
from srcli.jobs.job import Job
from srcli.jobs.naming import shortened
from srcli.jobs.resume import is_abandoned
from srcli.media.video.animation_read import is_animation
from srcli.storage import StoredObject, download
from srcli.url_paths import UrlPath

__all__ = ["LocalCopies", "LocalJob", "touches_storage"]

_PREFIX = ".srcli-copies."
_LEFT_FREE = 64 << 20  # bytes, on the disk of the copies


def touches_storage(job: Job) -> bool:
    """Tell if the input or the result of a job lies in storage elsewhere."""
    return isinstance(job.source, UrlPath) or isinstance(job.target, UrlPath)


@dataclass(frozen=True)
class LocalJob:
    """A job with copies in place of what lies in storage.

    Args:
        job: Input and result, both on this machine.
        origin: Identity of the input in storage; None if it lies here.
        folder: Of the copies.
    """

    job: Job
    origin: StoredObject | None
    folder: Path

    def origin_of(self, read: Identity) -> Identity:
        """The input's identity as the journal keeps it, by that of the copy."""
        if self.origin is None:
            return read
        return replace(read, mtime_ns=self.origin.mtime_ns, tag=self.origin.tag)

    def remove_input(self) -> None:
        """Remove the copy of the input, and the folder if no result waits there."""
        if self.origin is not None:
            self.job.source.unlink(missing_ok=True)
        remove_if_empty(self.folder)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder of copies once there is none in it."""
    with contextlib.suppress(OSError):
        folder.rmdir()


class LocalCopies:
    """A folder of copies that ends with the run; a context manager, used from any thread.

    It lies among the temporary files of the system (TMPDIR), and is made when it is first needed;
    those that killed runs have left are removed then.

    Args:
        most_bytes: Largest input.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._numbers = count()
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove all copies."""
        with self._lock:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def fetch(self, job: Job) -> LocalJob:
        """Download a job's input, if it lies in storage, and give its result a place here.

        Raises:
            StorageError: It cannot be read.
            ImageTooLarge: It is beyond the limit.
            UnreadableImage: It is an animation.
        """
        folder = self._new_folder()
        here, origin = job, None
        if isinstance(job.target, UrlPath):
            here = replace(here, target=folder / job.target.name, base=folder)
        if isinstance(job.source, UrlPath):
            copy = folder / shortened(f"input {job.source.name}")
            here = replace(here, source=copy)
            try:
                origin = self._fetched(job.source, copy)
            except BaseException:
                copy.unlink(missing_ok=True)
                remove_if_empty(folder)
                raise
        return LocalJob(here, origin, folder)

    def _fetched(self, url: UrlPath, copy: Path) -> StoredObject:
        def permit(found: StoredObject) -> None:
            if found.size > self._most_bytes:
                raise ImageTooLarge(
                    f"{url}: {found.size} bytes, limit {self._most_bytes}; raise --max-file-size"
                )
            free = shutil.disk_usage(copy.parent).free - _LEFT_FREE
            if found.size > free:
                raise StorageError(
                    f"{url}: {found.size / 1e6:.0f} MB, and {max(free, 0) / 1e6:.0f} MB are free "
                    f"for copies in {copy.parents[2]}; hint: make room, or set TMPDIR to a larger "
                    "disk"
                )

        origin = download(url, copy, permit)
        if is_animation(copy):
            raise UnreadableImage(
                f"{url}: an animation; those are done from folders of this machine only; hint: "
                "copy it there"
            )
        return origin

    def _new_folder(self) -> Path:
        with self._lock:
            if self._folder is None:
                above = Path(tempfile.gettempdir())
                _remove_abandoned(above)
                owner = f"{os.getpid()}-{process_place()}-{secrets.token_hex(4)}"
                self._folder = above / f"{_PREFIX}{owner}{TEMPORARY_SUFFIX}"
                self._folder.mkdir(mode=0o700)
            folder = self._folder / str(next(self._numbers))
            folder.mkdir()
        return folder


def _remove_abandoned(above: Path) -> None:
    """Remove the copies of runs that were killed."""
    for folder in above.glob(f"{_PREFIX}*{TEMPORARY_SUFFIX}"):
        with contextlib.suppress(OSError):
            if is_abandoned(folder.name, folder.lstat().st_mtime):
                shutil.rmtree(folder, ignore_errors=True)
