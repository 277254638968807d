"""Search a folder for images: every one of them comes out, or a reason why it does not."""

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from srcli.compact_paths import FolderSlots, compact_paths
from srcli.jobs.ignored import Ignored, is_junk_folder
from srcli.jobs.job import Settled, State
from srcli.masks import is_mask_folder
from srcli.media.unread_kinds import is_unread_kind

__all__ = ["FolderSearch", "Source", "reason_of_unlisted", "reason_of_unreadable"]

_NOT_FOLLOWED = "a link to a folder; hint: --follow-links follows it"
_SEARCHED = "by a link, a folder that is searched already"


@compact_paths("path")
@dataclass(frozen=True, slots=True)
class Source(FolderSlots):
    """One input.

    Args:
        path: Where it is.
        root: The folder on the command line that it was found in; None for a file named itself.
        settled: How it ends, where that is known without opening it: a folder that cannot be read.
    """

    path: Path
    root: Path | None
    settled: Settled | None = field(default=None, compare=False)


def reason_of_unreadable(path: Path, error: OSError) -> str:
    """One line that says why a file cannot be read, or is not there, and what to do."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"{path}: does not exist; hint: check the name"
    reason = error.strerror or error
    return f"{path}: cannot be read: {reason}; hint: check its folder and its permissions"


def reason_of_unlisted(folder: Path, error: OSError, inside: Path | None) -> str:
    """One line that says why a folder cannot be searched, and what to do.

    Args:
        folder: Its name.
        error: What the system said.
        inside: The folder as `--exclude` knows it; None if that cannot leave it out.
    """
    reason = error.strerror or error
    if isinstance(error, FileNotFoundError):
        return f"{folder}: the folder vanished while it was listed: {reason}; hint: run again"
    remedy = "check the disk, and run again"
    if isinstance(error, PermissionError):
        remedy = "check its permissions"
        if inside is not None and inside.parts:
            remedy += f", or leave it out with --exclude '{inside.as_posix()}/**'"
    return f"{folder}: the folder cannot be read: {reason}; hint: {remedy}"


@dataclass(frozen=True)
class FolderSearch:
    """A search of folders for images, to any depth.

    Args:
        accepts: Whether a file's suffix is one of those looked for.
        takes: Whether a file is meant, by its path inside the folder.
        may_hold: Whether a folder may hold what is meant, likewise.
        avoid: A folder not to search: the output's.
        follow_links: Search linked folders too, after the others and each once.
        ignored: Told of what is passed over.
    """

    accepts: Callable[[Path], bool]
    takes: Callable[[Path], bool]
    may_hold: Callable[[Path], bool]
    avoid: Path | None
    follow_links: bool
    ignored: Ignored

    def search(self, root: Path) -> Iterator[Source]:
        """Yield what is in a folder: its files, sorted, then those of its folders.

        Hidden files and folders, files of other suffixes, folders of thumbnails and trash, and
        folders that `visualize-mask` filled are passed over.

        Args:
            root: The folder.

        Yields:
            Images, and folders and links that are not searched, which are settled.
        """
        seen: set[tuple[int, int]] = set()
        folders, links = [root], deque[Path]()
        through_link = False
        while folders or links:
            through_link |= not folders
            here = folders.pop() if folders else links.popleft()
            try:
                found = os.stat(os.path.join(here, os.curdir))  # noqa: PTH116, PTH118 to enter it
            except OSError as error:
                yield from self._unreadable(root, here, error)
                continue
            number = found.st_dev, found.st_ino
            if through_link and number in seen:
                yield Source(here, root, Settled(State.SKIPPED, _SEARCHED))
                continue
            seen.add(number)
            if (here != root and self._is_avoided(found, here)) or is_mask_folder(here):
                continue
            inner: list[Path] = []
            yield from self._list(root, here, inner, links)
            folders.extend(reversed(inner))

    def _list(
        self, root: Path, here: Path, folders: list[Path], links: deque[Path]
    ) -> Iterator[Source]:
        """Yield the files of one folder, and collect the folders in it."""
        entries, trouble = _listed(here)
        for entry in entries:
            path = here / entry.name
            link, broken = entry.is_symlink(), None
            try:
                folder = stat.S_ISDIR(path.stat().st_mode) if link else entry.is_dir()
            except OSError as error:
                folder, broken = False, error
            if not folder:
                yield from self._file(root, path, broken)
            elif entry.name.startswith(".") or is_junk_folder(entry.name):
                self.ignored.add_folder(path)
            elif not link:
                folders.append(path)
            elif self.follow_links:
                links.append(path)
            elif self.may_hold(path.relative_to(root)):
                yield Source(path, root, Settled(State.SKIPPED, _NOT_FOLLOWED))
        if trouble is not None:
            yield from self._unreadable(root, here, trouble)

    def _file(self, root: Path, path: Path, broken: OSError | None) -> Iterator[Source]:
        """Yield a file if it is meant; `broken` if it is a link that leads nowhere."""
        if path.name.startswith("."):
            return
        if self.accepts(path):
            if self.takes(path.relative_to(root)):
                yield Source(path, root)
        elif broken is not None and not path.suffix[1:].isalpha():  # it may have been a folder
            inside = path.relative_to(root)
            if self.may_hold(inside) and self.takes(inside):
                reason = f"{path}: a link that leads nowhere: {broken.strerror}; hint: remove it"
                yield Source(path, root, Settled(State.FAILED, reason))
        elif is_unread_kind(path) and self.takes(path.relative_to(root)):
            self.ignored.add_file(path)

    def _unreadable(self, root: Path, here: Path, error: OSError) -> Iterator[Source]:
        inside = here.relative_to(root)
        if here == root or self.may_hold(inside):
            reason = reason_of_unlisted(here, error, inside)
            yield Source(here, root, Settled(State.FAILED, reason))

    def _is_avoided(self, found: os.stat_result, here: Path) -> bool:
        """Tell if a folder is the one not to search."""
        if self.avoid is None:
            return False
        try:
            same = os.path.samestat(found, self.avoid.stat())
        except OSError:
            return False
        numbered = found.st_ino != 0  # some network shares number nothing
        return same and (numbered or os.path.realpath(here) == os.path.realpath(self.avoid))


def _listed(folder: Path) -> tuple[list[os.DirEntry[str]], OSError | None]:
    """List a folder, sorted, as far as it can be listed, and why no further."""
    entries: list[os.DirEntry[str]] = []
    trouble: OSError | None = None
    try:
        with os.scandir(folder) as listing:
            entries.extend(listing)
    except OSError as error:
        trouble = error
    return sorted(entries, key=lambda entry: entry.name), trouble
