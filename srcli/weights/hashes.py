"""Check that a weights file is the one its manifest means."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from srcli.weights.header import read_header
from srcli.weights.local_files import file_of, record_of, resolved
from srcli.weights.manifest import how_to_get
from srcli.weights.manifest_file import COMMUNITY, WeightsEntry

__all__ = ["FileHashes", "fault_of", "hashes_of", "mismatch"]


@dataclass(frozen=True)
class FileHashes:
    """A file's size in bytes, its sha256, and its name in the tree of a git repository."""

    size: int
    sha256: str
    git_blob: str


def hashes_of(path: Path) -> FileHashes:
    """Read a file once for both hashes.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        sha256 = hashlib.sha256()
        blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)  # git's own construction
        while piece := file.read(1 << 20):
            sha256.update(piece)
            blob.update(piece)
    return FileHashes(size, sha256.hexdigest(), blob.hexdigest())


def mismatch(entry: WeightsEntry, found: FileHashes) -> str | None:
    """Describe the fault of a downloaded file; None if it is the one that is meant.

    Where no hash is published, that of the first download counts; before it, nothing is wrong.
    """
    if entry.sha256 and found.sha256 != entry.sha256:
        return f"sha256 is {found.sha256}, the manifest says {entry.sha256}"
    if entry.git_blob and found.git_blob != entry.git_blob:
        return f"git blob is {found.git_blob}, the manifest says {entry.git_blob}"
    first = None if entry.hash_published else record_of(entry)
    if first is not None and found.sha256 != first.sha256:
        return f"sha256 is {found.sha256}, that of the first download was {first.sha256}"
    return None


def fault_of(entry: WeightsEntry) -> str | None:
    """Describe the fault of an entry's file; None if it is whole."""
    path = file_of(entry)
    try:
        found = hashes_of(path)
    except FileNotFoundError:
        return f"missing ({how_to_get(entry)})"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    meant = resolved(entry)
    if meant is None:
        return f"unknown: nothing is remembered of how {path} was made ({how_to_get(entry)})"
    if found.sha256 != meant.sha256:
        return (
            f"altered: {path} has {found.size} bytes, sha256 {found.sha256}; "
            f"must be {meant.size}, {meant.sha256}"
        )
    if entry.converted and entry.model != COMMUNITY and read_header(path).for_spandrel:
        return f"{path} was converted for spandrel, by an older srcli ({how_to_get(entry)})"
    return None
