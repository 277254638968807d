"""Write a file so that its name never stands for half of it."""

import contextlib
import hashlib
import os
import platform
import secrets
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from io import BufferedWriter
from pathlib import Path

__all__ = [
    "TEMPORARY_SUFFIX",
    "BeforeRename",
    "atomic_file",
    "give_name",
    "process_place",
    "temporary_name",
]

TEMPORARY_SUFFIX = ".srcli-tmp"
BeforeRename = Callable[[Path], bool | None]
"""Called with a temporary file that is whole on disk; False leaves its name to the caller."""

_NAME_CHARACTERS = 40  # of the final name, so that the temporary one stays under 255 bytes


@contextmanager
def atomic_file(
    path: Path, before_rename: BeforeRename | None = None
) -> Generator[BufferedWriter, None, None]:
    """Open a hidden temporary file beside `path`; it takes that name once it is whole on disk.

    Whatever ends the block early, an interrupt too, removes the temporary file and leaves `path`
    as it was. Only a killed process leaves one behind, recognisable by `TEMPORARY_SUFFIX`, before
    which its number and `process_place` stand.

    Args:
        path: Final name; an existing file is replaced.
        before_rename: Called with the temporary file when it is whole on disk, before it gets its
            name; an error it raises is as good as one in the block. If it returns False, the
            temporary file stays, for `give_name`.

    Yields:
        The stream to write and to seek in.
    """
    temporary = temporary_name(path)
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if before_rename is not None and before_rename(temporary) is False:
            return
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def give_name(temporary: Path, path: Path) -> None:
    """Give a temporary file that is whole on disk its name, in place of a file that has it."""
    temporary.replace(path)
    _sync_folder(path.parent)


def temporary_name(path: Path) -> Path:
    """A hidden name beside a path that nothing bears yet, and that tells which process chose it."""
    unique = f"{os.getpid()}-{process_place()}-{secrets.token_hex(4)}"
    return path.with_name(f".{path.name[:_NAME_CHARACTERS]}.{unique}{TEMPORARY_SUFFIX}")


@cache
def process_place() -> str:
    """Eight digits for where process numbers are unique: this boot and container, or machine."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        place = f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        place = f"{platform.node()} {uuid.getnode()}"
    return hashlib.sha256(place.encode()).hexdigest()[:8]


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
