"""Folders of results that are whole or absent, and never mix two runs."""

import json
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from srcli.errors import UnwritableImage
from srcli.media import TEMPORARY_SUFFIX

__all__ = ["SUMMARY", "is_ours", "refuse_foreign", "write_folder"]

SUMMARY = "summary.json"
"""What marks a folder as ours; it lists every file that we wrote into it."""


def is_ours(folder: Path) -> bool:
    """Whether a folder was written by `write_folder`."""
    return (folder / SUMMARY).is_file()


def write_folder(
    target: Path, write: Callable[[Path], None], summary: dict[str, object], *, overwrite: bool
) -> None:
    """Fill a folder under a temporary name; it takes its own once it is whole.

    Args:
        target: Final name.
        write: Puts the files into the folder it is given.
        summary: What `summary.json` shall hold, beside the list of files.
        overwrite: Replace `target` if it is one of ours and holds nothing else.

    Raises:
        UnwritableImage: `target` exists and may not be replaced, or the disk refuses.
    """
    unique = f"{os.getpid()}-{secrets.token_hex(4)}"
    temporary = target.with_name(f".{target.name[:40]}.{unique}{TEMPORARY_SUFFIX}")
    try:
        temporary.mkdir(parents=True)
        write(temporary)
        names = sorted([*(file.name for file in temporary.iterdir()), SUMMARY])
        text = json.dumps({**summary, "files": names}, indent=2)
        (temporary / SUMMARY).write_text(f"{text}\n", "utf-8")
        for file in temporary.iterdir():
            _settle(file)
        if target.exists():
            refuse_foreign(target, overwrite=overwrite)
            shutil.rmtree(target)
        temporary.rename(target)
    except OSError as error:
        raise UnwritableImage(f"{target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_foreign(folder: Path, *, overwrite: bool) -> None:
    """Fail unless an existing folder may be replaced.

    Raises:
        UnwritableImage: It is not one of ours, holds anything else, or may not be overwritten.
    """
    if not is_ours(folder):
        raise UnwritableImage(
            f"{folder}: was not made by srcli visualize-mask; move it, or choose -o"
        )
    if not overwrite:
        raise UnwritableImage(f"{folder}: exists; --overwrite replaces it")
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in _listed(folder))
    if foreign:
        raise UnwritableImage(
            f"{folder}: holds {foreign[0]}, which srcli did not make; move it, or choose -o"
        )


def _listed(folder: Path) -> set[str]:
    """The files that we wrote into a folder; none if its summary is not ours after all."""
    try:
        return set(json.loads((folder / SUMMARY).read_text("utf-8"))["files"])
    except (ValueError, KeyError, TypeError):
        return set()


def _settle(file: Path) -> None:
    """Make a file's content survive a power cut."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
