"""The frame of IMDN, RFDN and RLFN: a long skip around blocks of convolutions."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.convolutions import in_full
from srcli.models.layers.windows import reflect_to
from srcli.models.spec import EXACT, Halting, SRNetwork, SROutput

__all__ = ["SLOPE", "JoinedBlocks", "ResidualConvNet", "from_255", "joined_name"]

SLOPE = 0.05  # of every LeakyReLU
_LEVELS = 255.0


class ResidualConvNet(SRNetwork):
    """Convolution, body, plus the convolution's output, convolution and pixel shuffle.

    Args:
        scale: SR px per LR px to a side.
        channels: Feature channels c.
        body: Maps features (b, c, h, w) to features.
        least: Sides below so many LR px are extended to them, mirrored.
    """

    def __init__(self, scale: int, channels: int, body: nn.Module, least: int = 1) -> None:
        super().__init__()
        self.scale, self.least = scale, least
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = body
        self.tail = nn.Conv2d(channels, 3 * scale**2, 3, padding=1)

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute the body in `dtype`."""
        self.body.to(dtype)

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w); `halting` has no effect: nothing halts here."""
        height, width = (side * self.scale for side in lr.shape[2:])
        lr = reflect_to(reflect_to(lr, 2, self.least), 3, self.least)
        shallow = in_full(self.head, lr)
        deep = self.body(shallow.to(next(self.body.parameters()).dtype))
        image = F.pixel_shuffle(in_full(self.tail, deep.to(shallow.dtype) + shallow), self.scale)
        return SROutput(image[..., :height, :width])


class JoinedBlocks(nn.Module):
    """Blocks in a row, whose outputs are all joined, reduced and convolved.

    Args:
        channels: Feature channels c; input and output are (b, c, h, w).
        blocks: Each maps features to features.
    """

    def __init__(self, channels: int, blocks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.fuse = nn.Conv2d(channels * len(self.blocks), channels, 1)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w)."""
        outputs: list[Tensor] = []
        for block in self.blocks:
            features = block(features)
            outputs.append(features)
        return self.last(F.leaky_relu(self.fuse(torch.cat(outputs, 1)), SLOPE))


_NAMES = {"fea_conv.": "head.", "c.0.": "body.fuse.", "LR_conv.": "body.last.",
          "upsampler.0.": "tail."}  # fmt: skip


def joined_name(name: str) -> str:
    """Our name for a parameter outside the blocks, in IMDN's and RFDN's published files.

    >>> joined_name("LR_conv.bias")
    'body.last.bias'
    """
    for theirs, ours in _NAMES.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name


def from_255(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters for images in 0..1, of those that were trained for 0..255.

    The first convolution takes what is 255 times smaller, and the last gives it: the borders'
    zeros are the same in both ranges, and all between computes the same numbers.

    Args:
        tensors: By our names.
    """
    factors = {"head.weight": _LEVELS, "tail.weight": 1 / _LEVELS, "tail.bias": 1 / _LEVELS}
    return {n: value * factors[n] if n in factors else value for n, value in tensors.items()}
