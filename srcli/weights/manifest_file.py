"""Manifests: TOML files with a table `[[weights]]` for each weights file, a `WeightsEntry`."""

import dataclasses
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from srcli.errors import WeightsError

__all__ = [
    "COMMUNITY",
    "Source",
    "WeightsEntry",
    "as_toml",
    "box",
    "read_manifest",
]


COMMUNITY = "community"
"""The `model` of weights whose network spandrel builds (`models/community.py`)."""


class Source(StrEnum):
    """Where a weights file comes from."""

    BOX = "in the box"
    DOWNLOAD = "download"
    FOLDER = "yours"
    BY_HAND = "by hand"


@dataclass(frozen=True)
class WeightsEntry:
    r"""One weights file.

    Args:
        name: File name without suffix.
        model: The network it is for, by its name in the registry.
        scale: The scale it was trained for.
        file: File name; for a published checkpoint (`converted`) as its publisher has it.
        size: Bytes; 0 if not known.
        sha256: Of the whole file, hexadecimal; empty if nobody has published it.
        licence: SPDX expression, or in words.
        training_data: What it was trained on, with attribution.
        origin: How the file was made.
        psnr_protocol: How `psnr_y` was measured.
        psnr_y: Measured PSNR-Y in dB by data set, in effort `exact`.
        variant: The name by which `-m` finds it; empty for a network's standard weights, which
            the network's own name finds.
        also_for: Other networks that take the same parameters.
        urls: Where it can be downloaded, the first that answers; none for a shipped file.
        page: Where people get it who made no direct download of it.
        page_file: What the file is called there.
        psnr_published: PSNR-Y in dB by data set, as its authors or the network's paper have it.
        published_by: Where that is written.
        teacher: Weights whose outputs it was trained on, with their sha256 and licence.
        git_blob: SHA-1 of `blob <size>\0` and the file, as a git repository's tree names it.
        recommended: Whether `srcli weights download recommended` means it.
        architecture: Of a community network, by spandrel's name for it.
        folder: Where the file lies, for files that are neither shipped nor downloaded.
    """

    name: str
    model: str
    scale: int
    file: str
    size: int
    sha256: str
    licence: str
    training_data: str
    origin: str
    psnr_protocol: str
    psnr_y: Mapping[str, float] = field(default_factory=dict[str, float])
    variant: str = ""
    also_for: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    page: str = ""
    page_file: str = ""
    psnr_published: Mapping[str, float] = field(default_factory=dict[str, float])
    published_by: str = ""
    teacher: str = ""
    git_blob: str = ""
    recommended: bool = False
    architecture: str = ""
    folder: Path | None = None

    @property
    def source(self) -> Source:
        """Where the file comes from."""
        if self.folder is not None:
            return Source.FOLDER
        if self.urls:
            return Source.DOWNLOAD
        return Source.BY_HAND if self.page else Source.BOX

    @property
    def converted(self) -> bool:
        """True if the file is a published checkpoint, which srcli converts to safetensors."""
        return bool(self.urls) and (not self.sha256 or Path(self.file).suffix != ".safetensors")

    @property
    def label(self) -> str:
        """Its network's name for messages; of a community network, that of the weights."""
        return self.title if self.model == COMMUNITY else self.model

    @property
    def title(self) -> str:
        """Its name for people: what `-m` calls it, else its network."""
        return self.variant or self.model

    @property
    def hash_published(self) -> bool:
        """True if the bytes of the first download can be verified."""
        return bool(self.sha256 or self.git_blob)

    def answers_to(self, model: str) -> bool:
        """Tell if `-m model` means it."""
        if model in (self.name, self.variant):
            return True
        return not self.variant and (model == self.model or model in self.also_for)


def box() -> Path:
    """The folder of the shipped weights: inside the package, or beside it in a checkout."""
    packaged = Path(__file__).parent / "bundled"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "weights"


