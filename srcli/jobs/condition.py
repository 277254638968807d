"""What became of a folder's outputs: at a glance, or decoded and compared."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from srcli.errors import InputError
from srcli.jobs.identity import identity_of
from srcli.jobs.journal import Entry
from srcli.media import Decoded, Decoder

__all__ = ["Condition", "Inspected", "glance", "verify", "verify_unknown", "was_made"]


class Condition(StrEnum):
    """How an output is."""

    SOUND = "sound"
    PENDING = "pending"  # not made yet
    FAILED = "failed"  # its input failed
    MISSING = "missing"  # made, and gone since
    ALTERED = "altered"  # another content than was made
    DAMAGED = "damaged"  # cannot be decoded whole
    UNKNOWN = "unknown"  # it is whole, and no journal knows it


@dataclass(frozen=True)
class Inspected:
    """How one output is, and why.

    Args:
        target: Relative to the folder.
        condition: How it is.
        reason: In words, where there is something to say.
    """

    target: Path
    condition: Condition
    reason: str = ""


def glance(folder: Path, entries: Iterable[Entry]) -> Iterator[Inspected]:
    """How outputs are by their sizes and times; nothing is read.

    Args:
        folder: The output folder.
        entries: What its journal says.
    """
    for entry in entries:
        there = identity_of(folder / entry.target)
        if entry.state == "failed":
            yield Inspected(entry.target, Condition.FAILED, entry.reason)
        elif entry.state == "pending" or entry.output is None:
            yield Inspected(entry.target, Condition.PENDING)
        elif there is None:
            missing = entry.state == "done"
            yield Inspected(entry.target, Condition.MISSING if missing else Condition.PENDING)
        elif (there.size, there.mtime_ns) != (entry.output.size, entry.output.mtime_ns):
            reason = f"{there.size} bytes, {entry.output.size} when it was made; or touched since"
            yield Inspected(entry.target, Condition.ALTERED, reason)
        else:
            yield Inspected(entry.target, Condition.SOUND)


def was_made(folder: Path, entry: Entry) -> bool:
    """Whether there is, or should be, an output; a run begun since may not have come to it yet."""
    if entry.output is None:
        return False
    return entry.state == "done" or identity_of(folder / entry.target) is not None


def verify(folder: Path, entry: Entry, decoder: Decoder) -> Inspected:
    """Decode one output that was made, and compare it with what the journal says.

    Args:
        folder: The output folder.
        entry: Of an output that was made.
        decoder: Reads it in its own process.
    """
    path = folder / entry.target
    if identity_of(path) is None:
        return Inspected(entry.target, Condition.MISSING, "it is gone")
    try:
        read = _read_whole(path, decoder)
    except InputError as error:
        return Inspected(entry.target, Condition.DAMAGED, str(error))
    size = read.picture.width, read.picture.height
    if size != (entry.width, entry.height):
        reason = f"{size[0]}x{size[1]}, was made {entry.width}x{entry.height}"
        return Inspected(entry.target, Condition.ALTERED, reason)
    if entry.output is not None and read.sha256 != entry.output.sha256:
        return Inspected(entry.target, Condition.ALTERED, "its content differs from what was made")
    return Inspected(entry.target, Condition.SOUND)


def verify_unknown(path: Path, folder: Path, decoder: Decoder) -> Inspected:
    """Decode one picture that no journal knows."""
    inside = path.relative_to(folder)
    try:
        _read_whole(path, decoder)
    except InputError as error:
        return Inspected(inside, Condition.DAMAGED, str(error))
    return Inspected(inside, Condition.UNKNOWN)


def _read_whole(path: Path, decoder: Decoder) -> Decoded:
    """Decode every page; return the first."""
    first = decoder.read(path)
    for page in range(1, 1 + len(first.picture.further)):
        decoder.read(path, page)
    return first
