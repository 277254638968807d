"""Schema of the journal: its tables, and their rows as Python objects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from srcli.jobs.identity import Identity
from srcli.url_paths import path_of

__all__ = [
    "ADDED_COLUMNS",
    "COLUMNS",
    "SCHEMA",
    "VERSION",
    "Entry",
    "RunRecord",
    "entry_from_row",
    "path_to_cell",
]

VERSION = 1
SCHEMA = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    started REAL NOT NULL, ended REAL, outcome TEXT,
    pid INTEGER NOT NULL, version TEXT NOT NULL,
    model TEXT NOT NULL, weights_sha256 TEXT NOT NULL,
    settings TEXT NOT NULL, resolved TEXT NOT NULL
);
CREATE TABLE files (
    target TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'writing', 'done', 'failed')),
    reason TEXT NOT NULL DEFAULT '',
    run INTEGER NOT NULL REFERENCES runs (id),
    settings TEXT,
    source_size INTEGER, source_mtime_ns INTEGER, source_sha256 TEXT,
    size INTEGER, mtime_ns INTEGER, sha256 TEXT,
    width INTEGER, height INTEGER, seconds REAL, ended REAL,
    chosen TEXT NOT NULL DEFAULT '',
    source_tag TEXT NOT NULL DEFAULT '', tag TEXT NOT NULL DEFAULT ''
);
"""
COLUMNS = (
    "target, source, state, reason, settings, source_size, source_mtime_ns, source_sha256, "
    "size, mtime_ns, sha256, width, height, seconds, ended, chosen, source_tag, tag"
)
_TEXT = "TEXT NOT NULL DEFAULT ''"
ADDED_COLUMNS = {"chosen": _TEXT, "source_tag": _TEXT, "tag": _TEXT}
"""Columns of `files` that journals of earlier versions lack, each with its type and default."""


@dataclass(frozen=True)
class Entry:
    """A journal's row about one output.

    Args:
        target: The output, relative to the folder; in full where the journal is elsewhere.
        source: The input.
        state: "pending", "writing", "done" or "failed": how far the last attempt came.
        reason: Why it failed.
        settings: What the output that exists was made with; None if none was made.
        origin: What the input was when that output was made.
        output: What that output was when it was made.
        width: Of the output, px.
        height: Of the output, px.
        seconds: Time in the network.
        ended: When, in seconds since 1970.
        chosen: The weights that `auto` chose, and why; empty if a model was named.
    """

    target: Path
    source: Path
    state: str
    reason: str = ""
    settings: str | None = None
    origin: Identity | None = None
    output: Identity | None = None
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    ended: float | None = None
    chosen: str = ""


@dataclass(frozen=True)
class RunRecord:
    """One run.

    Args:
        pid: Its process.
        version: Of srcli.
        model: The network.
        weights_sha256: Of its weights.
        settings: Every setting that changes pixels, as `Settings.text`.
        resolved: Device and precision that "auto" was resolved to.
        started: In seconds since 1970.
        ended: Likewise; None if it has not, or was killed.
        outcome: "finished", "stopped" or an error's line.
    """

    pid: int
    version: str
    model: str
    weights_sha256: str
    settings: str
    resolved: str
    started: float = 0.0
    ended: float | None = None
    outcome: str | None = None


def path_to_cell(path: Path) -> str | bytes:
    """A path as SQLite takes it: text, or bytes where a name is not text."""
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="surrogateescape")
    return text


def _path(cell: str | bytes) -> Path:
    return path_of(cell if isinstance(cell, str) else cell.decode(errors="surrogateescape"))


def entry_from_row(row: tuple[object, ...]) -> Entry:
    """Turn a row of `COLUMNS` into what it says."""
    target, source, state, reason, settings, *rest = row
    *rest, source_tag, tag = rest
    origin, output = _identity(rest[:3], source_tag), _identity(rest[3:6], tag)
    entry = Entry(_path(target), _path(source), str(state), str(reason))  # type: ignore[arg-type]
    width, height, seconds, ended, chosen = rest[6:]
    return replace(
        entry,
        settings=settings,
        origin=origin,
        output=output,
        width=width,
        height=height,
        seconds=seconds,
        ended=ended,
        chosen=str(chosen),
    )


def _identity(cells: Sequence[object], tag: object) -> Identity | None:
    return None if cells[0] is None else Identity(*cells, tag=str(tag))  # type: ignore[arg-type]
