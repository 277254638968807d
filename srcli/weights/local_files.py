"""Weights files on this machine: where they lie, what is recorded of them, and their removal.

The record of a published checkpoint holds its own hash and that of the converted file: one JSON
file for each entry, in the user's data folder, so that emptying the cache does not make srcli
trust another file than the first time.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from srcli.atomic import atomic_file
from srcli.errors import UsageError, WeightsError
from srcli.user_folders import user_cache, user_data
from srcli.weights.manifest_file import Source, WeightsEntry, box

__all__ = [
    "DownloadRecord",
    "downloads",
    "file_of",
    "fingerprint_of",
    "imports",
    "is_here",
    "record_file",
    "record_of",
    "records",
    "remember",
    "remove_weights",
    "resolved",
]


def downloads() -> Path:
    """The folder of downloaded files: the system's place for caches, or below `SRCLI_CACHE`."""
    told = os.environ.get("SRCLI_CACHE")
    return (Path(told) if told else user_cache()) / "weights"


def imports() -> Path:
    """The folder of a person's own files: the system's place for data, or below `SRCLI_CACHE`."""
    told = os.environ.get("SRCLI_CACHE")
    if told:
        return Path(told) / "imported"
    return user_data() / "weights"


def records() -> Path:
    """The folder of what is remembered of published checkpoints; it outlives the downloads."""
    told = os.environ.get("SRCLI_CACHE")
    return (Path(told) if told else user_data()) / "records"


def file_of(entry: WeightsEntry) -> Path:
    """Where the safetensors file of an entry is, or will be once it is there."""
    if entry.converted:
        return downloads() / f"{entry.name}.safetensors"
    if entry.folder is not None:
        return entry.folder / entry.file
    return (box() if entry.source is Source.BOX else downloads()) / entry.file


def is_here(entry: WeightsEntry) -> bool:
    """Tell if the file is on this machine; its content is checked when it is read."""
    return file_of(entry).is_file()


@dataclass(frozen=True)
class DownloadRecord:
    """A published checkpoint, and the safetensors file that was made of it.

    Args:
        sha256: Of the checkpoint as its publisher has it.
        git_blob: Likewise, as a git repository's tree would name it.
        size: Bytes of it.
        converted_sha256: Of the safetensors file.
        converted_size: Bytes of it.
        address: Where the checkpoint came from.
    """

    sha256: str
    git_blob: str
    size: int
    converted_sha256: str
    converted_size: int
    address: str


def record_file(entry: WeightsEntry) -> Path:
    """Where the record of an entry is, or will be."""
    return records() / f"{entry.name}.json"


def record_of(entry: WeightsEntry) -> DownloadRecord | None:
    """The record of an entry; None if there is none, or it is of another checkpoint.

    That is one that the manifest does not mean any more.
    """
    try:
        table = json.loads(record_file(entry).read_text("utf-8"))
        record = DownloadRecord(
            sha256=str(table["sha256"]),
            git_blob=str(table["git_blob"]),
            size=int(table["size"]),
            converted_sha256=str(table["converted_sha256"]),
            converted_size=int(table["converted_size"]),
            address=str(table["address"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if entry.sha256 not in ("", record.sha256) or entry.git_blob not in ("", record.git_blob):
        return None
    return record


def remember(entry: WeightsEntry, record: DownloadRecord) -> None:
    """Write the record of an entry.

    Raises:
        OSError: The folder does not take it.
    """
    path = record_file(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(json.dumps(asdict(record), indent=2).encode())


def resolved(entry: WeightsEntry) -> WeightsEntry | None:
    """The entry with size and sha256 of the safetensors file that is loaded.

    Returns:
        None if that is made of a published checkpoint, and has not been made yet.
    """
    if not entry.converted:
        return entry
    record = record_of(entry)
    if record is None:
        return None
    return replace(entry, size=record.converted_size, sha256=record.converted_sha256)


def fingerprint_of(entry: WeightsEntry) -> str:
    """Identity of weights: the published hash, else that of the first download.

    Returns:
        64 hexadecimal digits (sha256) or 40 (git blob); "" if there is nothing yet to tell by.
    """
    if entry.hash_published:
        return entry.sha256 or entry.git_blob
    record = record_of(entry)
    return "" if record is None else record.sha256


def remove_weights(entries: Sequence[WeightsEntry], *, forget: bool = False) -> list[Path]:
    """Delete the files of downloaded and imported weights, and what is left of downloads.

    Args:
        entries: Of which some may be away, as a network's name means all its scales.
        forget: Delete also the records by which a second download is held against the first.

    Returns:
        The files that are gone.

    Raises:
        UsageError: One of them is not srcli's to delete, or none is here; nothing is deleted then.
        WeightsError: A file cannot be deleted.
    """
    doomed = [path for entry in entries for path in _files(entry, forget=forget)]
    if not doomed:
        are = "are" if len(entries) > 1 else "is"
        raise UsageError(f"{', '.join(entry.name for entry in entries)} {are} not here")
    try:
        for path in doomed:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(f"{error.filename}: cannot be deleted: {error.strerror}") from error
    return doomed


def _files(entry: WeightsEntry, *, forget: bool) -> list[Path]:
    path = file_of(entry)
    if entry.source is Source.BOX:
        raise UsageError(f"{entry.name} is bundled with srcli and cannot be removed")
    ours = (imports().absolute(), downloads().absolute())
    if entry.folder is not None and entry.folder not in ours:
        raise UsageError(f"{entry.name} is not srcli's to delete: it is at {path}")
    beside = [path.with_suffix(".toml")]
    beside += path.parent.glob(f".{path.name}.part")
    beside += [record_file(entry)] if forget and entry.converted else []
    return [one for one in (*beside, path) if one.exists()]
