"""The weights files of a run: which the driver would use, and how a worker gets the same."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from srcli.atomic import atomic_file
from srcli.defaults import AUTO, PHOTO_MODELS
from srcli.jobs.identity import digest
from srcli.user_folders import user_cache
from srcli.weights import WeightsEntry, known, split_chain
from srcli.weights.local_files import file_of, is_here, resolved
from srcli.weights.manifest_file import as_toml

__all__ = ["WeightsFile", "use_files", "weights_files", "weights_hashes"]


@dataclass(frozen=True)
class WeightsFile:
    """A weights file on its way to a worker.

    Args:
        name: Of its entry.
        manifest: TOML of the entry, as of an imported file.
        content: The file.
    """

    name: str
    manifest: str
    content: bytes


def weights_hashes(model: str) -> dict[str, str]:
    """The sha256 of every file that `-m model` may load on this machine, by the entry's name."""
    return {entry.name: digest(file_of(entry)) for entry in _entries(model)}


def weights_files(model: str) -> tuple[WeightsFile, ...]:
    """The files that `weights_hashes` tells of."""
    files: list[WeightsFile] = []
    for entry in _entries(model):
        loaded = resolved(entry)
        assert loaded is not None  # it is here
        imported = replace(
            loaded,
            file=f"{entry.name}.safetensors",
            urls=(),
            page="",
            page_file="",
            folder=None,
        )
        content = file_of(entry).read_bytes()
        files.append(WeightsFile(entry.name, as_toml(imported), content))
    return tuple(files)


def use_files(files: tuple[WeightsFile, ...], hashes: Mapping[str, str]) -> None:
    """Lay the driver's files into a folder of their own and make this process look there.

    Args:
        files: Of the driver.
        hashes: Their sha256, by name.

    Raises:
        OSError: The folder cannot be written.
    """
    key = hashlib.sha256("\n".join(f"{n} {hashes[n]}" for n in sorted(hashes)).encode())
    cache = user_cache() / "cluster" / key.hexdigest()[:16]
    folder = cache / "imported"
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        _write(folder / f"{file.name}.safetensors", file.content)
        _write(folder / f"{file.name}.toml", file.manifest.encode())
    os.environ["SRCLI_CACHE"] = str(cache)


def _write(path: Path, content: bytes) -> None:
    with atomic_file(path) as stream:
        stream.write(content)


def _entries(model: str) -> list[WeightsEntry]:
    """The entries that `-m model` may load and that are here."""
    models = (*split_chain(model), *(PHOTO_MODELS if model == AUTO else ()))
    return [
        entry
        for entry in known()
        if is_here(entry) and resolved(entry) and any(map(entry.answers_to, models))
    ]
