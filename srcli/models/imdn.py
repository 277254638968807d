"""IMDN: blocks that keep a quarter of the features at each step and refine the rest.

Hui, Gao, Yang, Wang: "Lightweight Image Super-Resolution with Information Multi-distillation
Network", ACM MM 2019.

Its contrast attention takes statistics of the whole image. An image that needs tiles gets
overlapping ones with statistics of their own, and so a slightly different result.
"""

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.convnet_attention import ContrastAttention
from srcli.models.layers.residual_convnet import SLOPE, JoinedBlocks, ResidualConvNet, joined_name
from srcli.models.spec import EXACT, MemoryProfile, ModelSpec

__all__ = ["IMDN", "SPEC", "IMDNConfig", "from_authors"]

_STEPS = 4  # of a block, each of which keeps that share of the features


@dataclass(frozen=True)
class IMDNConfig:
    """Size of the network.

    Args:
        scale: SR px per LR px to a side.
        channels: Feature channels c, a multiple of 4.
        blocks: Information multi-distillation blocks.
        reduction: By how much the contrast attention's middle is narrower.
    """

    scale: int
    channels: int = 64
    blocks: int = 6
    reduction: int = 16


class DistillationBlock(nn.Module):
    """Four convolutions that each keep c / 4 channels; these joined, attended to and mixed.

    IMDN's progressive refinement module, contrast attention and 1x1 convolution, plus the input.
    """

    def __init__(self, config: IMDNConfig) -> None:
        super().__init__()
        c = config.channels
        self.kept = c // _STEPS
        passed = c - self.kept
        self.steps = nn.ModuleList(
            nn.Conv2d(c if step == 0 else passed, c if step < _STEPS - 1 else self.kept, 3,
                      padding=1)
            for step in range(_STEPS)
        )  # fmt: skip
        self.attention = ContrastAttention(c, config.reduction)
        self.merge = nn.Conv2d(c, c, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w) of a whole image to (b, c, h, w)."""
        kept: list[Tensor] = []
        passed = features
        for step in self.steps[:-1]:
            activated = F.leaky_relu(step(passed), SLOPE)
            kept.append(activated[:, : self.kept])
            passed = activated[:, self.kept :]
        kept.append(self.steps[-1](passed))
        return self.merge(self.attention(torch.cat(kept, 1))) + features


class IMDN(ResidualConvNet):
    """Convolution, blocks whose outputs are joined, convolution and pixel shuffle."""

    def __init__(self, config: IMDNConfig) -> None:
        blocks = (DistillationBlock(config) for _ in range(config.blocks))
        super().__init__(config.scale, config.channels, JoinedBlocks(config.channels, blocks))
        self.config = config


_AUTHORS_NAMES = {".cca.conv_du.0.": ".attention.squeeze.", ".cca.conv_du.2.": ".attention.excite.",
                  ".c5.": ".merge."}  # fmt: skip


def from_authors(name: str) -> str:
    """Our name for a parameter of the authors' state dict.

    >>> from_authors("IMDB3.c1.weight")
    'body.blocks.2.steps.0.weight'
    """
    name = joined_name(name)
    for theirs, ours in _AUTHORS_NAMES.items():
        name = name.replace(theirs, ours)
    name = re.sub(r"^IMDB(\d+)\.", lambda at: f"body.blocks.{int(at[1]) - 1}.", name)
    return re.sub(r"(?<=\d\.)c(\d)(?=\.)", lambda at: f"steps.{int(at[1]) - 1}", name)


SPEC = ModelSpec(
    name="imdn",
    paper="IMDN (ACM MM 2019)",
    scales=(2, 3, 4),
    alignment=8,
    overlap=32,
    memory=MemoryProfile(forward=3700),
    efforts={"exact": EXACT},
    build=lambda scale: IMDN(IMDNConfig(scale)),
    from_authors=from_authors,
)
