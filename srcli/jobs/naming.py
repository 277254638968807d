"""Name outputs: a pattern, and names that file systems accept."""

import hashlib
import os
import string
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from srcli.errors import UsageError
from srcli.url_paths import UrlPath

__all__ = [
    "NamePattern",
    "case_folded",
    "folder_resolved",
    "forget_folders",
    "real_path",
    "shortened",
]

_FIELDS = ("stem", "ext", "scale", "size", "model", "effort")
_MOST_BYTES = 255  # of a name, on nearly all file systems
_TAG_LENGTH = 8


@dataclass(frozen=True)
class NamePattern:
    """A pattern such as `{stem}_x{scale}.{ext}`.

    Args:
        pattern: Names with fields in braces: stem and ext of the input (ext of the result's
            format), scale ("4"), size ("x4", "w2000"), model, effort.
        scale: What {scale} stands for; None where a size is asked for instead.
        size: See `TargetSize.label`.
        model: The network.
        effort: A name, or ε.

    Raises:
        UsageError: An unknown field, a folder in the pattern, or nothing of the input's name.
    """

    pattern: str
    scale: float | None
    size: str
    model: str
    effort: str

    def __post_init__(self) -> None:
        have = ", ".join(f"{{{name}}}" for name in _FIELDS)
        try:
            parts = list(string.Formatter().parse(self.pattern))
        except ValueError as error:
            raise UsageError(f"--name {self.pattern!r}: {error}; have {have}") from None
        used = [field for _, field, _, _ in parts if field is not None]
        for field in used:
            if field not in _FIELDS:
                raise UsageError(f"--name has no field {{{field}}} (have {have})")
        if any(spec or conversion for _, field, spec, conversion in parts if field is not None):
            raise UsageError(f"--name {self.pattern!r}: fields take no format (have {have})")
        if "scale" in used and self.scale is None:
            raise UsageError("--name uses {scale}, but a size is asked for; hint: use {size}")
        if any(c in text for text, *_ in parts for c in "/\\\0"):
            raise UsageError(f"--name {self.pattern!r} names a folder; hint: folders go into -o")
        if "stem" not in used:
            raise UsageError(
                f"--name {self.pattern!r} gives all results one name; hint: use {{stem}}"
            )

    def name(self, source: Path, extension: str) -> str:
        """The name of a result.

        Args:
            source: The input.
            extension: Of the result, without its dot.
        """
        return self.pattern.format(
            stem=source.stem,
            ext=extension,
            scale="" if self.scale is None else f"{self.scale:g}",
            size=self.size,
            model=self.model,
            effort=self.effort,
        )


def shortened(name: str) -> str:
    """The name, or what fits of its stem with eight digits of its hash, where it is too long.

    >>> shortened("a.png"), len(shortened("ü" * 300 + ".png").encode()) <= 255
    ('a.png', True)
    """
    if len(_encoded(name)) <= _MOST_BYTES:
        return name
    path = Path(name)
    tag = "~" + hashlib.sha256(_encoded(name)).hexdigest()[:_TAG_LENGTH]
    stem = path.stem
    room = _MOST_BYTES - len(_encoded(tag + path.suffix))
    while len(_encoded(stem)) > room:
        stem = stem[: -max(1, (len(_encoded(stem)) - room) // 4)]
    return stem + tag + path.suffix


def case_folded(path: Path) -> str:
    """One text for all spellings of a path that some file system takes for one file.

    Some see no difference of case, others none of composition; links are followed. In storage
    elsewhere all spellings differ.
    """
    if isinstance(path, UrlPath):
        return str(path)
    return unicodedata.normalize("NFC", real_path(path)).casefold()


def real_path(path: Path) -> str:
    """Where a path leads, links followed; as `os.path.realpath`, but folders are looked at once."""
    if isinstance(path, UrlPath):
        return str(path)
    if path.name in ("", ".."):
        return os.path.realpath(path)
    found = os.path.join(folder_resolved(path.parent), path.name)  # noqa: PTH118
    return os.path.realpath(found) if os.path.islink(found) else found  # noqa: PTH114


def forget_folders() -> None:
    """Forget what was cached of folders: they may have changed since another batch was planned."""
    _resolved.cache_clear()


def folder_resolved(folder: Path) -> str:
    """Where a folder is, links followed; looked at once."""
    if isinstance(folder, UrlPath):
        return str(folder)
    return _resolved(os.path.join(os.getcwd(), folder))  # noqa: PTH109, PTH118


@lru_cache(maxsize=4096)
def _resolved(folder: str) -> str:
    return os.path.realpath(folder)


def _encoded(name: str) -> bytes:
    return name.encode(errors="surrogateescape")
