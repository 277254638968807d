"""NGswin: a U-shaped network whose windows know their neighbours (N-Gram).

Choi, Lee, Yang: "N-Gram in Swin Transformers for Efficient Lightweight Image Super-Resolution",
CVPR 2023. Of the paper's two networks this is its own design, not SwinIR-NG.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.convolutions import in_full
from srcli.models.layers.ngram_stage import Bottleneck, Downsample, NGramBlock, NGramStage
from srcli.models.layers.windows import as_map, as_tokens, mirror_to
from srcli.models.spec import EXACT, Halting, MemoryProfile, ModelSpec, SRNetwork, SROutput

__all__ = ["SPEC", "NGramConfig", "NGswin", "from_authors"]

_MEAN = (0.4485, 0.4375, 0.4045)
_DEVIATION = {
    2: (0.2397, 0.2290, 0.2389),
    3: (0.2373, 0.2265, 0.2367),
    4: (0.2352, 0.2244, 0.2349),
}  # of the LR images of a scale
_SMALLEST = 2  # windows to a side, at a quarter of the size


@dataclass(frozen=True)
class NGramConfig:
    """The published configuration.

    Args:
        scale: SR px per LR px to a side.
        dim: Token width c.
        blocks: Blocks of the three encoder stages, at full, half and quarter size.
        heads: Their attention heads.
        decoder_blocks: Blocks of the decoder.
        decoder_heads: Its attention heads.
        window: Side of a window, LR px; every second block shifts by half of it.
        ratio: Width of the MLP's middle, in c.
    """

    scale: int
    dim: int = 64
    blocks: tuple[int, int, int] = (6, 4, 4)
    heads: tuple[int, int, int] = (6, 4, 4)
    decoder_blocks: int = 6
    decoder_heads: int = 6
    window: int = 8
    ratio: int = 2


class NGswin(SRNetwork):
    """Encoder of three stages, bottleneck, decoder of one stage, pixel shuffle (N-Gram, Fig. 2)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: NGramConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = config.scale
        dim = config.dim
        for name, values in (("mean", _MEAN), ("deviation", _DEVIATION[config.scale])):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)
        self.head = nn.Conv2d(3, dim, 3, padding=1)
        self.encoder = nn.ModuleList(
            _stage(config, blocks, heads)
            for blocks, heads in zip(config.blocks, config.heads, strict=True)
        )
        self.down = nn.ModuleList(Downsample(dim) for _ in range(2))
        self.cascade = nn.ModuleList(nn.Linear(width * dim, dim) for width in (2, 3))
        self.bottleneck = Bottleneck(dim)
        self.decoder = _stage(config, config.decoder_blocks, config.decoder_heads)
        self.norm = nn.LayerNorm(dim)
        self.tail = nn.Conv2d(dim, 3 * config.scale**2, 3, padding=1)
        self.finish = nn.Conv2d(3, 3, 3, padding=1)

    def progress_modules(self) -> Mapping[nn.Module, int]:
        """The blocks of all stages; a px of a stage stands for 1, 4 or 16 of the image."""
        stages = [*self.encoder, self.decoder]
        return {
            block: area
            for stage, area in zip(stages, (1, 4, 16, 1), strict=True)
            for block in cast("NGramStage", stage).blocks
        }

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute all in `dtype` but the first convolution and the last two."""
        for part in (self.encoder, self.down, self.cascade, self.bottleneck, self.decoder,
                     self.norm):  # fmt: skip
            part.to(dtype)

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w), mirrored to whole windows at a quarter of the size, two at least.

        The published figures come from images mirrored likewise (the authors' own network adds
        black there). Nothing halts here: `halting` has no effect.
        """
        multiple = 4 * self.config.window
        wide = lr
        for dim in (2, 3):
            size = max(_SMALLEST, -(-lr.shape[dim] // multiple)) * multiple
            wide = mirror_to(wide, dim, size)
        image = self.upscale(wide)
        return SROutput(image[..., : lr.shape[2] * self.scale, : lr.shape[3] * self.scale])

    def upscale(self, wide: Tensor) -> Tensor:
        """Upscale (b, 3, h, w), multiples of 32 from 64 on, to (b, 3, s·h, s·w)."""
        shallow = in_full(self.head, (wide - self.mean) / self.deviation)
        features = shallow.to(self.norm.weight.dtype)
        size = (wide.shape[2], wide.shape[3])
        results = self._encode(as_tokens(features), size)
        gates = [F.leaky_relu(F.max_pool2d(features, 2**level)) for level in range(len(results))]
        joined = [result + gate for result, gate in zip(results, gates, strict=True)]
        tokens = self.bottleneck(joined) + as_tokens(results[0])
        tokens = self.norm(self.decoder(tokens, size)[0])
        deep = as_map(tokens, *size).to(shallow.dtype) + shallow
        image = in_full(self.finish, F.pixel_shuffle(in_full(self.tail, deep), self.scale))
        return image * self.deviation + self.mean

    def _encode(self, tokens: Tensor, size: tuple[int, int]) -> list[Tensor]:
        """The results of the three stages, (b, c, h, w) at full, half and quarter size."""
        results: list[Tensor] = []
        seen = tokens  # all that has entered a stage, joined
        for level, stage in enumerate(self.encoder):
            result, passed_on = cast("NGramStage", stage)(tokens, size)
            results.append(as_map(result, *size))
            if level == len(self.down):
                break
            pooled = as_tokens(F.max_pool2d(as_map(seen, *size), 2))
            seen = torch.cat((pooled, self.down[level](passed_on, size)), -1)
            tokens = self.cascade[level](seen)
            size = (size[0] // 2, size[1] // 2)
        return results


def _stage(config: NGramConfig, blocks: int, heads: int) -> NGramStage:
    """A stage whose every second block has shifted windows."""
    return NGramStage(
        NGramBlock(
            config.dim,
            heads,
            window=config.window,
            shift=config.window // 2 if number % 2 else 0,
            ratio=config.ratio,
        )
        for number in range(blocks)
    )


# The names of the authors' state dict, and ours: replaced in this order.
_AUTHORS_NAMES = {
    "shallow_extract.conv1.": "head.",
    "to_target.before_shuffle.": "tail.",
    "to_target.to_origin.": "finish.",
    "decoder_layer1.": "decoder.",
    ".ngram_window_partition.ngram_context.unigram_embed.": ".context.summary.",
    ".ngram_window_partition.ngram_context.ngram_attn.": ".context.attention.",
    ".ngram_window_partition.ngram_context.merge.": ".context.merge.",
    "relative_position_bias_table": "bias_table",
    ".attn.qkv.": ".qkv.",
    ".attn.": ".window.",
    ".ffn.": ".mlp.",
}
_COMPUTED_HERE = ("attn_mask", "relative_position_index")


def from_authors(name: str) -> str | None:
    """Our name for a parameter of the authors' state dict; None for what is computed here.

    >>> from_authors("encoder_layer2.blocks.3.attn.logit_scale")
    'encoder.1.blocks.3.window.logit_scale'
    """
    if name.endswith(_COMPUTED_HERE):
        return None
    for level in range(3):
        theirs = f"encoder_layer{level + 1}."
        name = name.replace(f"{theirs}downsample.", f"down.{level}.")
        name = name.replace(f"{theirs}across_cascade_proj.", f"cascade.{level - 1}.")
        name = name.replace(theirs, f"encoder.{level}.")
    for theirs, ours in _AUTHORS_NAMES.items():
        name = name.replace(theirs, ours)
    return name


def _build(scale: int) -> NGswin:
    return NGswin(NGramConfig(scale=scale))


SPEC = ModelSpec(
    name="ngswin",
    paper="N-Gram (CVPR 2023)",
    scales=(2, 3, 4),
    alignment=32,
    overlap=32,
    memory=MemoryProfile(forward=5000),
    efforts={"exact": EXACT},
    build=_build,
    from_authors=from_authors,
)
