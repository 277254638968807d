"""Check a folder's outputs: quickly, or decoded and compared."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from srcli.errors import InputError
from srcli.jobs.identity import Identity, identity_of
from srcli.jobs.journal import Entry, Journal, journal_path
from srcli.jobs.result_records import read_record
from srcli.media import Decoded, DecoderPool

__all__ = [
    "Condition",
    "Verification",
    "check_quickly",
    "result_path",
    "verify",
    "verify_unknown",
    "was_made",
]


class Condition(StrEnum):
    """Condition of an output."""

    SOUND = "sound"
    PENDING = "pending"  # not made yet
    FAILED = "failed"  # its input failed
    MISSING = "missing"  # made, and gone since
    ALTERED = "altered"  # another content than was made
    DAMAGED = "damaged"  # cannot be decoded whole
    UNKNOWN = "unknown"  # it is whole, and nothing lists it


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
        there = identity_of(result_path(folder, entry))
        if entry.state == "failed":
            yield Verification(entry.target, Condition.FAILED, entry.reason)
        elif entry.state == "pending" or entry.output is None:
            yield Verification(entry.target, Condition.PENDING)
        elif there is None:
            missing = entry.state == "done"
            yield Verification(entry.target, Condition.MISSING if missing else Condition.PENDING)
        elif entry.state == "writing" and there.tag and not entry.output.tag:
            yield Verification(entry.target, Condition.PENDING)  # the next run will compare it
        elif not _is_alike(there, entry.output):
            reason = f"{there.size} bytes, {entry.output.size} when it was made; or touched since"
            yield Verification(entry.target, Condition.ALTERED, reason)
        else:
            yield Verification(entry.target, Condition.SOUND)


def _is_alike(there: Identity, known: Identity) -> bool:
    """Tell if a result has the size it was made with, and the tag, or of a file the time."""
    if there.size != known.size:
        return False
    return there.tag == known.tag if known.tag else there.mtime_ns == known.mtime_ns


def result_path(folder: Path, entry: Entry) -> Path:
    """Where a result is: journals elsewhere name it in full."""
    return entry.target if entry.target.is_absolute() else folder / entry.target


def was_made(folder: Path, entry: Entry) -> bool:
    """Tell if there is, or should be, an output; a run begun since may not have reached it yet."""
    if entry.output is None:
        return False
    return entry.state == "done" or identity_of(folder / entry.target) is not None


def verify(folder: Path, entry: Entry, decoder: DecoderPool) -> Verification:
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
    if entry.width is not None and size != (entry.width, entry.height):
        reason = f"{size[0]}x{size[1]}, was made {entry.width}x{entry.height}"
        return Verification(entry.target, Condition.ALTERED, reason)
    if entry.output is not None and read.sha256 != entry.output.sha256:
        return Verification(
            entry.target, Condition.ALTERED, "its content differs from what was made"
        )
    return Verification(entry.target, Condition.SOUND)


def known_results(place: Path, folder: Path) -> dict[Path, Entry]:
    """Find the entries of results in a folder, or of one file, in the nearest journal above them.

    Args:
        place: The folder, or a file in it.
        folder: The folder; paths are relative to it.
    """
    above = Path(os.path.abspath(folder))  # noqa: PTH100 links are left as they are
    home = next((one for one in (above, *above.parents) if journal_path(one).exists()), None)
    if home is None:
        return {}
    journal = Journal(folder if home == above else home, create=False)
    try:
        entries = journal.entries().values()
    finally:
        journal.close()
    inside = [
        replace(entry, target=Path(os.path.relpath(home / entry.target, above)))
        for entry in entries
    ]
    if place != folder:
        return {entry.target: entry for entry in inside if entry.target == Path(place.name)}
    return {entry.target: entry for entry in inside if entry.target.parts[0] != os.pardir}


def verify_unknown(path: Path, folder: Path, decoder: DecoderPool) -> Verification:
    """Decode one image that no journal lists; compare it with its own record if it has one."""
    inside = path.relative_to(folder)
    record = read_record(path)
    if record is not None:
        return verify(folder, replace(record, target=inside), decoder)
    try:
        _read_whole(path, decoder)
    except InputError as error:
        return Verification(inside, Condition.DAMAGED, str(error))
    return Verification(inside, Condition.UNKNOWN)


def _read_whole(path: Path, decoder: DecoderPool) -> Decoded:
    """Decode every page; return the first."""
    first = decoder.read(path)
    for page in range(1, 1 + len(first.image.later_pages)):
        decoder.read(path, page)
    return first
