"""Muon: steps that turn every direction of a weight matrix by the same amount.

Keller Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. The gradient
of a matrix is dominated by few directions; Muon replaces the averaged gradient by the nearest
orthogonal matrix, found by a Newton-Schulz iteration, so that the rare ones learn as fast.

`torch.optim.Muon` takes two-dimensional parameters only, one after the other, and iterates in bf16:
a sixth of a step's time on a CPU that has no bf16. Here matrices of one shape go through together,
in fp32 or bf16 as told (see docs/training_runs.md), and nothing waits for the device.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

__all__ = ["Muon", "hidden_matrices", "orthogonal"]

_MOMENTUM = 0.95
_LIKE_ADAM = 0.2  # root mean square of what Adam adds to a parameter, in learning rates
_QUINTIC = (3.4445, -4.7750, 2.0315)  # coefficients of the iteration
_ITERATIONS = 5


@dataclass(frozen=True)
class _Stack:
    """Parameters whose matrices have one shape, and their gradients' averages (n, r, c)."""

    parameters: tuple[nn.Parameter, ...]
    average: Tensor


class Muon(torch.optim.Optimizer):
    """Steps by Muon, as large as Adam's at the same learning rate.

    Args:
        parameters: Weights (out, in, …) of linear layers and convolutions; (k·in, in), as of a
            packed query, key and value, is taken for k matrices.
        dtype: In which the iteration computes: fp32, or bf16 where the device is fast at it.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__(list(parameters), {"lr": 0.0})
        self._dtype = dtype
        self._stacks: list[_Stack] = []

    @torch.no_grad()
    def step(self, found_inf: Tensor | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every parameter that has a gradient; there is no closure to call.

        Args:
            found_inf: A scalar on the device, 1.0 to change nothing at all, whatever the
                gradients are; else 0.0.
        """
        for group in self.param_groups:
            for stack in self._stacked(group["params"]):
                gradient = torch.cat([_matrices(_gradient(p), p) for p in stack.parameters])
                rate, follow = group["lr"], 1.0 - _MOMENTUM
                if found_inf is not None:
                    taken = 1.0 - found_inf
                    gradient = torch.where(found_inf > 0, 0.0, gradient)  # 0 · NaN would be NaN
                    rate, follow = rate * taken, follow * taken
                average = stack.average.lerp_(gradient, follow)
                ahead = gradient.lerp_(average, _MOMENTUM)  # one step ahead (Nesterov)
                turned = orthogonal(ahead, self._dtype)
                turned *= rate * _LIKE_ADAM * max(turned.shape[1:]) ** 0.5
                torch._foreach_sub_(stack.parameters, _views(turned, stack.parameters))  # pyright: ignore

    def _stacked(self, parameters: Sequence[nn.Parameter]) -> list[_Stack]:
        """The parameters that have a gradient, by the shape of their matrices.

        `state` keeps views of the stacked averages, by parameter, for checkpoints.
        """
        moved = [p for p in parameters if p.grad is not None]
        held = [p for stack in self._stacks for p in stack.parameters]
        if set(map(id, moved)) == set(map(id, held)) and all(p in self.state for p in held):
            return self._stacks
        alike: defaultdict[tuple[int, int], list[nn.Parameter]] = defaultdict(list)
        for parameter in moved:
            _, rows, columns = _matrices(parameter, parameter).shape
            alike[rows, columns].append(parameter)
        self._stacks = []
        for several in alike.values():
            before = [self.state[p].get("average", torch.zeros_like(p)) for p in several]
            average = torch.cat([_matrices(one, one) for one in before])
            for parameter, view in zip(several, _views(average, several), strict=True):
                self.state[parameter]["average"] = view
            self._stacks.append(_Stack(tuple(several), average))
        return self._stacks


def hidden_matrices(network: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that Muon is for, by name: those that neither read pixels nor make them.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 4))
    >>> list(hidden_matrices(network))
    ['1.weight', '2.weight']
    """
    found: dict[str, nn.Parameter] = {}
    modules = cast("Iterator[tuple[str, nn.Module]]", network.named_modules())
    for name, module in modules:
        convolves = isinstance(module, nn.Conv2d) and module.groups == 1 and module.in_channels > 3
        if name.split(".")[-1] not in ("head", "tail") and (
            convolves or isinstance(module, nn.Linear)
        ):
            found[f"{name}.weight"] = cast("nn.Parameter", module.weight)
    return found


def orthogonal(matrices: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The nearest orthogonal matrices to (n, r, c), nearly: singular values end in 0.7..1.2.

    Args:
        matrices: In fp32.
        dtype: In which the iteration computes.

    Returns:
        (n, r, c) in fp32.

    >>> close = orthogonal(torch.tensor([[[5.0, 0.0, 0.0], [0.0, 0.5, 0.0]]]))
    >>> bool(((torch.linalg.svdvals(close) - 1).abs() < 0.35).all())
    True
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonal(matrices.mT.contiguous(), dtype).mT
    a, b, c = _QUINTIC
    x = matrices / (matrices.square().sum((1, 2), keepdim=True).sqrt() + 1e-7)
    x = x.to(dtype)
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.float()


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None, "a stack holds what has a gradient"
    return parameter.grad


def _matrices(weight: Tensor, like: Tensor) -> Tensor:
    """A weight (out, in, …) as (n, rows, columns), columns in the order of the memory of `like`."""
    flat = _taps_last(weight).flatten(1) if _is_channels_last(like) else weight.flatten(1)
    rows, columns = flat.shape
    return flat.view(-1, columns, columns) if rows % columns == 0 else flat[None]


def _views(matrices: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """The parts of (n, r, c) that belong to each parameter, in its shape."""
    counts = [_matrices(p, p).shape[0] for p in parameters]
    parts = cast("tuple[Tensor, ...]", matrices.split(counts))
    return [
        part.reshape(_taps_last(p).shape).permute(0, 3, 1, 2)
        if _is_channels_last(p)
        else part.reshape(p.shape)
        for part, p in zip(parts, parameters, strict=True)
    ]


def _taps_last(weight: Tensor) -> Tensor:
    """(out, in, h, w) as (out, h, w, in); in which order a matrix has its columns matters not."""
    return weight.permute(0, 2, 3, 1)


def _is_channels_last(weight: Tensor) -> bool:
    return (
        weight.dim() == 4
        and not weight.is_contiguous()
        and weight.is_contiguous(memory_format=torch.channels_last)
    )
