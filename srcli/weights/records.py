"""Record of a published checkpoint: its own hash, and that of the converted file.

One JSON file for each entry, in the user's data folder, so that emptying the cache does not make
srcli trust another file than the first time.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from srcli.atomic import atomic_file
from srcli.weights.entry import WeightsEntry
from srcli.weights.places import records

__all__ = ["DownloadRecord", "fingerprint_of", "record_file", "record_of", "remember", "resolved"]


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
