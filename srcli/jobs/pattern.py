"""Names with `*`, `?` or `[` in them: what they match, and what keeps them from being looked at."""

import fnmatch
import glob
import os
from collections.abc import Iterator
from pathlib import Path

from srcli.errors import UsageError
from srcli.jobs.ignored import Ignored, is_junk_folder
from srcli.jobs.job import Settled, State
from srcli.jobs.search_folder import Source, reason_of_unlisted, reason_of_unreadable
from srcli.media import is_image_name
from srcli.media.unread_kinds import is_unread_kind
from srcli.media.video.names import is_clip_name

__all__ = ["expand"]


def expand(path: Path, ignored: Ignored) -> list[Source]:
    """The path itself where it exists, else what it matches as a pattern.

    Args:
        path: A file, a folder or a pattern, in which `**` stands for any number of folders.
        ignored: Told of what matches and is passed over.

    Returns:
        What is there; and, settled, what cannot be read: the path, or folders in a pattern's way.

    Raises:
        UsageError: The path does not exist, or the pattern matches nothing.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        if not glob.has_magic(str(path)):
            raise UsageError(f"{path} does not exist; hint: check the name") from None
    except OSError as error:
        return [_failed(path, reason_of_unreadable(path, error))]
    except ValueError as error:  # a NUL in it
        return [_failed(path, f"{path}: is no name: {error}; hint: check it")]
    else:
        return [Source(path, None)]
    base, parts = _literal_part(path)
    found = _matches(base, parts) or _matches(base, [part.replace("[", "[[]") for part in parts])
    unreadable = list(_unreadable_folders(base, parts))
    closed = {one.path for one in unreadable}
    found = [one for one in found if closed.isdisjoint(one.parents)]
    if not found and not unreadable:
        raise UsageError(f"{path} matches nothing; hint: check the pattern")
    wanted = [one for one in found if not _in_junk(one, base, path, ignored)]
    known = [one for one in wanted if _is_taken(one)]
    if known:
        for one in filter(is_unread_kind, wanted):
            ignored.add_file(one)
    return [*(Source(one, None) for one in known or wanted), *unreadable]


def _literal_part(path: Path) -> tuple[Path, list[str]]:
    """Split a pattern where it begins to be one: `Holiday [2024]` may be a folder's very name."""
    base = Path(path.anchor)
    parts = list(path.parts[1:] if path.anchor else path.parts)
    while os.path.lexists(base / parts[0]):
        base /= parts.pop(0)
    return base, parts


def _matches(base: Path, parts: list[str]) -> list[Path]:
    escaped = glob.escape(str(base)) if base.parts else ""
    pattern = os.path.join(escaped, *parts)  # noqa: PTH118
    return [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207


def _is_taken(path: Path) -> bool:
    return os.path.isdir(path) or is_image_name(path) or is_clip_name(path)  # noqa: PTH112


def _in_junk(found: Path, base: Path, path: Path, ignored: Ignored) -> bool:
    """Tell if a match lies in a folder of thumbnails or trash that the pattern does not name."""
    below = found.relative_to(base).parts
    for number, name in enumerate(below):
        folder = base.joinpath(*below[: number + 1])
        if is_junk_folder(name) and name not in path.parts and os.path.isdir(folder):  # noqa: PTH112
            ignored.add_folder(folder)
            return True
    return False


def _unreadable_folders(base: Path, parts: list[str]) -> Iterator[Source]:
    """Folders that a pattern looks into and that cannot be read: `glob` says nothing of them."""
    errors: list[OSError] = []
    for folder, folders, _ in os.walk(base, onerror=errors.append):
        try:
            os.stat(os.path.join(folder, os.curdir))  # noqa: PTH116, PTH118 to enter it
        except OSError as error:
            errors.append(OSError(error.errno, error.strerror, folder))
            folders.clear()
        level = len(Path(folder).relative_to(base).parts)
        folders[:] = [name for name in folders if _looks_into(name, parts[:-1], level)]
    for error in errors:
        folder = Path(error.filename or base)
        yield _failed(folder, reason_of_unlisted(folder, error, None))


def _looks_into(name: str, folders: list[str], level: int) -> bool:
    """Tell if a pattern with these parts for folders looks into one at a level below its base."""
    if "**" in folders[: level + 1]:
        return not name.startswith(".")
    return level < len(folders) and fnmatch.fnmatchcase(name, folders[level])


def _failed(path: Path, reason: str) -> Source:
    return Source(path, None, Settled(State.FAILED, reason))
