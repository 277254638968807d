"""SwinIR-light: attention in windows that every second layer shifts by half a window.

Liang, Cao, Sun, Zhang, Van Gool, Timofte: "SwinIR: Image Restoration Using Swin Transformer",
ICCV Workshops 2021.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from srcli.models.layers.lazy_qkv import LazyQKV
from srcli.models.layers.shifted_windows import ShiftedWindowAttention
from srcli.models.layers.token_groups import TokenGroupNetwork, renamed
from srcli.models.layers.tsab import MLP
from srcli.models.layers.windows import as_map, as_tokens, extend_by_mirroring
from srcli.models.spec import EXACT, Halting, MemoryProfile, ModelSpec, SROutput

__all__ = ["SPEC", "SwinIRConfig", "SwinIRLight", "from_authors"]


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


class SwinIRLight(TokenGroupNetwork):
    """Shallow convolution, groups of layers, pixel shuffle (SwinIR, Fig. 2)."""

    def __init__(self, config: SwinIRConfig) -> None:
        groups = (SwinGroup(config) for _ in range(config.groups))
        super().__init__(config.scale, config.dim, groups)
        self.config = config

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w), mirrored to whole windows. Nothing halts: `halting` has no effect.

        The published figures come from images that are mirrored likewise, and by one more window
        where they are whole windows already.
        """
        image = self.upscale_windows(extend_by_mirroring(lr, self.config.window))
        return SROutput(self.crop(image, lr))


# The names of layers in the authors' state dict, and ours: replaced in this order.
_AUTHORS_NAMES = {
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
    return renamed(name, _AUTHORS_NAMES)


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
