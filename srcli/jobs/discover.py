"""Find the images that a command line names."""

import fnmatch
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from srcli.errors import UsageError
from srcli.jobs.ignored import Ignored, is_junk_folder
from srcli.jobs.job import Settled, State
from srcli.jobs.naming import folder_resolved, forget_folders
from srcli.jobs.pattern import expand
from srcli.jobs.search_folder import FolderSearch, Source
from srcli.jobs.search_storage import StorageSearch
from srcli.media import is_image_name
from srcli.media.video.names import is_clip_name, is_sequence
from srcli.storage import forget_objects
from srcli.url_paths import UrlPath

__all__ = ["Filter", "Source", "discover"]


@dataclass(frozen=True)
class Filter:
    """Filter for the images of a folder.

    A pattern without a slash is compared with names, one with a slash with paths inside the folder,
    where `**` stands for any number of folders; both without regard to case.

    Args:
        include: If there are any, one of them must match.
        exclude: None of them may match; takes precedence over `include`.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, path: Path) -> bool:
        """Tell if the filter takes an image, by its path inside the folder."""
        if any(_matches(path, pattern) for pattern in self.exclude):
            return False
        return not self.include or any(_matches(path, pattern) for pattern in self.include)

    def may_hold(self, folder: Path) -> bool:
        """Tell if a folder may hold images that the filter takes, by its path inside the root."""
        inside = folder / "_"
        if any(
            _matches(folder, pattern) or (pattern.endswith("/**") and _matches(inside, pattern))
            for pattern in self.exclude
        ):
            return False
        return not self.include or any(_may_lead_to(folder, one) for one in self.include)


def discover(
    inputs: Sequence[Path],
    *,
    listed: Sequence[Path] = (),
    exclude: Path | None = None,
    only: Filter | None = None,
    clips: bool = False,
    follow_links: bool = False,
    ignored: Ignored | None = None,
    count: Callable[[str], None] = lambda what: None,
) -> list[Source]:
    """List the images among files, folders and URLs, each once, in the order of the command line.

    Folders are searched recursively in sorted order, see `FolderSearch`. A file named on the
    command line is taken whatever it is called. What does not exist but holds `*`, `?` or `[` is a
    pattern; a folder whose name holds them takes precedence. Folders of thumbnails and trash are
    searched only if nothing else is named.

    Args:
        inputs: Files, folders and patterns.
        listed: More of them, from a list: those that are missing fail alone.
        exclude: A folder not to search: the output's.
        only: Which images in folders are meant.
        clips: Find clips too, and take frames/%06d.png for one.
        follow_links: Search linked folders too.
        ignored: Told of what is passed over.
        count: Told of each that is found, in words.

    Returns:
        Images; and what cannot be read or is not searched, settled.

    Raises:
        UsageError: An input does not exist, or a pattern matches nothing.
    """
    forget_folders()
    forget_objects()
    only, ignored = only or Filter(), ignored or Ignored()
    search = FolderSearch(
        lambda path: is_image_name(path) or (clips and is_clip_name(path)),
        only.takes,
        only.may_hold,
        exclude,
        follow_links,
        ignored,
    )
    found: dict[str, Source] = {}
    several = len(inputs) + len(listed) > 1
    for path, must_exist in [*((p, True) for p in inputs), *((p, False) for p in listed)]:
        if several and is_junk_folder(path.name) and os.path.isdir(path):  # noqa: PTH112 by photos/*
            ignored.add_folder(path)
            continue
        if isinstance(path, UrlPath):
            there = StorageSearch(only.takes, exclude, ignored)
            sources = there.search(path, must_exist=must_exist)
        else:
            sources = _sources(path, search, clips=clips, must_exist=must_exist)
        for source in sources:
            named = _named(source.path if source.root is None else source.root)
            if source.root is not None:
                named = os.path.join(named, source.path.relative_to(source.root))  # noqa: PTH118
            found.setdefault(named, source)
            count("images found")
    return list(found.values())


def _sources(
    path: Path, search: FolderSearch, *, clips: bool, must_exist: bool
) -> Iterator[Source]:
    """Sources that one name on the command line or in a list stands for."""
    if clips and is_sequence(path):
        yield Source(path, None)
        return
    try:
        expanded = expand(path, search.ignored)
    except UsageError as error:
        if must_exist:
            raise
        yield Source(path, None, Settled(State.FAILED, str(error)))
        return
    for one in expanded:
        if one.settled is None and os.path.isdir(one.path):  # noqa: PTH112 never raises
            yield from search.search(one.path)
        else:
            yield one


def _named(path: Path) -> str:
    """A name that stands for one file or folder under one of its names, links left as they are."""
    if path.name in ("", ".."):
        return os.path.realpath(path)
    return os.path.join(folder_resolved(path.parent), path.name)  # noqa: PTH118


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


def _may_lead_to(folder: Path, pattern: str) -> bool:
    """Tell if a pattern may match something below a folder, by its parts before the first `*`."""
    if "/" not in pattern:
        return True
    fixed = pattern.casefold().removeprefix("./").split("/")[:-1]
    for part, wanted in zip(folder.as_posix().casefold().split("/"), fixed, strict=False):
        if any(c in wanted for c in "*?["):
            return True
        if part != wanted:
            return False
    return True
