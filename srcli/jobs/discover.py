"""Which pictures a command line means."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from srcli.errors import UsageError
from srcli.media import is_picture_name
from srcli.media.video.names import is_clip_name, is_sequence

__all__ = ["Source", "discover"]


@dataclass(frozen=True)
class Source:
    """One input picture.

    Args:
        path: Where it is.
        root: The folder on the command line that it was found in; None for a file named itself.
    """

    path: Path
    root: Path | None


def discover(
    inputs: tuple[Path, ...], *, exclude: Path | None = None, clips: bool = False
) -> list[Source]:
    """List the pictures among files and folders, each once, in the order of the command line.

    Folders are searched recursively in sorted order; hidden files and folders, files whose names
    are no picture's, and links to folders are passed over. A file named on the command line is
    taken whatever it is called.

    Args:
        inputs: Files and folders.
        exclude: A folder not to search: the output's.
        clips: Find clips too, and take frames/%06d.png for one.

    Raises:
        UsageError: An input does not exist.
    """
    found: dict[Path, Source] = {}
    for path in inputs:
        if clips and is_sequence(path) and not path.exists():
            found[path.resolve()] = Source(path, None)
            continue
        if not path.exists():
            raise UsageError(f"{path} does not exist: check the name")
        sources = _search(path, exclude, clips=clips) if path.is_dir() else [Source(path, None)]
        for source in sources:
            found.setdefault(source.path.resolve(), source)
    return list(found.values())


def _search(root: Path, exclude: Path | None, *, clips: bool) -> Iterator[Source]:
    avoid = None if exclude is None or exclude.resolve() == root.resolve() else exclude.resolve()
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            f for f in folders if not f.startswith(".") and (here / f).resolve() != avoid
        )
        for name in sorted(files):
            wanted = is_picture_name(Path(name)) or (clips and is_clip_name(Path(name)))
            if wanted and not name.startswith("."):
                yield Source(here / name, root)
