"""SwinIR-light: attention in windows that every second layer shifts by half a window.

Liang, Cao, Sun, Zhang, Van Gool, Timofte: "SwinIR: Image Restoration Using Swin Transformer",
ICCV Workshops 2021.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.attention import LazyQKV
from srcli.models.layers.convolutions import in_full
from srcli.models.layers.shifted_windows import ShiftedWindowAttention
from srcli.models.layers.tsab import MLP
from srcli.models.layers.windows import as_map, as_tokens, extend_by_mirroring
from srcli.models.spec import EXACT, Halting, MemoryProfile, ModelSpec, SRNetwork, SROutput

__all__ = ["SPEC", "SwinIRConfig", "SwinIRLight", "from_authors"]

_DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


@dataclass(frozen=True)
class SwinIRConfig:
    """The published light configuration.

    Args:
        scale: SR px per LR px to a side.
        dim: Token width c.
        groups: Groups of layers, each with a convolution at its end.
        layers: Layers in a group.
        heads: Attention heads.
        window: Side of a window, LR px; every second layer shifts by half of it.
        ratio: Width of the MLP's middle, in c.
    """

    scale: int
    dim: int = 60
    groups: int = 4
    layers: int = 6
    heads: int = 6
    window: int = 8
    ratio: int = 2


class SwinLayer(nn.Module):
    """Attention in windows, then an MLP, each normed before and added (SwinIR, Eqs. 10, 11)."""

    def __init__(self, config: SwinIRConfig, shift: int) -> None:
        super().__init__()
        dim = config.dim
        self.norm1 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.window = ShiftedWindowAttention(dim, config.heads, config.window, shift)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, config.ratio)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Update tokens (b, h·w, c) in reading order; `size` is (h, w), LR px."""
        tokens = tokens + self.window(LazyQKV.of(self.norm1(tokens), self.qkv), *size)
        return tokens + self.mlp(self.norm2(tokens))

    def reference(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Do the same with the plain attention, window by window."""
        tokens = tokens + self.window.reference(LazyQKV.of(self.norm1(tokens), self.qkv), *size)
        return tokens + self.mlp(self.norm2(tokens))


class SwinGroup(nn.Module):
    """Layers, a convolution, and the input added (SwinIR, Eq. 6)."""

    def __init__(self, config: SwinIRConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            SwinLayer(config, config.window // 2 if number % 2 else 0)
            for number in range(config.layers)
        )
        self.conv = nn.Conv2d(config.dim, config.dim, 3, padding=1)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Update tokens (b, h·w, c); arguments as in `SwinLayer`."""
        deep = tokens
        for layer in self.layers:
            deep = layer(deep, size)
        return tokens + as_tokens(self.conv(as_map(deep, *size)))


class SwinIRLight(SRNetwork):
    """Shallow convolution, groups of layers, pixel shuffle (SwinIR, Fig. 2)."""

    mean: Tensor

    def __init__(self, config: SwinIRConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = config.scale
        dim = config.dim
        self.register_buffer("mean", torch.tensor(_DIV2K_MEAN).view(1, 3, 1, 1), persistent=False)
        self.head = nn.Conv2d(3, dim, 3, padding=1)
        self.norm_in = nn.LayerNorm(dim)
        self.groups = nn.ModuleList(SwinGroup(config) for _ in range(config.groups))
        self.norm_out = nn.LayerNorm(dim)
        self.fuse = nn.Conv2d(dim, dim, 3, padding=1)
        self.tail = nn.Conv2d(dim, 3 * config.scale**2, 3, padding=1)

    def progress_modules(self) -> Mapping[nn.Module, int]:
        """The layers of all groups."""
        return {layer: 1 for group in self.groups for layer in cast("SwinGroup", group).layers}

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute all in `dtype` but `head` and `tail`."""
        for part in (self.norm_in, self.groups, self.norm_out, self.fuse):
            part.to(dtype)

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w), mirrored to whole windows. Nothing halts: `halting` has no effect.

        The published figures come from images that are mirrored likewise, and by one more window
        where they are whole windows already.
        """
        image = self.upscale(extend_by_mirroring(lr, self.config.window))
        return SROutput(image[..., : lr.shape[2] * self.scale, : lr.shape[3] * self.scale])

    def upscale(self, wide: Tensor) -> Tensor:
        """Upscale (b, 3, h, w) whose sides are multiples of the window to (b, 3, s·h, s·w)."""
        size = (wide.shape[2], wide.shape[3])
        shallow = in_full(self.head, wide - self.mean)
        tokens = self.norm_in(as_tokens(shallow.to(self.fuse.weight.dtype)))
        for group in self.groups:
            tokens = cast("SwinGroup", group)(tokens, size)
        features = self.fuse(as_map(self.norm_out(tokens), *size)).to(shallow.dtype) + shallow
        return F.pixel_shuffle(in_full(self.tail, features), self.scale) + self.mean


# The names of the authors' state dict, and ours: replaced in this order.
_AUTHORS_NAMES = {
    "conv_first.": "head.",
    "patch_embed.norm.": "norm_in.",
    "conv_after_body.": "fuse.",
    "upsample.0.": "tail.",
    ".residual_group.blocks.": ".layers.",
    ".attn.qkv.": ".qkv.",
    ".attn.relative_position_bias_table": ".window.bias_table",
    ".attn.proj.": ".window.proj.",
}
_COMPUTED_HERE = ("attn_mask", "relative_position_index")


def from_authors(name: str) -> str | None:
    """Our name for a parameter of the authors' state dict; None for what is computed here.

    >>> from_authors("layers.1.residual_group.blocks.0.attn.qkv.bias")
    'groups.1.layers.0.qkv.bias'
    """
    if name.endswith(_COMPUTED_HERE):
        return None
    if name.startswith("layers."):
        name = "groups." + name.removeprefix("layers.")
    elif name.startswith("norm."):
        name = "norm_out." + name.removeprefix("norm.")
    for theirs, ours in _AUTHORS_NAMES.items():
        name = name.replace(theirs, ours)
    return name


def _build(scale: int) -> SwinIRLight:
    return SwinIRLight(SwinIRConfig(scale=scale))


SPEC = ModelSpec(
    name="swinir-light",
    paper="SwinIR (ICCVW 2021)",
    scales=(2, 3, 4),
    alignment=16,
    overlap=32,
    memory=MemoryProfile(forward=3600),
    efforts={"exact": EXACT},
    build=_build,
    from_authors=from_authors,
)
