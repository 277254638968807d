"""ESRT: convolutions that keep the high frequencies apart, then a transformer of 3 × 3 patches.

Lu, Li, Liu, Huang, Zhang, Zeng: "Transformer for Single Image Super-Resolution", CVPR Workshops
2022.

Each token sees a quarter of all tokens, those before and after it in reading order: a tile is not
a piece of the whole image's result, and the time that attention takes grows with the square of the
tile's pixels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.convolutions import in_full
from srcli.models.layers.high_preserving import HighPreservingBlock, factor
from srcli.models.layers.runs import RunAttention
from srcli.models.layers.windows import mirror_to
from srcli.models.spec import EXACT, Halting, MemoryProfile, ModelSpec, SRNetwork, SROutput

__all__ = ["ESRT", "SPEC", "ESRTConfig", "from_authors"]

_PATCH = 3  # px to a side, around every pixel


@dataclass(frozen=True)
class ESRTConfig:
    """The published configuration.

    Args:
        scale: SR px per LR px to a side.
        channels: Feature channels c; a token has 9 c numbers.
        blocks: High-preserving blocks.
        repeats: Passes of the small map through one and the same ARFB.
        heads: Attention heads.
    """

    scale: int
    channels: int = 32
    blocks: int = 3
    repeats: int = 5
    heads: int = 8


class PatchTransformer(nn.Module):
    """Attention and MLP on the 3 × 3 patches around all pixels, folded again (ESRT, Sec. 3.3)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        dim = channels * _PATCH**2
        self.norm1 = nn.LayerNorm(dim)
        self.attention = RunAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, dim // 4)
        self.fc2 = nn.Linear(dim // 4, dim)

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w), the sum of all patches that meet at a pixel."""
        tokens = F.unfold(features, _PATCH, padding=1).transpose(1, 2)  # (b, h·w, 9·c)
        tokens = tokens + self.attention(self.norm1(tokens))
        tokens = tokens + self.fc2(F.relu(self.fc1(self.norm2(tokens))))
        size = (features.shape[2], features.shape[3])
        return F.fold(tokens.transpose(1, 2), size, _PATCH, padding=1)


class ESRT(SRNetwork):
    """Convolution, blocks, transformer, upsampler; a second upsampler beside all (ESRT, Fig. 2)."""

    def __init__(self, config: ESRTConfig) -> None:
        super().__init__()
        self.scale = config.scale
        c = config.channels
        self.head = nn.Conv2d(3, c, 3, padding=1)
        self.blocks = nn.ModuleList(
            HighPreservingBlock(c, config.repeats) for _ in range(config.blocks)
        )
        self.join = nn.Conv2d(config.blocks * c, c, 3, padding=1)
        self.transformer = PatchTransformer(c, config.heads)
        self.mix = nn.Conv2d(c, c, 3, padding=1)
        self.a, self.b = factor(), factor()
        self.fuse = nn.Conv2d(c, c, 3, padding=1)
        self.enlarge, self.enlarge_shallow = _upsampler(c, self.scale), _upsampler(c, self.scale)
        self.tail = nn.Conv2d(c, 3, 3, padding=1)
        self.tail_shallow = nn.Conv2d(c, 3, 3, padding=1, bias=False)

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute all in `dtype` but `head`, `tail` and `tail_shallow`."""
        for part in (self.blocks, self.join, self.transformer, self.mix, self.fuse, self.enlarge,
                     self.enlarge_shallow):  # fmt: skip
            part.to(dtype)

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w), sides of 1 px doubled. Nothing halts: `halting` has no effect.

        The published figures come from images in overlapping quarters, cut again and again until
        they have fewer than 60,000 px.
        """
        wide = mirror_to(mirror_to(lr, 2, 2), 3, 2)
        shallow = in_full(self.head, wide)
        features = low = shallow.to(self.fuse.weight.dtype)
        outputs: list[Tensor] = []
        for block in self.blocks:
            features = block(features)
            outputs.append(features)
        deep = self.mix(self.transformer(self.join(torch.cat(outputs, 1))))
        deep = (self.a * shallow + self.b * deep).to(low.dtype)
        image = in_full(self.tail, self.enlarge(self.fuse(deep)))
        image = image + F.relu(in_full(self.tail_shallow, self.enlarge_shallow(low)))
        return SROutput(image[..., : lr.shape[2] * self.scale, : lr.shape[3] * self.scale])


def _upsampler(channels: int, scale: int) -> nn.Sequential:
    """Convolutions and pixel shuffles, a factor 2 or 3 each."""
    steps = (2, 2) if scale == 4 else (scale,)
    parts = [
        (nn.Conv2d(channels, channels * step**2, 3, padding=1), nn.PixelShuffle(step))
        for step in steps
    ]
    return nn.Sequential(*(part for pair in parts for part in pair))


# The names of the authors' state dict, and ours: replaced in this order.
_AUTHORS_NAMES = {
    "tail.0.": "enlarge.",
    "tail.1.": "tail.",
    "up.0.": "enlarge_shallow.",
    "up.1.conv.": "tail_shallow.",
    "head.0.": "head.",
    "reduce.": "fuse.",
    "body.0.reduce.": "join.",
    "body.0.alise.": "mix.",
    "body.0.weight1.scale": "a",
    "body.0.weight2.scale": "b",
    "body.0.attention.atten.": "transformer.attention.",
    "body.0.attention.mlp.": "transformer.",
    "body.0.attention.": "transformer.",
    "body.0.encoder1.": "blocks.0.",
    "body.0.encoder2.": "blocks.1.",
    "body.0.encoder3.": "blocks.2.",
}
_IN_BLOCKS = {
    ".layer1.weight1.scale": ".unit1.a",
    ".layer1.weight2.scale": ".unit1.b",
    ".layer2.weight1.scale": ".unit2.a",
    ".layer2.weight2.scale": ".unit2.b",
    ".weight1.scale": ".unused",
    ".weight2.scale": ".b",
    ".weight3.scale": ".c",
    ".weight4.scale": ".d",
    ".weight5.scale": ".e",
    ".alise2.conv.": ".join.",
    ".alise.conv.": ".join.",
    ".atten.conv_du.0.": ".attention.reduce.",
    ".atten.conv_du.2.": ".attention.expand.",
    ".att.conv_du.0.": ".attention.reduce.",
    ".att.conv_du.2.": ".attention.expand.",
    ".conv1.": ".expand.",
    ".layer1.conv.": ".unit1.reduce.",
    ".layer2.conv.": ".unit2.reduce.",
    ".layer4.conv.": ".conv.",
    ".layer1.": ".unit1.",
    ".layer2.": ".unit2.",
    ".encoder.": ".first.",
    ".decoder_low.": ".small.",
    ".decoder_high.": ".high.",
    ".alise.": ".last.",
}


def from_authors(name: str) -> str:
    """Our name for a parameter of the authors' state dict.

    >>> from_authors("body.0.encoder2.decoder_low.layer1.conv1.bias")
    'blocks.1.small.unit1.expand.bias'
    """
    beginning = next((theirs for theirs in _AUTHORS_NAMES if name.startswith(theirs)), "")
    name = _AUTHORS_NAMES.get(beginning, "") + name.removeprefix(beginning)
    for theirs, ours in _IN_BLOCKS.items() if name.startswith("blocks.") else ():
        name = name.replace(theirs, ours)
    return name


SPEC = ModelSpec(
    name="esrt",
    paper="ESRT (CVPRW 2022)",
    scales=(2, 3, 4),
    alignment=16,
    overlap=16,
    memory=MemoryProfile(forward=7600),
    efforts={"exact": EXACT},
    build=lambda scale: ESRT(ESRTConfig(scale=scale)),
    from_authors=from_authors,
)