def read_manifest(path: Path, folder: Path | None = None) -> tuple[WeightsEntry, ...]:
    """The entries of a manifest.

    Args:
        path: The manifest.
        folder: Where the files lie that it has no address for; None: in the box.

    Raises:
        WeightsError: It cannot be read, or is no manifest.
    """
    try:
        tables = cast("list[Any]", tomllib.loads(path.read_text("utf-8")).get("weights", []))
        return tuple(_entry(table, folder) for table in tables)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:  # TOML and UTF-8 errors are values'
        raise WeightsError(
            f"{path}: not a manifest of weights: {error}; correct or remove it"
        ) from error


def as_toml(entry: WeightsEntry) -> str:
    """The table of an entry; what is empty is left out."""
    values = {name: getattr(entry, name) for name in _KINDS}
    lines = [
        f"{name} = {_as_toml(value)}"
        for name, value in values.items()
        if not isinstance(value, dict) and (value or name in _REQUIRED)
    ]
    for name in _TABLES:
        figures = [f"{_as_toml(key)} = {value}" for key, value in values[name].items()]
        lines += [f"{name} = {{ {', '.join(figures)} }}"] if figures else []
    return "\n".join(["[[weights]]", *lines, ""])


def _as_toml(value: object) -> str:
    """A JSON string, number or list of strings is also a TOML one, if written as it is."""
    return json.dumps(value, ensure_ascii=False)


def _entry(table: object, folder: Path | None) -> WeightsEntry:
    if not isinstance(table, dict):
        raise TypeError("weights is not a list of tables")
    given = cast("dict[str, Any]", table)
    if missing := [name for name in _REQUIRED if name not in given]:
        raise ValueError(f"{', '.join(missing)} missing")
    checked: dict[str, Any] = {}
    for name, value in given.items():
        if name not in _KINDS:
            raise ValueError(f"unknown key {name!r}")
        checked[name] = _KINDS[name](name, value)
    for name in ("sha256", "git_blob"):
        checked[name] = checked.get(name, "").lower()
    entry = WeightsEntry(**checked)
    for name in (entry.file, entry.name):
        if not name or name.startswith(".") or any(one in name for one in "/\\:"):
            raise ValueError(f"{name!r} is not a plain file name")
    _check_hashes(entry)
    return entry if entry.urls or entry.page else dataclasses.replace(entry, folder=folder)


def _check_hashes(entry: WeightsEntry) -> None:
    if not (entry.converted or entry.page or (entry.size and entry.sha256)):
        raise ValueError(f"{entry.name} needs its size and sha256")
    for name, value, digits in (("sha256", entry.sha256, 64), ("git_blob", entry.git_blob, 40)):
        if value and not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
            raise ValueError(f"{name} = {value!r} is not {digits} hexadecimal digits")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} = {value!r} is not text")
    return value


def _number(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{name} = {value!r} is not a whole number")
    return value


def _switch(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} = {value!r} is neither true nor false")
    return value


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{name} = {value!r} is not a list")
    return tuple(_text(name, one) for one in cast("list[object]", value))


def _figures(name: str, value: object) -> dict[str, float]:
    if not isinstance(value, dict):
        raise TypeError(f"{name} = {value!r} is not a table of figures")
    return {str(key): float(one) for key, one in cast("dict[Any, Any]", value).items()}


_NUMBERS = ("scale", "size")
_LISTS = ("also_for", "urls")
_TABLES = ("psnr_y", "psnr_published")
_OPTIONAL = (*_LISTS, *_TABLES, "variant", "page", "page_file", "published_by", "teacher",
             "git_blob", "recommended", "architecture")  # fmt: skip
_Check = Callable[[str, object], object]


def _check_of(name: str) -> _Check:
    if name in _NUMBERS:
        return _number
    if name in _TABLES:
        return _figures
    if name == "recommended":
        return _switch
    return _texts if name in _LISTS else _text


_KINDS: dict[str, _Check] = {
    field.name: _check_of(field.name)
    for field in dataclasses.fields(WeightsEntry)
    if field.name != "folder"
}
_REQUIRED = tuple(name for name in _KINDS if name not in _OPTIONAL)
