"""A person's own file of parameters, whatever trainer wrote it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from srcli.errors import WeightsError
from srcli.weights.header import Shape, TensorInfo, parse_header, read_header
from srcli.weights.pickled import read_pickled

__all__ = ["Checkpoint", "open_checkpoint"]

_NAMES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}


@dataclass(frozen=True)
class Checkpoint:
    """Content of a checkpoint file.

    Args:
        path: The file.
        kind: "safetensors" or "PyTorch checkpoint".
        shapes: Of the parameters, by the names the file has for them.
        dtypes: Their types as safetensors names them, sorted.
        pickled: The parameters, if they had to be read to know all this.
        notes: What a safetensors file says of itself, as `srcli train` writes it.
    """

    path: Path
    kind: str
    shapes: Mapping[str, Shape]
    dtypes: tuple[str, ...]
    pickled: Mapping[str, Tensor] | None = None
    notes: Mapping[str, str] = field(default_factory=dict[str, str])

    def tensors(self) -> Mapping[str, Tensor]:
        """Read the parameters.

        Raises:
            WeightsError: The file cannot be read, or has changed meanwhile.
        """
        if self.pickled is not None:
            return self.pickled
        try:
            content = self.path.read_bytes()
            parse_header(content, len(content), str(self.path))
            return load(content)
        except OSError as error:
            raise WeightsError(f"{self.path}: {error.strerror}") from error
        except SafetensorError as error:
            raise WeightsError(f"{self.path}: not a safetensors file ({error})") from error


def open_checkpoint(path: Path) -> Checkpoint:
    """Look into a safetensors file (its header alone) or a PyTorch checkpoint.

    Raises:
        WeightsError: It cannot be read, does not tell the truth, or would run code.
    """
    if _is_safetensors(path):
        header = read_header(path)
        kinds = _dtypes(header.tensors)
        return Checkpoint(path, "safetensors", header.shapes, kinds, notes=header.notes)
    pickled = read_pickled(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in pickled.items()}
    kinds = {str(tensor.dtype).removeprefix("torch.") for tensor in pickled.values()}
    dtypes = tuple(sorted(_NAMES.get(kind, kind) for kind in kinds))
    return Checkpoint(path, "PyTorch checkpoint", shapes, dtypes, pickled)


def _is_safetensors(path: Path) -> bool:
    """By its name, or because a header's first brace is where it belongs."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error
    return path.suffix == ".safetensors" or start[8:9] == b"{"


def _dtypes(tensors: Mapping[str, TensorInfo]) -> tuple[str, ...]:
    return tuple(sorted({info.dtype for info in tensors.values()}))
