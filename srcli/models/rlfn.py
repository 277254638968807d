"""RLFN: blocks of three convolutions and spatial attention, in a row.

Kong et al.: "Residual Local Feature Network for Efficient Super-Resolution", CVPR Workshops 2022.
The spatial attention depends on where the image ends, so that tiles give a slightly different
result.
"""

import re
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.convnet_attention import SpatialAttention
from srcli.models.layers.residual_convnet import SLOPE, ResidualConvNet, from_255
from srcli.models.spec import EXACT, MemoryProfile, ModelSpec

__all__ = ["RLFN", "SPEC", "RLFNConfig", "from_authors"]


@dataclass(frozen=True)
class RLFNConfig:
    """Size of the network.

    Args:
        scale: SR px per LR px to a side.
        channels: Feature channels c.
        blocks: Residual local feature blocks.
        inner: Channels inside the spatial attention.
    """

    scale: int
    channels: int = 52
    blocks: int = 6
    inner: int = 16


class LocalFeatureBlock(nn.Module):
    """Three activated convolutions, plus the input; 1x1 and spatial attention."""

    def __init__(self, config: RLFNConfig) -> None:
        super().__init__()
        c = config.channels
        self.refine = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for _ in range(3))
        self.merge = nn.Conv2d(c, c, 1)
        self.attention = SpatialAttention(c, config.inner, convolutions=1, activated=False)

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w), h and w at least 15, to (b, c, h, w)."""
        x = features
        for refine in self.refine:
            x = F.leaky_relu(refine(x), SLOPE)
        return self.attention(self.merge(x + features))


class RLFN(ResidualConvNet):
    """Convolution, blocks, convolution and pixel shuffle."""

    def __init__(self, config: RLFNConfig) -> None:
        c = config.channels
        blocks = [LocalFeatureBlock(config) for _ in range(config.blocks)]
        body = nn.Sequential(*blocks, nn.Conv2d(c, c, 3, padding=1))
        super().__init__(config.scale, c, body, SpatialAttention.least)
        self.config = config


_AUTHORS_NAMES = {
    "conv_1.": "head.",
    "conv_2.": "body.6.",
    "upsampler.0.": "tail.",
    ".c5.": ".merge.",
    ".esa.conv1.": ".attention.enter.",
    ".esa.conv_f.": ".attention.skip.",
    ".esa.conv2.": ".attention.stride.",
    ".esa.conv3.": ".attention.small.0.",
    ".esa.conv4.": ".attention.leave.",
}


def from_authors(name: str) -> str:
    """Our name for a parameter of the authors' state dict.

    >>> from_authors("block_6.c2_r.weight")
    'body.5.refine.1.weight'
    """
    for theirs, ours in _AUTHORS_NAMES.items():
        name = name.replace(theirs, ours)
    name = re.sub(r"^block_(\d+)\.", lambda at: f"body.{int(at[1]) - 1}.", name)
    return re.sub(r"\.c(\d)_r\.", lambda at: f".refine.{int(at[1]) - 1}.", name)


SPEC = ModelSpec(
    name="rlfn",
    paper="RLFN (CVPR Workshops 2022)",
    scales=(2, 3, 4),
    alignment=6,  # the spatial attention's small maps then lie as in the whole image
    overlap=48,
    memory=MemoryProfile(forward=1400),
    efforts={"exact": EXACT},
    build=lambda scale: RLFN(RLFNConfig(scale)),
    from_authors=from_authors,
    convert_authors=from_255,
)
