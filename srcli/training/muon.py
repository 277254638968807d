"""Muon: steps that turn every direction of a weight matrix by the same amount.

Keller Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. The gradient
of a matrix is dominated by few directions; Muon replaces the averaged gradient by the nearest
orthogonal matrix, found by a Newton-Schulz iteration, so that the rare ones learn as fast.

`torch.optim.Muon` takes two-dimensional parameters only, one after the other, and iterates in bf16:
a sixth of a step's time on a CPU that has no bf16. Here matrices of one shape go through together,
in fp32 (see docs/training.md).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

__all__ = ["Muon", "hidden_matrices", "orthogonal"]

_MOMENTUM = 0.95
_LIKE_ADAM = 0.2  # root mean square of what Adam adds to a parameter, in learning rates
_QUINTIC = (3.4445, -4.7750, 2.0315)  # coefficients of the iteration
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Steps by Muon, as large as Adam's at the same learning rate.

    Args:
        parameters: Weights (out, in, …) of linear layers and convolutions; (k·in, in), as of a
            packed query, key and value, is taken for k matrices.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        super().__init__(list(parameters), {"lr": 0.0})

    @torch.no_grad()
    def step(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every parameter that has a gradient; there is no closure to call."""
        for group in self.param_groups:
            alike: defaultdict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]]
            alike = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    ahead = _matrices(self._ahead(parameter, parameter.grad))
                    alike[ahead.shape[1], ahead.shape[2]].append((parameter, ahead))
            for shape, several in alike.items():
                size = group["lr"] * _LIKE_ADAM * max(shape) ** 0.5
                turned = orthogonal(torch.cat([ahead for _, ahead in several]))
                at = 0
                for parameter, ahead in several:
                    step = turned[at : at + len(ahead)]
                    parameter.sub_(step.reshape(parameter.shape), alpha=size)
                    at += len(ahead)

    def _ahead(self, parameter: nn.Parameter, gradient: Tensor) -> Tensor:
        """Add a gradient to the average, and look one step ahead (Nesterov)."""
        held = self.state[parameter]
        if "average" not in held:
            held["average"] = torch.zeros_like(parameter)
        average = held["average"].lerp_(gradient, 1.0 - _MOMENTUM)
        return gradient.lerp(average, _MOMENTUM)


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


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest orthogonal matrices to (n, r, c), nearly: singular values come to 0.7..1.2.

    >>> close = orthogonal(torch.tensor([[[5.0, 0.0, 0.0], [0.0, 0.5, 0.0]]]))
    >>> bool(((torch.linalg.svdvals(close) - 1).abs() < 0.35).all())
    True
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonal(matrices.mT.contiguous()).mT
    a, b, c = _QUINTIC
    x = matrices / (matrices.square().sum((1, 2), keepdim=True).sqrt() + 1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x


def _matrices(weight: Tensor) -> Tensor:
    """A weight (out, in, …) as (n, rows, columns)."""
    flat = weight.flatten(1)
    rows, columns = flat.shape
    return flat.view(-1, columns, columns) if rows % columns == 0 else flat[None]
