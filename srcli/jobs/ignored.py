"""Files and folders that a search passes over, counted by kind: nothing is left out in silence."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Ignored", "is_junk_folder"]

_JUNK = frozenset(
    (
        *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot"),  # NAS
        *(".@__thumb", ".@__desc", ".@upload_cache", ".snapshot", ".snapshots", ".zfs"),
        *("__macosx", ".appledouble", ".spotlight-v100", ".fseventsd", ".temporaryitems"),
        *(".documentrevisions-v100", ".trashes", ".trash", ".dtrash", "$recycle.bin", "recycler"),
        *("system volume information", "lost+found", ".thumbnails", ".thumb", ".thumbs"),
        *(".picasaoriginals", ".comments", ".xvpics"),
    )
)


def is_junk_folder(name: str) -> bool:
    """Tell if a folder of this name holds thumbnails, trash or a system's own files.

    >>> is_junk_folder("@eaDir"), is_junk_folder(".Trash-1000"), is_junk_folder("2024")
    (True, True, False)
    """
    return name.lower() in _JUNK or name.lower().startswith(".trash-")


@dataclass
class Ignored:
    """Files and folders that were passed over.

    Args:
        tell: Told of each, in a line.
    """

    tell: Callable[[str], None] = lambda line: None
    files: Counter[str] = field(default_factory=Counter[str])
    """Images and clips of kinds that are not read, by their suffix."""
    folders: Counter[str] = field(default_factory=Counter[str])
    """Folders of thumbnails, trash and the like, by their name."""

    def add_file(self, path: Path) -> None:
        """Count a file of a kind that is not read."""
        self.files[path.suffix.lower()] += 1
        self.tell(f"{path}: ignored, srcli does not read {path.suffix.lower()} files")

    def add_folder(self, path: Path) -> None:
        """Count a folder of thumbnails or trash; other hidden ones are reported one by one."""
        if is_junk_folder(path.name):
            self.folders[path.name] += 1
            self.tell(f"{path}: ignored, a folder of thumbnails, trash or a system's own files")
        else:
            self.tell(f"{path}: ignored, a hidden folder")

    def lines(self) -> list[str]:
        """Counts in words, a line for files and one for folders; none if nothing was passed over.

        >>> Ignored(files=Counter({".psd": 2, ".cr2": 1})).lines()
        ['3 files of kinds that are not read: .psd 2, .cr2 1']
        """
        kinds = (
            (self.files, "files of kinds that are not read"),
            (self.folders, "folders of thumbnails or trash"),
        )
        return [
            f"{counts.total()} {what if counts.total() > 1 else _one(what)}: "
            + ", ".join(f"{name} {count}" for name, count in counts.most_common())
            for counts, what in kinds
            if counts
        ]

    def counts(self) -> dict[str, int]:
        """All counts by suffix or name, for programs."""
        return dict(self.files) | dict(self.folders)


def _one(what: str) -> str:
    """The words for one of them.

    >>> _one("files of kinds that are not read"), _one("folders of thumbnails or trash")
    ('file of a kind that is not read', 'folder of thumbnails or trash')
    """
    first, _, rest = what.partition(" ")
    return f"{first[:-1]} {rest.replace('of kinds that are', 'of a kind that is')}"
