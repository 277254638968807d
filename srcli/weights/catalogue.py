"""Models of OpenModelDB's catalogue, as its JSON states them.

The catalogue is one JSON object of models by ID, each with `name`, `author`, `license`, `tags`,
`architecture`, `scale` and `resources`: files with `platform`, `type`, `size`, `sha256`, `urls`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, cast
from urllib.parse import urlsplit

__all__ = ["UNSTATED", "CatalogueModel", "Resource", "Wanted", "forbids_commerce", "models_of"]

UNSTATED = "not stated"

_PAGE = "https://openmodeldb.info/models/"
_TYPES = ("safetensors", "pth", "pt", "ckpt")  # those that can be read, the best first
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHARES = ("drive.google.com", "mega.nz", "mega.co.nz", "dropbox.com", "mediafire.com", "1drv.ms",
           "onedrive.live.com", "icedrive.net", "pan.baidu.com", "disk.yandex.com", "gofile.io",
           "workupload.com", "pixeldrain.com")  # fmt: skip


@dataclass(frozen=True)
class Resource:
    """One file of a model: its type, bytes, sha256, and the addresses that give the file itself.

    `pages` are those at which a person gets it by hand.
    """

    type: str
    size: int
    sha256: str
    urls: tuple[str, ...]
    pages: tuple[str, ...]

    @property
    def direct(self) -> bool:
        """True if it can be downloaded and verified."""
        return bool(self.urls and self.sha256 and self.size)


@dataclass(frozen=True)
class CatalogueModel:
    """A model of the catalogue, as far as srcli uses it; `licence` as stated there."""

    id: str
    name: str
    authors: tuple[str, ...]
    licence: str
    tags: tuple[str, ...]
    architecture: str
    scale: int
    description: str
    resources: tuple[Resource, ...]

    @property
    def resource(self) -> Resource | None:
        """The file to take: one that can be verified, safetensors before pickles."""
        order = sorted(self.resources, key=lambda r: (not r.direct, _TYPES.index(r.type)))
        return order[0] if order else None

    @property
    def page(self) -> str:
        """Its page for people."""
        return f"{_PAGE}{self.id}"


@dataclass(frozen=True)
class Wanted:
    """A search: all words, and each of the limits that are given.

    Args:
        words: In ID, name, author, architecture, tags or description, in any case.
        scale: SR px per LR px to a side.
        architecture: By the catalogue's name for it, in any case.
        commercial: Only licences that allow commercial use.
        largest: Bytes of the file.
    """

    words: Sequence[str] = ()
    scale: int | None = None
    architecture: str | None = None
    commercial: bool = False
    largest: int | None = None

    def fits(self, model: CatalogueModel) -> bool:
        """Tell if a model is one of those wanted; those without a file that srcli reads are not."""
        resource = model.resource
        text = " ".join(
            (model.id, model.name, *model.authors, model.architecture, *model.tags,
             model.description)
        ).casefold()  # fmt: skip
        return (
            resource is not None
            and all(word.casefold() in text for word in self.words)
            and self.scale in (None, model.scale)
            and (self.architecture or model.architecture).casefold()
            == model.architecture.casefold()
            and not (self.commercial and not _allows_commerce(model.licence))
            and (self.largest is None or 0 < resource.size <= self.largest)
        )


def forbids_commerce(licence: str) -> bool:
    """Tell if a licence is for non-commercial use only, by its SPDX name."""
    return "NC" in re.split(r"[^A-Za-z0-9]+", licence.upper())


def _allows_commerce(licence: str) -> bool:
    return licence != UNSTATED and not forbids_commerce(licence)


def models_of(table: object) -> Iterator[CatalogueModel]:
    """The models of the catalogue's JSON; those whose fields are of other types are left out.

    Raises:
        TypeError: It is no table.
    """
    if not isinstance(table, dict):
        raise TypeError("no table of models")
    for identity, value in cast("dict[str, Any]", table).items():
        if not _ID.fullmatch(identity) or not isinstance(value, dict):
            continue
        fields = cast("dict[str, Any]", value)
        scale = fields.get("scale")
        if not isinstance(scale, int) or scale < 1:
            continue
        author = fields.get("author")
        yield CatalogueModel(
            id=identity,
            name=_plain(fields.get("name")) or identity,
            authors=_texts([author] if isinstance(author, str) else author),
            licence=_plain(fields.get("license")) or UNSTATED,
            tags=_texts(fields.get("tags")),
            architecture=_plain(fields.get("architecture")),
            scale=scale,
            description=_plain(fields.get("description")),
            resources=tuple(_resources(fields.get("resources"))),
        )


def _resources(listed: object) -> Iterator[Resource]:
    for value in cast("list[object]", listed) if isinstance(listed, list) else []:
        fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        kind, size = fields.get("type"), fields.get("size")
        if kind not in _TYPES or fields.get("platform", "pytorch") != "pytorch":
            continue
        sha256 = _plain(fields.get("sha256")).lower()
        urls = _texts(fields.get("urls"))
        yield Resource(
            type=cast("str", kind),
            size=size if isinstance(size, int) and size > 0 else 0,
            sha256=sha256 if _SHA256.fullmatch(sha256) else "",
            urls=tuple(url for url in urls if _is_direct(url)),
            pages=tuple(url for url in urls if not _is_direct(url)),
        )


def _is_direct(url: str) -> bool:
    """Tell if an address gives the file itself, and not a page that leads to it."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return False
    suffix = PurePosixPath(parts.path).suffix.lstrip(".").lower()
    shared = any(host == share or host.endswith(f".{share}") for share in _SHARES)
    page = host in ("github.com", "huggingface.co") and "/blob/" in parts.path
    return parts.scheme == "https" and suffix in _TYPES and not shared and not page


def _texts(value: object) -> tuple[str, ...]:
    listed = cast("list[object]", value) if isinstance(value, list) else []
    return tuple(_plain(one) for one in listed if isinstance(one, str))


def _plain(value: object) -> str:
    """Text without what would move a terminal's cursor; "" for anything else."""
    if not isinstance(value, str):
        return ""
    return "".join(one if one.isprintable() else " " for one in value).strip()
