"""The first and the last convolution, which stay in fp32 whatever the rest is computed in."""

import torch
from torch import Tensor, nn

__all__ = ["in_full"]


def in_full(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a convolution in its own precision, under autocast too."""
    with torch.autocast(x.device.type, enabled=False):
        return convolution(x.to(convolution.weight.dtype))
