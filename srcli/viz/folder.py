"""Folders of results that are whole or absent, and never mix two runs."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from srcli.atomic import temporary_name
from srcli.errors import UnwritableImage
from srcli.masks import SUMMARY, files_of_masks

__all__ = ["refuse_foreign", "write_folder"]


def write_folder(
    target: Path, write: Callable[[Path], None], summary: dict[str, object], *, overwrite: bool
) -> None:
    """Fill a folder under a temporary name; it takes its own once it is whole.

    One that it replaces is set aside under a temporary name too, and deleted last: whatever goes
    wrong, the old folder or the new one has the name, or in a killed process the hidden ones stay.

    Args:
        target: Final name.
        write: Puts the files into the folder it is given.
        summary: What `summary.json` shall hold, beside the list of files.
        overwrite: Replace `target` if it is one of ours and holds nothing else.

    Raises:
        UnwritableImage: `target` exists and may not be replaced, or the disk refuses.
    """
    temporary = temporary_name(target)
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
            _replace(target, temporary)
        else:
            temporary.rename(target)
    except OSError as error:
        raise UnwritableImage(f"{target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace(target: Path, by: Path) -> None:
    """Give a folder's name to another one, and delete it; or leave it as it was."""
    aside = temporary_name(target)
    target.rename(aside)
    try:
        by.rename(target)
    except BaseException:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)  # what the system holds on to does no harm hidden


def refuse_foreign(folder: Path, *, overwrite: bool) -> None:
    """Fail unless an existing folder may be replaced.

    Raises:
        UnwritableImage: It is not one of ours, holds anything else, is a link, or may not be
            overwritten.
    """
    ours = files_of_masks(folder)
    if not ours:
        raise UnwritableImage(
            f"{folder}: was not made by srcli visualize-mask; hint: move it, or choose -o"
        )
    if not overwrite:
        raise UnwritableImage(f"{folder}: exists; hint: --overwrite replaces it")
    if folder.is_symlink():
        raise UnwritableImage(f"{folder}: is a link; hint: remove it, or choose -o")
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in ours)
    if foreign:
        raise UnwritableImage(
            f"{folder}: holds {foreign[0]}, which srcli did not make; hint: move it, or choose -o"
        )


def _settle(file: Path) -> None:
    """Make a file's content survive a power cut."""
    with file.open("r+b") as stream:  # Windows syncs only what is open for writing
        os.fsync(stream.fileno())
