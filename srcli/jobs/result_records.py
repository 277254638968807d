"""Records of results that no folder's journal holds: of single files, and of clips.

Each is a small JSON file in the person's data folder, named after the result's absolute path, so
that nothing lies beside a photograph that was upscaled alone. A record that cannot be written or
read is as good as none: the result then counts as somebody else's, and is kept.
"""

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import cast

from srcli.atomic import atomic_file
from srcli.jobs.identity import Identity, digest, identity_of
from srcli.jobs.journal_schema import Entry
from srcli.url_paths import absolute_path, path_of
from srcli.user_folders import user_data

__all__ = ["read_record", "record_name", "record_names", "record_of", "write_record"]


def record_of(
    source: Path,
    target: Path,
    origin: Identity,
    settings: str,
    chosen: str = "",
    sha256: str = "",
) -> Entry | None:
    """Describe a result that has just been made; None if it is not a file.

    Args:
        source: The input.
        target: The result.
        origin: What the input was when it was read.
        settings: Text of the settings it was made with.
        chosen: The weights that `auto` chose, and why.
        sha256: Of the result; "" reads it.
    """
    found = identity_of(target)
    if found is None:
        return None
    output = Identity(found.size, found.mtime_ns, sha256 or digest(target))
    return Entry(
        absolute_path(target),
        absolute_path(source),
        "done",
        settings=settings,
        origin=origin,
        output=output,
        ended=time.time(),
        chosen=chosen,
    )


def write_record(entry: Entry) -> None:
    """Keep the record of a result, in place of an earlier one of the same path."""
    assert entry.origin is not None
    assert entry.output is not None
    fields = {
        "target": str(entry.target),
        "source": str(entry.source),
        "settings": entry.settings,
        "origin": [entry.origin.size, entry.origin.mtime_ns, entry.origin.sha256],
        "origin_tag": entry.origin.tag,
        "output": [entry.output.size, entry.output.mtime_ns, entry.output.sha256],
        "ended": entry.ended,
        "chosen": entry.chosen,
    }
    path = _place(entry.target)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as stream:
            stream.write(json.dumps(fields).encode())


def record_names() -> frozenset[str]:
    """Names of all records, to see at once that a result has none: see `record_name`."""
    try:
        return frozenset(os.listdir(_folder()))  # noqa: PTH208 names alone, of many files
    except OSError:
        return frozenset()


def record_name(target: Path) -> str:
    """Name of the file that holds a result's record."""
    text = str(absolute_path(target))
    return f"{hashlib.sha256(os.fsencode(text)).hexdigest()[:32]}.json"


def read_record(target: Path) -> Entry | None:
    """Find the record of a result; None if there is none that can be read."""
    try:
        found: object = json.loads(_place(target).read_text("utf-8"))
    except (OSError, ValueError, RecursionError, RuntimeError):  # no home folder: RuntimeError
        return None
    if not isinstance(found, dict):
        return None
    fields = cast("dict[str, object]", found)
    tag = str(fields.get("origin_tag", ""))  # of an object in storage
    origin, output = _identity(fields.get("origin"), tag), _identity(fields.get("output"))
    settings = fields.get("settings")
    if origin is None or output is None or not isinstance(settings, str):
        return None
    source = path_of(str(fields.get("source")))
    chosen = str(fields.get("chosen", ""))  # earlier versions did not keep it
    return Entry(
        target, source, "done", settings=settings, origin=origin, output=output, chosen=chosen
    )


def _place(target: Path) -> Path:
    """The file that holds a result's record."""
    return _folder() / record_name(target)


def _folder() -> Path:
    return user_data() / "results"


def _identity(cells: object, tag: str = "") -> Identity | None:
    match cells:
        case [int(size), int(mtime_ns), str() | None as sha256]:
            return Identity(size, mtime_ns, sha256, tag)
        case _:
            return None
