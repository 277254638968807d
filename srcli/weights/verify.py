"""Whether a weights file is the one its manifest means."""

import hashlib

from srcli.weights.entry import WeightsEntry
from srcli.weights.manifest import how_to_get
from srcli.weights.places import file_of

__all__ = ["fault_of"]


def fault_of(entry: WeightsEntry) -> str | None:
    """What is wrong with the file of an entry, in words; None if it is whole."""
    path = file_of(entry)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except FileNotFoundError:
        return f"missing ({how_to_get(entry)})"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if digest != entry.sha256:
        return (
            f"altered: {path} has {size} bytes, sha256 {digest}; "
            f"must be {entry.size}, {entry.sha256}"
        )
    return None
