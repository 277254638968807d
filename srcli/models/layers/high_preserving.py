"""ESRT's blocks of convolutions, which keep the high frequencies apart from a small map."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

__all__ = ["HighPreservingBlock", "factor"]


def factor() -> nn.Parameter:
    """A learned factor, (1,), 1 at the start."""
    return nn.Parameter(torch.ones(1))


class ResidualUnit(nn.Module):
    """`a·x + b·conv(prelu(conv(x)))`, half as wide in the middle (ESRT, Fig. 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.relu = nn.PReLU(channels // 2)
        self.expand = nn.Conv2d(channels // 2, channels, 3, padding=1)
        self.a, self.b = factor(), factor()

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w)."""
        return self.a * x + self.b * self.expand(self.relu(self.reduce(x)))


class ChannelAttention(nn.Module):
    """A factor for each channel, from its mean over the whole image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 16, 1)
        self.expand = nn.Conv2d(channels // 16, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w)."""
        mean = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.expand(F.relu(self.reduce(mean))))


class ARFB(nn.Module):
    """Adaptive residual feature block: two units, joined (ESRT, Eqs. 6 to 8)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.unit1, self.unit2 = ResidualUnit(channels), ResidualUnit(channels)
        self.join = nn.Conv2d(2 * channels, channels, 1, bias=False)
        self.attention = ChannelAttention(channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.unused = factor()  # in published files, and counted as a parameter
        self.b, self.c, self.d, self.e = factor(), factor(), factor(), factor()

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w)."""
        x1 = self.unit1(x)
        x2 = self.unit2(x1)
        joined = F.relu(self.join(torch.cat((self.b * x2, self.c * x1), 1)))
        return self.d * x + self.e * F.relu(self.conv(self.attention(joined)))


class HighPreservingBlock(nn.Module):
    """High frequencies and a small map, each through its own block (ESRT, Eqs. 3 to 5)."""

    def __init__(self, channels: int, repeats: int) -> None:
        super().__init__()
        self.repeats = repeats
        self.first, self.small, self.high, self.last = (ARFB(channels) for _ in range(4))
        self.join = nn.Conv2d(2 * channels, channels, 1, bias=False)
        self.attention = ChannelAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w), h and w at least 2."""
        size = (x.shape[2], x.shape[3])
        features = self.first(x)
        small = F.avg_pool2d(features, 2)
        high = self.high(features - _enlarged(small, size))
        for _ in range(self.repeats):
            small = self.small(small)
        joined = F.relu(self.join(torch.cat((_enlarged(small, size), high), 1)))
        return x + self.last(self.attention(joined))


def _enlarged(small: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(small, size, mode="bilinear", align_corners=True)
