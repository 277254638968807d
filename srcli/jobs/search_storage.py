"""Search storage elsewhere for images: an object, a folder of them, or a pattern."""

import fnmatch
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from srcli.errors import StorageError, UsageError
from srcli.jobs.ignored import Ignored, is_junk_folder
from srcli.jobs.job import Settled, State
from srcli.jobs.search_folder import Source
from srcli.media import is_image_name
from srcli.media.unread_kinds import is_unread_kind
from srcli.media.video.names import is_clip_name
from srcli.storage import (
    ListedObject,
    is_folder,
    list_objects,
    look_up,
    remember,
    require_bucket,
    require_driver,
)
from srcli.url_paths import UrlPath, is_plain_name

__all__ = ["StorageSearch"]

_CLIP = "clips and animations are done from folders of this machine only; hint: copy it there"
_NO_NAME = "its name has an empty part, or . or .., and cannot be a file's; hint: rename it"
_ANY_DEPTH = "**"


@dataclass
class StorageSearch:
    """A search below one URL.

    Args:
        takes: Whether an image is meant, by its path inside the folder.
        avoid: A folder not to search: the output's.
        ignored: Told of what is passed over.
    """

    takes: Callable[[Path], bool]
    avoid: Path | None
    ignored: Ignored
    _junk: set[Path] = field(default_factory=set[Path])  # told of already

    def search(self, place: UrlPath, *, must_exist: bool) -> Iterator[Source]:
        """Yield the images that a URL stands for: one, those of a folder, or of a pattern.

        Args:
            place: The URL.
            must_exist: False if it comes from a list: what is missing fails alone.

        Yields:
            Images; and, settled, clips and what cannot be listed.

        Raises:
            UsageError: There is nothing of that name.
            StorageError: The storage does not answer.
        """
        require_driver(place)
        try:
            require_bucket(place)
            yield from self._search(place)
        except (UsageError, StorageError) as error:
            if must_exist:
                raise
            yield Source(place, None, Settled(State.FAILED, str(error)))

    def _search(self, place: UrlPath) -> Iterator[Source]:
        while place.name == _ANY_DEPTH:
            place = place.parent
        found = None if place.is_top else look_up(place)
        if found is not None:
            remember(place, found)
            clip = is_clip_name(place) and not is_image_name(place)
            end = Settled(State.FAILED, f"{place}: {_CLIP}") if clip else None
            yield Source(place, None, end)
        elif place.is_top or is_folder(place):
            yield from self._listed(place, "", lambda inside: place)
        elif any(c in str(place) for c in "*?["):
            yield from self._matching(place)
        else:
            raise UsageError(f"{place} does not exist; hint: check the name")

    def _matching(self, pattern: UrlPath) -> Iterator[Source]:
        """Sources that a pattern matches: objects, and all in what stands for folders."""
        names = pattern.parts
        first = next(n for n, name in enumerate(names) if any(c in name for c in "*?["))
        base, wild = UrlPath(*names[:first]), names[first:]
        if UrlPath(*names[: first + 1]).is_top:
            raise UsageError(f"{pattern}: a bucket is no pattern; hint: name it")
        literal = wild[0][: min(wild[0].index(c) for c in "*?[" if c in wild[0])]

        def root(inside: PurePosixPath) -> UrlPath | None:
            """The folder by which an object is found; the base itself if it matches alone."""
            if _matches(inside.parts, wild):
                return base
            above = (one for one in reversed(inside.parents) if one.parts)
            folder = next((one for one in above if _matches(one.parts, wild)), None)
            return None if folder is None else base / folder

        found = False
        for source in self._listed(base, literal, root):
            found = True
            yield Source(source.path, None, source.settled) if source.root == base else source
        if not found:
            raise UsageError(f"{pattern} matches nothing; hint: check the pattern")

    def _listed(
        self,
        folder: UrlPath,
        beginning: str,
        root: Callable[[PurePosixPath], UrlPath | None],
    ) -> Iterator[Source]:
        """The images below a folder.

        Args:
            folder: The folder.
            beginning: Of the names in it that are wanted.
            root: The folder on the command line to which an object belongs; None: to none.
        """
        begun = False
        try:
            for one in list_objects(folder, beginning):
                begun = True
                place = root(PurePosixPath(one.inside))
                if place is not None:
                    yield from self._taken(folder, place, one)
        except StorageError as error:
            if not begun:
                raise
            yield Source(folder, folder, Settled(State.FAILED, f"listed in part: {error}"))

    def _taken(self, folder: UrlPath, root: UrlPath, one: ListedObject) -> Iterator[Source]:
        """The source of an object, if it is meant."""
        path = folder / one.inside
        if path.name.startswith(".") or self._is_passed_over(folder, path):
            return
        inside = path.relative_to(root)
        if is_image_name(path) or is_clip_name(path):
            if not self.takes(inside):
                return
            if not one.is_named:
                reason = f"{folder}/{one.inside}: {_NO_NAME}"
                yield Source(_told_apart(folder, one), root, Settled(State.FAILED, reason))
            elif is_image_name(path):
                remember(path, one.found)
                yield Source(path, root)
            else:
                yield Source(path, root, Settled(State.SKIPPED, _CLIP))
        elif is_unread_kind(path) and self.takes(inside):
            self.ignored.add_file(path)

    def _is_passed_over(self, folder: UrlPath, path: UrlPath) -> bool:
        """Tell if an object lies in the output folder, or one that is hidden or holds trash."""
        for above in path.parents:
            if above == folder:
                return False
            if above == self.avoid:
                return True
            if above.name.startswith(".") or is_junk_folder(above.name):
                if above not in self._junk:
                    self._junk.add(above)
                    self.ignored.add_folder(above)
                return True
        return False


def _told_apart(folder: UrlPath, one: ListedObject) -> UrlPath:
    """A path for an object whose name can be none, that no other object has."""
    return folder.joinpath(
        *(name if is_plain_name(name) else f"({name or 'empty'})" for name in one.inside.split("/"))
    )


def _matches(names: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Tell if names between slashes match those of a pattern.

    >>> _matches(("2024", "a.png"), ("*", "*.png")), _matches(("a.png",), ("**", "*.png"))
    (True, True)
    """
    if not pattern:
        return not names
    if pattern[0] == _ANY_DEPTH:
        return any(_matches(names[start:], pattern[1:]) for start in range(len(names) + 1))
    if not names or (names[0].startswith(".") and not pattern[0].startswith(".")):
        return False
    return fnmatch.fnmatchcase(names[0], pattern[0]) and _matches(names[1:], pattern[1:])
