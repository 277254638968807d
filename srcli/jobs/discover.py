"""Find the images that a command line names."""

import fnmatch
import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from srcli.errors import UsageError
from srcli.jobs.naming import forget_folders, real_path
from srcli.masks import is_mask_folder
from srcli.media import is_image_name
from srcli.media.video.names import is_clip_name, is_sequence

__all__ = ["Filter", "Source", "discover", "read_file_list"]


@dataclass(frozen=True)
class Source:
    """One input image.

    Args:
        path: Where it is.
        root: The folder on the command line that it was found in; None for a file named itself.
    """

    path: Path
    root: Path | None


@dataclass(frozen=True)
class Filter:
    """Filter for the images of a folder.

    A pattern without a slash is compared with names, one with a slash with paths inside the folder,
    where `**` stands for any number of folders; both without regard to case.

    Args:
        include: If there are any, one of them must match.
        exclude: None of them may match; goes before `include`.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, path: Path) -> bool:
        """Tell if the filter takes an image, by its path inside the folder."""
        if any(_matches(path, pattern) for pattern in self.exclude):
            return False
        return not self.include or any(_matches(path, pattern) for pattern in self.include)


def discover(
    inputs: Sequence[Path],
    *,
    exclude: Path | None = None,
    only: Filter | None = None,
    clips: bool = False,
    count: Callable[[str], None] = lambda what: None,
) -> list[Source]:
    """List the images among files and folders, each once, in the order of the command line.

    Folders are searched recursively in sorted order; hidden files and folders, files whose names
    are no image's, links to folders, and folders that `visualize-mask` filled are passed over. A
    file named on the command line is taken whatever it is called. What does not exist but holds
    `*`, `?` or `[` is a pattern.

    Args:
        inputs: Files, folders and patterns.
        exclude: A folder not to search: the output's.
        only: Which images in folders are meant.
        clips: Find clips too, and take frames/%06d.png for one.
        count: Told of each that is found, in words.

    Raises:
        UsageError: An input does not exist, or a pattern matches nothing.
    """
    forget_folders()
    found: dict[str, Source] = {}
    for path in chain.from_iterable(map(_expanded, inputs)):
        if clips and is_sequence(path):
            found[os.path.realpath(path)] = Source(path, None)
            continue
        if not os.path.lexists(path):
            raise UsageError(f"{path} does not exist: check the name")
        sources: Iterable[Source] = [Source(path, None)]
        if path.is_dir():
            sources = (s for s in _search(path, exclude, only) if clips or is_image_name(s.path))
        for source in sources:
            found.setdefault(real_path(source.path), source)
            count("images found")
    return list(found.values())


def read_file_list(content: bytes) -> list[Path]:
    """The paths in a list, one a line, or NUL-separated where it holds a NUL; empty ones left out.

    Args:
        content: The list; names need not be text.
    """
    parts = content.split(b"\0") if b"\0" in content else content.splitlines()
    return [Path(os.fsdecode(part)) for part in parts if part.strip()]


def _expanded(path: Path) -> list[Path]:
    if os.path.lexists(path) or not glob.has_magic(str(path)):
        return [path]
    found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    if not found:
        raise UsageError(f"{path} matches nothing: check the pattern")
    known = [p for p in found if p.is_dir() or is_image_name(p) or is_clip_name(p)]
    return known or found


def _matches(path: Path, pattern: str) -> bool:
    text, pattern = path.as_posix().casefold(), pattern.casefold()
    if "/" not in pattern:
        return fnmatch.fnmatchcase(path.name.casefold(), pattern)
    return re.fullmatch(_expression(pattern), text) is not None


def _expression(pattern: str) -> str:
    """A pattern with slashes as a regular expression; `*` stays inside a folder, `**` does not."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.removeprefix("./"))
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(wild.get(part) or re.escape(part) for part in parts)


def _search(root: Path, exclude: Path | None, only: Filter | None) -> Iterator[Source]:
    avoid = None if exclude is None else os.path.realpath(exclude)
    if avoid == os.path.realpath(root):
        avoid = None
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        if is_mask_folder(here):
            folders.clear()
            continue
        folders[:] = sorted(
            f for f in folders if not f.startswith(".") and os.path.realpath(here / f) != avoid
        )
        for name in sorted(files):
            path = here / name
            if name.startswith(".") or not (is_image_name(path) or is_clip_name(path)):
                continue
            if only is None or only.takes(path.relative_to(root)):
                yield Source(path, root)
