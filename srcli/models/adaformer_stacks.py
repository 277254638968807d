"""Encoder and decoder of an AdaFormer, and the optional parts that make them faster.

Weights may bring *short ways* for smooth windows (`layers/short_way.py`), and *ranges* by which
residual blocks are computed in 8-bit integers (`layers/int8.py`).
"""

from collections.abc import Iterator, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from srcli.models.adaformer_config import AdaFormerConfig
from srcli.models.layers import short_way
from srcli.models.layers.convolutions import ResidualBlock
from srcli.models.layers.int8 import Int8Block
from srcli.models.layers.short_way import ShortWay, smooth_windows
from srcli.models.spec import BandedNetwork, Halting

__all__ = ["RANGES", "SHORT_WAYS", "AdaFormerStacks"]

SHORT_WAYS = "short_ways."
"""Prefix of the parameters of the short ways in a weights file, which may lack them."""

RANGES = "ranges."
"""Likewise of the ranges."""

_STACKS = ("encoder", "decoder")
_LAST_IN_FULL = 1  # residual blocks of the decoder before the image, where rounding shows most


class AdaFormerStacks(BandedNetwork):
    """Residual blocks before and after the attention, by the way that window and precision want."""

    config: AdaFormerConfig
    encoder: nn.Sequential
    decoder: nn.Sequential

    optional_parts = (SHORT_WAYS, RANGES)

    def __init__(self) -> None:
        super().__init__()
        self.short_ways: nn.ModuleDict | None = None
        self.ranges: nn.ParameterDict | None = None
        """(blocks, 2, c) of each stack, as in `Int8Block`; blocks that have none stay in fp32."""

    def add_part(self, prefix: str) -> None:
        """Add the short ways through encoder and decoder, or the ranges; see `SRNetwork`."""
        c, blocks = self.config.channels, self.config.residual_blocks
        if prefix == SHORT_WAYS:
            self.short_ways = nn.ModuleDict(
                {name: ShortWay(c, blocks, self.config.window) for name in _STACKS}
            )
        else:
            counts = zip(_STACKS, (blocks, blocks - _LAST_IN_FULL), strict=True)
            self.ranges = nn.ParameterDict({name: torch.zeros(n, 2, c) for name, n in counts})

    def computes(self, dtype: torch.dtype) -> bool:
        """In int8 what has ranges; see `SRNetwork`."""
        return dtype != torch.int8 or self.ranges is not None

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute everything but `head` and `tail` in `dtype`; in int8 the blocks alone.

        In int8 what is no residual block stays in fp32.
        """
        if dtype == torch.int8:
            for block, ranges in self.blocks_with_ranges():
                block.compute_by(Int8Block(block.conv1, block.conv2, ranges))
            return
        for name, part in self.named_children():
            if name not in ("head", "tail"):
                part.to(dtype)

    def blocks_with_ranges(self) -> Iterator[tuple[ResidualBlock, Tensor]]:
        """The residual blocks that have ranges, each with its own, (2, c)."""
        for name, ranges in cast("Mapping[str, Tensor]", self.ranges or {}).items():
            for block, of_block in zip(self.stack(name), ranges, strict=False):
                yield cast("ResidualBlock", block), of_block

    def stack(self, name: str) -> nn.Sequential:
        """The residual blocks of "encoder" or "decoder"."""
        return cast("nn.Sequential", getattr(self, name))

    @property
    def has_short_ways(self) -> bool:
        """See `BandedNetwork`."""
        return self.short_ways is not None

    def short_windows(self, lr: Tensor, halting: Halting) -> Tensor | None:
        """The smooth ones, where the weights have short ways; see `BandedNetwork`."""
        if not (self.has_short_ways and halting.smooth and short_way.pays_on(lr.device)):
            return None
        short = smooth_windows(lr, self.config.window, halting.smooth)
        return short if short.any() else None

    def through(
        self, name: str, features: Tensor, short: Tensor | None, *, plain: bool = False
    ) -> Tensor:
        """Run features through encoder or decoder, some windows by the short way.

        Args:
            name: "encoder" or "decoder".
            features: (b, c, h, w).
            short: As of `short_windows`.
            plain: Compute everything and mask.
        """
        stack = self.stack(name)
        if short is None or self.short_ways is None:
            return stack(features)
        way = cast("ShortWay", self.short_ways[name])
        return way.reference(stack, features, short) if plain else way(stack, features, short)
