"""Attention of convolutional networks: factors for channels, and for places."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

__all__ = ["ContrastAttention", "SpatialAttention"]


class ContrastAttention(nn.Module):
    """A factor for each channel from its mean and deviation over the image (IMDN).

    The deviation is the population's, without an epsilon. Both are of the whole image: a tile
    gives others.

    Args:
        channels: Feature channels c; input and output are (b, c, h, w).
        reduction: By how much the middle is narrower.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1)
        self.excite = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w) of a whole image to (b, c, h, w)."""
        variance, mean = torch.var_mean(features.float(), (2, 3), correction=0, keepdim=True)
        contrast = (variance.sqrt() + mean).to(features.dtype)
        return features * torch.sigmoid(self.excite(F.relu(self.squeeze(contrast))))


class SpatialAttention(nn.Module):
    """Enhanced spatial attention: factors from a map a sixth as large (RFDN).

    Convolution of stride 2 and maxima of 7x7, both without a border; so sides of 15 px are the
    least.

    Args:
        channels: Feature channels c; input and output are (b, c, h, w).
        inner: Channels inside.
        convolutions: 3x3 convolutions of the small map.
        activated: Whether a ReLU follows each of them but the last.
    """

    least = 15  # px a side

    def __init__(self, channels: int, inner: int, convolutions: int, *, activated: bool) -> None:
        super().__init__()
        self.activated = activated
        self.enter = nn.Conv2d(channels, inner, 1)
        self.stride = nn.Conv2d(inner, inner, 3, stride=2)
        self.small = nn.ModuleList(
            nn.Conv2d(inner, inner, 3, padding=1) for _ in range(convolutions)
        )
        self.skip = nn.Conv2d(inner, inner, 1)
        self.leave = nn.Conv2d(inner, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w), h and w at least 15, to (b, c, h, w)."""
        inner = self.enter(features)
        small = F.max_pool2d(self.stride(inner), 7, stride=3)
        for number, convolution in enumerate(self.small):
            small = F.relu(small) if number and self.activated else small
            small = convolution(small)
        large = F.interpolate(small, features.shape[2:], mode="bilinear", align_corners=False)
        return features * torch.sigmoid(self.leave(large + self.skip(inner)))
