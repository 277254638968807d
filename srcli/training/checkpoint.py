"""Checkpoints and exported weights: safetensors, written whole or not at all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from srcli.atomic import atomic_file
from srcli.errors import WeightsError

__all__ = ["TensorFile", "read_tensors", "write_whole"]


@dataclass(frozen=True)
class TensorFile:
    """What a safetensors file holds: tensors by name, and strings by name."""

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
        content = path.read_bytes()
        tensors = load(content)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: {error}") from error
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return TensorFile(tensors, header.get("__metadata__", {}))
