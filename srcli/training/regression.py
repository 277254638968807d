"""Linear regression by least squares, as the parameters of a convolution."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

__all__ = ["Regression"]

_RIDGE = 1e-6  # of the mean variance of a feature


class Regression:
    """A linear regression of `outputs` values on `inputs` and a constant, by least squares."""

    def __init__(self, inputs: int, outputs: int) -> None:
        # On the CPU: MPS knows no float64.
        self._gram = torch.zeros(inputs + 1, inputs + 1, dtype=torch.float64)
        self._moment = torch.zeros(inputs + 1, outputs, dtype=torch.float64)

    def add(self, given: Tensor, wanted: Tensor) -> None:
        """Take samples in: (n, inputs) and (n, outputs)."""
        given = F.pad(given, (0, 1), value=1.0)
        self._gram += (given.mT @ given).cpu().double()
        self._moment += (given.mT @ wanted).cpu().double()

    def write_to(self, convolution: nn.Conv2d) -> None:
        """Make a convolution compute it; inputs are its taps, channels first."""
        gram = self._gram.clone()
        gram.diagonal().add_(_RIDGE * gram.diagonal().mean())
        solved = cast("Tensor", torch.linalg.solve(gram, self._moment)).float().T
        convolution.weight.copy_(solved[:, :-1].view_as(convolution.weight))
        assert convolution.bias is not None
        convolution.bias.copy_(solved[:, -1])
