"""Deleting weights that are not srcli's own."""

from collections.abc import Sequence
from pathlib import Path

from srcli.errors import UsageError, WeightsError
from srcli.weights.entry import Source, WeightsEntry
from srcli.weights.places import file_of, imports
from srcli.weights.records import record_file

__all__ = ["remove_weights"]


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
        raise UsageError(f"{entry.name} is in the box: it goes with srcli itself")
    if entry.folder is not None and entry.folder != imports().absolute():
        raise UsageError(f"{entry.name} is not srcli's to delete: it is at {path}")
    beside = [path.with_suffix(".toml")] if entry.folder is not None else []
    beside += path.parent.glob(f".{path.name}.part")
    beside += [record_file(entry)] if forget and entry.converted else []
    return [one for one in (*beside, path) if one.exists()]
