"""Check a folder's outputs: quickly, or decoded and compared."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from srcli.errors import InputError
from srcli.jobs.identity import identity_of
from srcli.jobs.journal import Entry
from srcli.media import Decoded, DecoderProcess

__all__ = ["Condition", "Verification", "check_quickly", "verify", "verify_unknown", "was_made"]


class Condition(StrEnum):
    """Condition of an output."""

    SOUND = "sound"
    PENDING = "pending"  # not made yet
    FAILED = "failed"  # its input failed
    MISSING = "missing"  # made, and gone since
    ALTERED = "altered"  # another content than was made
    DAMAGED = "damaged"  # cannot be decoded whole
    UNKNOWN = "unknown"  # it is whole, and no journal knows it


@dataclass(frozen=True)
class Verification:
    """Condition of one output, and the reason.

    Args:
        target: Relative to the folder.
        condition: How it is.
        reason: In words, where there is something to say.
    """

    target: Path
    condition: Condition
    reason: str = ""


def check_quickly(folder: Path, entries: Iterable[Entry]) -> Iterator[Verification]:
    """Check outputs by size and time alone, without reading them.

    Args:
        folder: The output folder.
        entries: What its journal says.
    """
    for entry in entries:
        there = identity_of(folder / entry.target)
        if entry.state == "failed":
            yield Verification(entry.target, Condition.FAILED, entry.reason)
        elif entry.state == "pending" or entry.output is None:
            yield Verification(entry.target, Condition.PENDING)
        elif there is None:
            missing = entry.state == "done"
            yield Verification(entry.target, Condition.MISSING if missing else Condition.PENDING)
        elif (there.size, there.mtime_ns) != (entry.output.size, entry.output.mtime_ns):
            reason = f"{there.size} bytes, {entry.output.size} when it was made; or touched since"
            yield Verification(entry.target, Condition.ALTERED, reason)
        else:
            yield Verification(entry.target, Condition.SOUND)


def was_made(folder: Path, entry: Entry) -> bool:
    """Tell if there is, or should be, an output; a run begun since may not have reached it yet."""
    if entry.output is None:
        return False
    return entry.state == "done" or identity_of(folder / entry.target) is not None


def verify(folder: Path, entry: Entry, decoder: DecoderProcess) -> Verification:
    """Decode one output that was made, and compare it with what the journal says.

    Args:
        folder: The output folder.
        entry: Of an output that was made.
        decoder: Reads it in its own process.
    """
    path = folder / entry.target
    if identity_of(path) is None:
        return Verification(entry.target, Condition.MISSING, "it is gone")
    try:
        read = _read_whole(path, decoder)
    except InputError as error:
        return Verification(entry.target, Condition.DAMAGED, str(error))
    size = read.image.width, read.image.height
    if size != (entry.width, entry.height):
        reason = f"{size[0]}x{size[1]}, was made {entry.width}x{entry.height}"
        return Verification(entry.target, Condition.ALTERED, reason)
    if entry.output is not None and read.sha256 != entry.output.sha256:
        return Verification(
            entry.target, Condition.ALTERED, "its content differs from what was made"
        )
    return Verification(entry.target, Condition.SOUND)


def verify_unknown(path: Path, folder: Path, decoder: DecoderProcess) -> Verification:
    """Decode one image that no journal knows."""
    inside = path.relative_to(folder)
    try:
        _read_whole(path, decoder)
    except InputError as error:
        return Verification(inside, Condition.DAMAGED, str(error))
    return Verification(inside, Condition.UNKNOWN)


def _read_whole(path: Path, decoder: DecoderProcess) -> Decoded:
    """Decode every page; return the first."""
    first = decoder.read(path)
    for page in range(1, 1 + len(first.image.further)):
        decoder.read(path, page)
    return first
