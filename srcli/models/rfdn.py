"""RFDN and RFDN-L: residual feature distillation.

Liu, Tang, Wu: "Residual Feature Distillation Network for Lightweight Image Super-Resolution",
ECCV Workshops 2020. `rfdn` is what the authors published, their entry to the AIM 2020 challenge:
spatial attention, and nothing added around a block. `rfdn-l` is the larger network of the paper's
tables (32.28 dB on Set5 at x4), as far as its parts are told: its authors published neither code
nor weights. It has contrast attention, and a block's input is added at its end.

Both attentions depend on where the image ends, so that tiles give a slightly different result.
"""

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.convnet_attention import ContrastAttention, SpatialAttention
from srcli.models.layers.residual_convnet import (
    SLOPE,
    JoinedBlocks,
    ResidualConvNet,
    from_255,
    joined_name,
)
from srcli.models.spec import EXACT, MemoryProfile, ModelSpec

__all__ = ["RFDN", "SPECS", "RFDNConfig", "from_authors"]

_STEPS = 3  # of a block, each of which distils


@dataclass(frozen=True)
class RFDNConfig:
    """Size and kind of the network.

    Args:
        scale: SR px per LR px to a side.
        channels: Feature channels c, even.
        blocks: Residual feature distillation blocks.
        contrast: Contrast attention, and the input added after it, instead of spatial attention.
    """

    scale: int
    channels: int
    blocks: int
    contrast: bool


class FeatureDistillationBlock(nn.Module):
    """Three steps, each distilled to c / 2 by 1x1; joined, mixed and attended to.

    A step is a 3x3 convolution plus its input, activated: RFDN's shallow residual block.
    """

    def __init__(self, config: RFDNConfig) -> None:
        super().__init__()
        c = config.channels
        self.distil = nn.ModuleList(nn.Conv2d(c, c // 2, 1) for _ in range(_STEPS))
        self.refine = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for _ in range(_STEPS))
        self.last = nn.Conv2d(c, c // 2, 3, padding=1)
        self.merge = nn.Conv2d((_STEPS + 1) * (c // 2), c, 1)
        self.attention = (
            ContrastAttention(c, reduction=4) if config.contrast
            else SpatialAttention(c, c // 4, convolutions=3, activated=True)
        )  # fmt: skip
        self.adds_input = config.contrast

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w) of a whole image to (b, c, h, w)."""
        distilled: list[Tensor] = []
        x = features
        for distil, refine in zip(self.distil, self.refine, strict=True):
            distilled.append(F.leaky_relu(distil(x), SLOPE))
            x = F.leaky_relu(refine(x) + x, SLOPE)
        distilled.append(F.leaky_relu(self.last(x), SLOPE))
        attended = self.attention(self.merge(torch.cat(distilled, 1)))
        return attended + features if self.adds_input else attended


class RFDN(ResidualConvNet):
    """Convolution, blocks whose outputs are joined, convolution and pixel shuffle."""

    def __init__(self, config: RFDNConfig) -> None:
        blocks = (FeatureDistillationBlock(config) for _ in range(config.blocks))
        least = 1 if config.contrast else SpatialAttention.least
        super().__init__(
            config.scale, config.channels, JoinedBlocks(config.channels, blocks), least
        )
        self.config = config


_AUTHORS_NAMES = {
    ".esa.conv1.": ".attention.enter.",
    ".esa.conv_f.": ".attention.skip.",
    ".esa.conv_max.": ".attention.small.0.",
    ".esa.conv2.": ".attention.stride.",
    ".esa.conv3.": ".attention.small.1.",
    ".esa.conv3_.": ".attention.small.2.",
    ".esa.conv4.": ".attention.leave.",
    ".c4.": ".last.",
    ".c5.": ".merge.",
}


def from_authors(name: str) -> str:
    """Our name for a parameter of the authors' state dict.

    >>> from_authors("B2.c3_r.bias")
    'body.blocks.1.refine.2.bias'
    """
    name = joined_name(name)
    for theirs, ours in _AUTHORS_NAMES.items():
        name = name.replace(theirs, ours)
    name = re.sub(r"^B(\d+)\.", lambda at: f"body.blocks.{int(at[1]) - 1}.", name)
    kinds = {"d": "distil", "r": "refine"}
    return re.sub(r"\.c(\d)_([dr])\.", lambda at: f".{kinds[at[2]]}.{int(at[1]) - 1}.", name)


def _spec(name: str, channels: int, blocks: int, *, contrast: bool) -> ModelSpec:
    return ModelSpec(
        name=name,
        paper="RFDN (ECCV Workshops 2020)",
        scales=(2, 3, 4),
        alignment=6,  # the spatial attention's small maps then lie as in the whole image
        overlap=48,
        memory=MemoryProfile(forward=3200),
        efforts={"exact": EXACT},
        build=lambda scale: RFDN(RFDNConfig(scale, channels, blocks, contrast)),
        from_authors=None if contrast else from_authors,
        convert_authors=None if contrast else from_255,
    )


SPECS = (_spec("rfdn", 50, 4, contrast=False), _spec("rfdn-l", 52, 6, contrast=True))
