"""A person's own file of parameters, whatever trainer wrote it; nothing in it is run."""

import pickle  # noqa: TID251 (for the name of its error alone)
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from srcli.errors import WeightsError
from srcli.weights.header import Shape, TensorInfo, parse_header, read_header

__all__ = [
    "Checkpoint",
    "open_checkpoint",
    "read_pickled",
]

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
        WeightsError: It cannot be read, contradicts its header, or would run code.
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


_LARGEST = 2_000_000_000  # bytes of tensors
# Where trainers keep the parameters inside a checkpoint; averaged ones first.
_PLACES = ("params_ema", "ema", "params", "state_dict", "model_state_dict", "model", "net_g",
           "generator")  # fmt: skip


def read_pickled(path: Path) -> dict[str, Tensor]:
    """The parameters in a `.pth`, `.pt` or `.ckpt`, by the names it has for them.

    Only `torch.load(weights_only=True)` touches it: tensors and plain values come in, and
    anything that would run code is refused.

    Raises:
        WeightsError: It cannot be read that way, or has no parameters.
    """
    try:
        _refuse_others(path)
        _refuse_archives(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats: nothing anyone can do
            content: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: it is damaged, or reading it would run code it contains, which srcli never "
            "does; hint: ask its maker for a safetensors file"
        ) from error
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from error
    except WeightsError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].split(". ")[0][:200]
        raise WeightsError(
            f"{path}: not a whole PyTorch checkpoint: {reason}; get it again"
        ) from error
    return _bounded(path, _without_module(_find_parameters(path, content)))


def _refuse_others(path: Path) -> None:
    """Refuse what torch.save has never written: neither an archive nor a pickle."""
    with path.open("rb") as file:
        if not file.read(4).startswith((b"PK\x03\x04", b"\x80")):
            raise WeightsError(f"{path}: neither a safetensors file nor a PyTorch checkpoint")


def _refuse_archives(path: Path) -> None:
    """Refuse TorchScript (a program), and archives that unpack to more than they are."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        files = archive.infolist()
    if any(Path(file.filename).name == "constants.pkl" for file in files):
        raise WeightsError(
            f"{path}: TorchScript is a program, which srcli never runs; "
            "ask its maker for a safetensors file"
        )
    if sum(file.file_size for file in files) > _LARGEST:
        raise WeightsError(f"{path}: it unpacks to more than {_LARGEST / 1e9:g} GB")


def _find_parameters(path: Path, content: object) -> dict[str, Tensor]:
    """The table of tensors: the content itself, or one level down where trainers keep it."""
    if isinstance(content, Mapping):
        table = cast("Mapping[object, object]", content)
        for place in (None, *_PLACES):
            found = table if place is None else table.get(place)
            if isinstance(found, Mapping):
                tensors = cast("Mapping[object, object]", found)
                if tensors and all(isinstance(one, Tensor) for one in tensors.values()):
                    return {str(name): cast("Tensor", one) for name, one in tensors.items()}
    raise WeightsError(f"{path}: no parameters in it (looked for {', '.join(_PLACES)})")


def _without_module(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names without the prefix that training on several GPUs leaves."""
    if all(name.startswith("module.") for name in tensors):
        return {name.removeprefix("module."): one for name, one in tensors.items()}
    return tensors


def _bounded(path: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Refuse what is no plain array, or claims more elements than it stores."""
    total = 0
    for name, one in tensors.items():
        if one.is_nested or one.layout != torch.strided or one.is_quantized or not one.is_cpu:
            raise WeightsError(f"{path}: {name[:80]} is no plain array")
        total += one.numel() * one.element_size()
    if total > _LARGEST:
        raise WeightsError(f"{path}: its tensors claim {total / 1e9:.1f} GB")
    return tensors
