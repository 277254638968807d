"""The residual block of encoder and decoder, and convolutions that stay in fp32."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.int8 import Int8Block

__all__ = [
    "REACH",
    "ResidualBlock",
    "in_full",
]

REACH = 2  # px that a residual block looks beyond what it computes


class ResidualBlock(nn.Module):
    """Conv 3×3, ReLU, conv 3×3, plus the input; no normalisation.

    Args:
        channels: Feature channels c; input and output are (b, c, h, w).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self._int8: Int8Block | None = None

    def compute_int8(self, ranges: Tensor) -> None:
        """Compute in 8-bit integers from now on; `ranges` (2, c) as in `Int8Block`."""
        self._int8 = Int8Block(self.conv1, self.conv2, ranges)

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w)."""
        if self._int8 is not None:
            return self._int8(features)
        return self.conv2(torch.relu_(self.conv1(features))).add_(features)

    def on_patches(self, patches: Tensor, inside: Tensor | None) -> Tensor:
        """Compute squares of a map with what is around them.

        Args:
            patches: (k, c, side + 4, side + 4), with 2 px around each; zeros beyond the map.
            inside: (k, 1, side + 2, side + 2) bool, px of squares and 1 px around that the map
                has; None: all of them.

        Returns:
            (k, c, side, side).
        """
        if self._int8 is not None:
            return self._int8.on_patches(patches, inside)
        hidden = torch.relu_(F.conv2d(patches, self.conv1.weight, self.conv1.bias))
        if inside is not None:  # beyond the map the second convolution sees zeros
            hidden = hidden * inside
        inner = patches[:, :, REACH:-REACH, REACH:-REACH]
        return F.conv2d(hidden, self.conv2.weight, self.conv2.bias) + inner


def in_full(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a convolution in its own precision, under autocast too."""
    with torch.autocast(x.device.type, enabled=False):
        return convolution(x.to(convolution.weight.dtype))
