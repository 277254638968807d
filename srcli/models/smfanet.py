"""SMFANet and SMFANet+: convolutions modulated by statistics of the whole image.

Zheng, Sun, Dong, Pan: "SMFANet: A Lightweight Self-Modulation Feature Aggregation Network for
Efficient Image Super-Resolution", ECCV 2024.

Every block multiplies its features by a coarse map made from their maxima in about 8x8 px and
their variance over the whole image. Both need all of a block's input before the block can start.
So the features of the whole image are held, and every block passes over them twice, in bands of
rows: first for the statistics, then for the result. Bands stay in the processor's cache, which is
faster than whole maps, and give the same result as the whole image. `reference` computes the
image whole, in the order of the paper.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.convolutions import in_full
from srcli.models.layers.modulation import POOL, BandedBlock, ModulationBlock
from srcli.models.layers.windows import reflect_to
from srcli.models.spec import (
    EXACT,
    AttendedBand,
    BandedNetwork,
    Halting,
    MemoryProfile,
    ModelSpec,
    SROutput,
)

__all__ = ["SPECS", "SMFANet", "SMFANetConfig", "from_authors"]

_BAND = {"cpu": 1 << 13}  # px of a band: its tensors stay in the cache
_LARGE_BAND = 1 << 22


@dataclass(frozen=True)
class SMFANetConfig:
    """Size of the network; the hidden layers are twice as wide as the features.

    Args:
        scale: SR px per LR px to a side.
        channels: Feature channels c.
        blocks: Feature modulation blocks.
    """

    scale: int
    channels: int
    blocks: int


class SMFANet(BandedNetwork):
    """Convolution, blocks, convolution and pixel shuffle (SMFANet, Fig. 2)."""

    encoder_halo = decoder_halo = 1
    band = POOL

    def __init__(self, config: SMFANetConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = config.scale
        self.head = nn.Conv2d(3, config.channels, 3, padding=1)
        self.blocks = nn.ModuleList(ModulationBlock(config.channels) for _ in range(config.blocks))
        self.tail = nn.Conv2d(config.channels, 3 * config.scale**2, 3, padding=1)

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute the blocks in `dtype`; the variances stay in fp32."""
        self.blocks.to(dtype)

    def progress_modules(self) -> Mapping[nn.Module, int]:
        """The blocks' convolutions of the pooled features, each called once."""
        blocks = cast("list[ModulationBlock]", list(self.blocks))
        return {block.smfa.coarse: POOL**2 for block in blocks}

    def extend(self, lr: Tensor) -> Tensor:
        """Extend sides below 8 px to 8, mirrored; larger images stay as they are."""
        return reflect_to(reflect_to(lr, 2, POOL), 3, POOL)

    def encode(self, lr: Tensor) -> Tensor:
        """Features (b, c, h, w) of an image or a crop of it."""
        return self.head(lr)

    def attend(
        self, bands: Iterable[Tensor], halting: Halting, chunk: int | None = None
    ) -> Iterator[AttendedBand]:
        """Pass the features through all blocks; every band is taken before one is given back.

        Args:
            bands: Features of the whole image from top to bottom.
            halting: Has no effect: nothing halts here.
            chunk: Rows that a block computes at a time; None chooses by the device.
        """
        held = [band.permute(0, 2, 3, 1) for band in bands]
        heights = [band.shape[1] for band in held]
        shallow = (torch.cat(held, 1) if len(held) > 1 else held[0]).contiguous()
        held.clear()
        chunk = chunk or max(POOL, _BAND.get(shallow.device.type, _LARGE_BAND) // shallow.shape[2])
        images = [self._through_blocks(image, chunk) for image in shallow]
        deep = images.pop()[None] if len(images) == 1 else torch.stack(images)
        deep = deep.add_(shallow).permute(0, 3, 1, 2)
        for start, height in zip(accumulate(heights, initial=0), heights, strict=False):
            yield AttendedBand(deep[:, :, start : start + height], ())

    def _through_blocks(self, shallow: Tensor, rows: int) -> Tensor:
        """The features (h, w, c) of one image after all blocks, `rows` computed at a time."""
        features = shallow.to(self.blocks_dtype, copy=True)  # the head's output is needed again
        spare = torch.empty_like(features)
        for block in self.blocks:
            BandedBlock(cast("ModulationBlock", block)).run(features, spare, rows)
            features, spare = spare, features
        return features.to(shallow.dtype)

    def decode(self, features: Tensor, lr: Tensor) -> Tensor:
        """The image (b, 3, s·h, s·w) from features; `lr` is not looked at."""
        return F.pixel_shuffle(in_full(self.tail, features), self.scale)

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w), in bands where nothing needs a gradient."""
        if torch.is_grad_enabled() and self.head.weight.requires_grad:
            return self.reference(lr)
        wide = self.extend(lr)
        (attended,) = self.attend([self.encode(wide)], halting)
        return self._cropped(self.decode(attended.features, wide), lr)

    def reference(self, lr: Tensor) -> SROutput:
        """Upscale (b, 3, h, w) whole, in the order of the paper: plain and slow."""
        wide = self.extend(lr)
        features = shallow = self.head(wide)
        features = features.to(self.blocks_dtype)
        for block in self.blocks:
            features = block(features)
        return self._cropped(self.decode(features.to(shallow.dtype) + shallow, wide), lr)

    def baselines(self) -> Mapping[str, Callable[[Tensor], SROutput]]:
        """The whole image at once."""
        return {"reference": self.reference}

    @property
    def blocks_dtype(self) -> torch.dtype:
        """The type that the blocks compute in."""
        return cast("ModulationBlock", self.blocks[0]).smfa.split.weight.dtype

    def _cropped(self, image: Tensor, lr: Tensor) -> SROutput:
        return SROutput(image[..., : lr.shape[2] * self.scale, : lr.shape[3] * self.scale])


# The names of the authors' state dict, and ours.
_AUTHORS_NAMES = {
    "to_feat.": "head.",
    "to_img.0.": "tail.",
    "feats.": "blocks.",
    "smfa.lde.conv_0.0.": "smfa.detail_depthwise.",
    "smfa.lde.conv_0.1.": "smfa.detail_mix.",
    "smfa.lde.conv_1.": "smfa.detail_out.",
    "smfa.linear_0.": "smfa.split.",
    "smfa.linear_1.": "smfa.modulate.",
    "smfa.linear_2.": "smfa.merge.",
    "smfa.dw_conv.": "smfa.coarse.",
    "smfa.belt": "smfa.beta",
    "pcfn.conv_0.": "pcfn.expand.",
    "pcfn.conv_1.": "pcfn.local.",
    "pcfn.conv_2.": "pcfn.reduce.",
}


def from_authors(name: str) -> str:
    """Our name for a parameter of the authors' state dict.

    >>> from_authors("feats.3.smfa.lde.conv_0.1.bias")
    'blocks.3.smfa.detail_mix.bias'
    """
    for theirs, ours in _AUTHORS_NAMES.items():
        name = name.replace(theirs, ours)
    return name


def _spec(name: str, channels: int, blocks: int) -> ModelSpec:
    return ModelSpec(
        name=name,
        paper="SMFANet (ECCV 2024)",
        scales=(2, 3, 4),
        alignment=POOL,
        overlap=16,
        memory=MemoryProfile(
            forward=24 * channels, tile=8 * channels, held=17 * channels, holds_whole_image=True
        ),
        efforts={"exact": EXACT},
        build=lambda scale: SMFANet(SMFANetConfig(scale, channels, blocks)),
        from_authors=from_authors,
    )


SPECS = (_spec("smfanet", 36, 8), _spec("smfanet-plus", 48, 12))
