"""The residual block of encoder and decoder, and convolutions that stay in fp32."""

import torch
from torch import Tensor, nn

__all__ = [
    "ResidualBlock",
    "in_full",
]


class ResidualBlock(nn.Module):
    """Conv 3×3, ReLU, conv 3×3, plus the input; no normalisation.

    Args:
        channels: Feature channels c; input and output are (b, c, h, w).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w)."""
        return self.conv2(torch.relu_(self.conv1(features))).add_(features)


def in_full(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a convolution in its own precision, under autocast too."""
    with torch.autocast(x.device.type, enabled=False):
        return convolution(x.to(convolution.weight.dtype))
