"""Paths kept as the names of folder and file, for objects of which there may be millions.

A `Path` takes some 400 bytes, most of which are texts of its own; folders and names are kept once,
however many objects name them.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import MemberDescriptorType
from typing import TypeVar

from srcli.url_paths import UrlPath

__all__ = ["FolderSlots", "compact_paths"]

Kind = TypeVar("Kind", bound=type[object])


class FolderSlots:
    """Base of a dataclass with slots that has up to two compact paths: room for their folders."""

    __slots__ = ("_first_folder", "_second_folder")


class _CompactPath:
    """A field whose value is taken apart when it is set, and put together when it is read.

    Args:
        name: The field's own slot, which holds the name.
        folder: The slot that holds the folder.
    """

    def __init__(self, name: MemberDescriptorType, folder: MemberDescriptorType) -> None:
        self._name, self._folder = name, folder

    def __get__(self, instance: object, owner: type[object]) -> Path:
        folder, name = self._folder.__get__(instance), self._name.__get__(instance)
        return UrlPath(folder, name) if "://" in folder else Path(folder, name)

    def __set__(self, instance: object, value: Path) -> None:
        self._folder.__set__(instance, sys.intern(str(value.parent)))
        self._name.__set__(instance, sys.intern(value.name))


def compact_paths(*fields: str) -> Callable[[Kind], Kind]:
    """Decorate a dataclass that keeps one or two of its fields, which are paths, in few bytes.

    >>> from dataclasses import dataclass
    >>> @compact_paths("path")
    ... @dataclass(frozen=True, slots=True)
    ... class Named(FolderSlots):
    ...     path: Path
    >>> Named(Path("a/b.png"))
    Named(path=PosixPath('a/b.png'))
    >>> [str(Named(Path(text)).path) for text in ("/", ".", "..", "b", "/b", "../b", "//b/c")]
    ['/', '.', '..', 'b', '/b', '../b', '//b/c']
    """
    folders = (FolderSlots.__dict__[slot] for slot in FolderSlots.__slots__)

    def decorate(kind: Kind) -> Kind:
        for field, folder in zip(fields, folders, strict=False):
            setattr(kind, field, _CompactPath(kind.__dict__[field], folder))
        return kind

    return decorate
