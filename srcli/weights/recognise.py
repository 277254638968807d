"""Find the network that a file's parameters are of, and put them as srcli keeps them."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from srcli.errors import UnknownScale, WeightsError
from srcli.extras import COMMUNITY_HINT, spandrel_is_here
from srcli.models import model_spec
from srcli.models.community import UnknownNetwork, build_network
from srcli.weights.checkpoint import Checkpoint
from srcli.weights.identify import Match, closest, match_parameters
from srcli.weights.manifest_file import COMMUNITY

__all__ = ["Recognised", "identify", "recognise"]

_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_TYPES_OF_OTHERS = (*_FLOATS, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
                    torch.bool)  # fmt: skip


@dataclass(frozen=True)
class Recognised:
    """A file's network, and its parameters as srcli keeps them.

    Args:
        model: The network; `COMMUNITY` for one that spandrel builds.
        architecture: Of a community network, by spandrel's name for it.
        scale: SR px per LR px to a side.
        also_for: Other networks that take the same parameters.
        tensors: Number of parameters and buffers.
        content: A safetensors file of them, in the types that they had.
    """

    model: str
    architecture: str
    scale: int
    also_for: tuple[str, ...]
    tensors: int
    content: bytes

    @property
    def title(self) -> str:
        """The network's name for people."""
        return self.architecture or self.model


def recognise(
    checkpoint: Checkpoint, model: str | None = None, scale: int | None = None
) -> Recognised:
    """Recognise one of srcli's networks, else one of those that spandrel knows.

    Args:
        checkpoint: The file.
        model: The network it shall be for; None: what its parameters say.
        scale: Likewise.

    Raises:
        WeightsError: It fits none of them, or holds what no network can use.
        UsageError: There is no such network, or not for that scale.
    """
    if model == COMMUNITY:
        return _of_community(checkpoint, scale)
    try:
        matches = identify(checkpoint, model, scale)
    except (WeightsError, UnknownScale):
        if model is not None or not spandrel_is_here():
            raise
        with suppress(UnknownNetwork):
            return _of_community(checkpoint, scale)
        raise
    return _of_ours(checkpoint, matches)


def identify(checkpoint: Checkpoint, model: str | None, scale: int | None) -> tuple[Match, ...]:
    """The networks that a file is for, the likeliest first.

    Args:
        checkpoint: The file.
        model: The network it shall be for; None: what its parameters say.
        scale: Likewise.

    Raises:
        WeightsError: It fits none of them; says what is wrong with the closest.
        UsageError: There is no such network, or not for that scale.
    """
    found = tuple(
        match
        for match in match_parameters(checkpoint.shapes, checkpoint.notes)
        if model in (None, match.model) and scale in (None, match.scale)
    )
    if found:
        return found
    best = closest(checkpoint.shapes, model, scale)
    hint = "" if model is not None or spandrel_is_here() else f"; hint: {COMMUNITY_HINT}"
    if model is None and best.stranger:
        raise WeightsError(
            f"{checkpoint.path} matches no supported network (first parameters: {best.beginning})"
            f"{hint}"
        )
    raise WeightsError(
        f"{checkpoint.path} does not fit {best.model} x{best.scale}"
        f"{', the closest' if model is None else ''}: {best.describe()}"
        f"{hint if best.resized else ''}"
    )


def _of_ours(checkpoint: Checkpoint, matches: tuple[Match, ...]) -> Recognised:
    """Parameters of a network of srcli's, under srcli's names for them."""
    match = matches[0]
    given = checkpoint.tensors()
    tensors = _checked(
        checkpoint.path, {ours: given[theirs] for theirs, ours in match.names.items()}, _FLOATS
    )
    convert_authors = model_spec(match.model).convert_authors
    if match.authors and convert_authors is not None:
        tensors = convert_authors(tensors)
    every = dict.fromkeys(m.model for m in match_parameters(checkpoint.shapes))
    return Recognised(
        model=match.model,
        architecture="",
        scale=match.scale,
        also_for=tuple(model for model in every if model != match.model),
        tensors=len(match.names),
        content=save(tensors, {"model": match.model, "scale": str(match.scale)}),
    )


def _of_community(checkpoint: Checkpoint, scale: int | None) -> Recognised:
    """Parameters of a network that spandrel builds, under the names that they have."""
    path = checkpoint.path
    tensors = _checked(path, dict(checkpoint.tensors()), _TYPES_OF_OTHERS)
    floats = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    traits = build_network(floats, str(path)).traits
    if scale not in (None, traits.scale):
        raise WeightsError(
            f"{path} is {traits.architecture} x{traits.scale}, not x{scale}; hint: leave out "
            "--scale"
        )
    notes = {
        "model": COMMUNITY,
        "architecture": traits.architecture,
        "scale": str(traits.scale),
    }
    return Recognised(
        model=COMMUNITY,
        architecture=traits.architecture,
        scale=traits.scale,
        also_for=(),
        tensors=len(tensors),
        content=save(tensors, notes),
    )


def _checked(
    path: Path, tensors: Mapping[str, Tensor], types: tuple[torch.dtype, ...]
) -> dict[str, Tensor]:
    """Copies of tensors that are what parameters can be.

    Raises:
        WeightsError: One is of another type, or holds values that are not finite.
    """
    for name, tensor in tensors.items():
        if tensor.dtype not in types:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise WeightsError(f"{path}: {name} is {kind}: only 16 to 64 bit floats can be used")
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{path}: {name} holds values that are not finite real numbers")
    plain = torch.contiguous_format
    return {name: one.detach().clone(memory_format=plain) for name, one in tensors.items()}
