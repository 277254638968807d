"""The residual block of encoder and decoder, and convolutions that stay in fp32."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

__all__ = [
    "REACH",
    "BlockWay",
    "ResidualBlock",
    "in_full",
    "inner",
    "residual",
]

REACH = 2  # px that a residual block looks beyond what it computes


class BlockWay(ABC):
    """Another way to compute a residual block; methods as of `ResidualBlock`."""

    @abstractmethod
    def __call__(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w)."""

    @abstractmethod
    def on_patches(self, patches: Tensor, inside: Tensor | None) -> Tensor:
        """Compute squares of a map with what is around them."""


class ResidualBlock(nn.Module):
    """Conv 3×3, ReLU, conv 3×3, plus the input; no normalisation.

    Args:
        channels: Feature channels c; input and output are (b, c, h, w).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self._way: BlockWay | None = None

    def compute_by(self, way: BlockWay) -> None:
        """Take another way from now on."""
        self._way = way

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w)."""
        if self._way is not None:
            return self._way(features)
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
        if self._way is not None:
            return self._way.on_patches(patches, inside)
        return residual(self.conv1, self.conv2, patches, 0, inside)


def residual(
    conv1: nn.Conv2d, conv2: nn.Conv2d, features: Tensor, padding: int, inside: Tensor | None = None
) -> Tensor:
    """A residual block of two convolutions, on a map or on patches.

    Args:
        conv1: The first convolution.
        conv2: The second.
        features: A map (padding 1), or patches (padding 0) as of `ResidualBlock.on_patches`.
        padding: Of both convolutions.
        inside: As there.
    """
    hidden = torch.relu_(F.conv2d(features, conv1.weight, conv1.bias, padding=padding))
    if inside is not None:  # beyond the map the second convolution sees zeros
        hidden = hidden * inside
    change = F.conv2d(hidden, conv2.weight, conv2.bias, padding=padding)
    return change.add_(inner(features, padding))


def inner(features: Tensor, padding: int) -> Tensor:
    """The px of a map or of patches that a residual block computes."""
    return features if padding else features[:, :, REACH:-REACH, REACH:-REACH]


def in_full(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a convolution in its own precision, under autocast too."""
    with torch.autocast(x.device.type, enabled=False):
        return convolution(x.to(convolution.weight.dtype))
