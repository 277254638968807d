"""Where weights files lie on this machine."""

import os
from pathlib import Path

from srcli.user_folders import user_cache, user_data
from srcli.weights.entry import Source, WeightsEntry
from srcli.weights.manifest_file import box

__all__ = ["downloads", "file_of", "imports", "is_here", "records"]


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
