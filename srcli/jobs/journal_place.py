"""Where journals are, and how they name outputs."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from srcli.url_paths import UrlPath, absolute_path
from srcli.user_folders import user_data

__all__ = ["FOLDER", "JournalPlace", "journal_path", "journal_place"]

FOLDER = ".srcli"
_NAME_CHARACTERS = 40


@dataclass(frozen=True)
class JournalPlace:
    """The place of a journal.

    Args:
        file: The database.
        folder: The output folder that it lies in, and that its names are relative to; None if it
            lies elsewhere, and names outputs in full.
    """

    file: Path
    folder: Path | None

    @property
    def lock(self) -> Path:
        """File whose lock keeps other runs out."""
        return self.file.with_name("lock" if self.folder else f"{self.file.name}.lock")

    def key(self, target: Path) -> Path:
        """Name of an output in the journal."""
        if self.folder is None:
            return absolute_path(target)
        try:
            return Path(os.path.relpath(target, self.folder))
        except (ValueError, FileNotFoundError):  # on another drive; in storage elsewhere
            return target


def journal_place(folder: Path, named: Path | None = None) -> JournalPlace:
    """Where the journal of an output folder is.

    Args:
        folder: The folder. Journals of folders in storage are among the person's own files.
        named: The file that --journal names.
    """
    if named is not None:
        return JournalPlace(named, None)
    if isinstance(folder, UrlPath):
        tag = hashlib.sha256(str(folder).encode(errors="surrogateescape")).hexdigest()[:16]
        name = f"{folder.name[:_NAME_CHARACTERS]}-{tag}.sqlite"
        return JournalPlace(user_data() / "journals" / name, None)
    return JournalPlace(folder / FOLDER / "journal.sqlite", folder)


def journal_path(folder: Path) -> Path:
    """The file of a folder's own journal."""
    return journal_place(folder).file
