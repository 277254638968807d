"""Checkpoints and exported weights: safetensors, written whole or not at all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from srcli.atomic import atomic_file
from srcli.errors import WeightsError

__all__ = [
    "TensorFile",
    "read_checkpoint",
    "read_notes",
    "read_tensors",
    "write_checkpoint",
    "write_whole",
]


_BESIDE = "optimizer"  # the note of the file that holds the optimizer's state


@dataclass(frozen=True)
class TensorFile:
    """Content of a safetensors file: tensors by name, and strings by name."""

    tensors: Mapping[str, Tensor]
    notes: Mapping[str, str]

    def note(self, key: str) -> object:
        """The JSON value noted under `key`; None if there is none."""
        return json.loads(self.notes[key]) if key in self.notes else None


def write_whole(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, object]) -> None:
    """Write tensors and notes so that `path` is never half a file, whatever happens.

    Args:
        path: The file to make or to replace.
        tensors: On any device.
        notes: Stored as JSON.

    Raises:
        OSError: It cannot be written; what was at `path` is still there, untouched.
    """
    flat = {name: t.detach().to("cpu").contiguous() for name, t in tensors.items()}
    content = save(flat, {key: json.dumps(value) for key, value in notes.items()})
    with atomic_file(path) as file:
        file.write(content)


def read_tensors(path: Path) -> TensorFile:
    """Read a safetensors file whole, tensors on the CPU.

    Raises:
        WeightsError: It is not there, or no safetensors file.
    """
    try:
        tensors = load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: {error}") from error
    return TensorFile(tensors, read_notes(path))


def write_checkpoint(
    path: Path,
    weights: Mapping[str, Tensor],
    optimizer: Mapping[str, Tensor],
    notes: Mapping[str, object],
) -> None:
    """Write a checkpoint as two files, each about half of it, that belong together.

    The optimizer's has the step in its name and is written first; `path`, which names it, makes it
    count, and only then the one before is removed. So there is a whole checkpoint at any time.

    Args:
        path: The file to make or to replace.
        weights: Network and average.
        optimizer: What the optimizers hold.
        notes: Stored as JSON in `path`; "step" among them.

    Raises:
        OSError: It cannot be written; the checkpoint before is still there.
    """
    beside = path.with_name(f"{path.stem}-optimizer-{notes['step']}.safetensors")
    write_whole(beside, optimizer, {})
    write_whole(path, weights, {**notes, _BESIDE: beside.name})
    for old in path.parent.glob(f"{path.stem}-optimizer-*.safetensors"):
        if old != beside:
            old.unlink()


def read_checkpoint(path: Path) -> TensorFile:
    """Read a checkpoint's two files as one; one of before, a single file, as it is.

    Raises:
        WeightsError: A file is not there, or is no safetensors file.
    """
    file = read_tensors(path)
    beside = file.note(_BESIDE)
    if beside is None:
        return file
    optimizer = read_tensors(path.with_name(Path(str(beside)).name))
    return replace(file, tensors={**file.tensors, **optimizer.tensors})


def read_notes(path: Path) -> dict[str, str]:
    """Read what is noted in a safetensors file, JSON by name, without its tensors.

    Raises:
        WeightsError: It is not there, or no safetensors file.
    """
    try:
        with cast("Any", safe_open(path, framework="pt")) as file:
            return cast("dict[str, str] | None", file.metadata()) or {}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: {error}") from error
