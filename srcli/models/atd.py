"""ATD-light: attention in windows, to a learned dictionary, and within categories.

Zhang, Li, Zhou, Zhao, Gu: "Transcending the Limit of Local Window: Advanced Super-Resolution
Transformer with Adaptive Token Dictionary", CVPR 2024.

Three attentions work side by side in every layer: in windows (shifted in every second layer), to
a dictionary of learned tokens, and among tokens that the dictionary puts into one category,
wherever in the image they lie. The dictionary is refined from layer to layer.

Dictionary and categories see every token: a tile is not a piece of the whole image's result.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.category import CategoryAttention, PureSplit
from srcli.models.layers.dictionary import DictionaryAttention, DictionaryRefinement
from srcli.models.layers.lazy_qkv import LazyQKV
from srcli.models.layers.shifted_windows import ShiftedWindowAttention
from srcli.models.layers.token_groups import TokenGroupNetwork, renamed
from srcli.models.layers.windows import as_map, as_tokens, extend_by_mirroring
from srcli.models.spec import EXACT, Halting, MemoryProfile, ModelSpec, SROutput

__all__ = ["SPEC", "ATDConfig", "ATDLayer", "ATDLight", "from_authors"]


@dataclass(frozen=True)
class ATDConfig:
    """The published light configuration.

    Args:
        scale: SR px per LR px to a side.
        dim: Token width c.
        groups: Groups of layers, each with a dictionary of its own.
        layers: Layers in a group.
        heads: Attention heads, in windows and in categories.
        window: Side of a window, LR px; every second layer shifts by half of it.
        entries: Dictionary tokens m.
        reduced: Width in which tokens and dictionary are compared.
        category_group: Tokens that attend to each other within a category.
        kernel: Side of the feed-forward's depthwise convolution, LR px.
    """

    scale: int
    dim: int = 48
    groups: int = 4
    layers: int = 6
    heads: int = 4
    window: int = 16
    entries: int = 64
    reduced: int = 8
    category_group: int = 128
    kernel: int = 7


class ConvFFN(nn.Module):
    """Linear, GELU, plus a depthwise convolution of it, linear (ATD, Sec. 3.4)."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, dim)
        self.depthwise = nn.Conv2d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.fc2 = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Map (b, h·w, c) to (b, h·w, c)."""
        x = F.gelu(self.fc1(tokens))
        return self.fc2(x + as_tokens(F.gelu(self.depthwise(as_map(x, height, width)))))


class ATDLayer(nn.Module):
    """The three attentions side by side, then the feed-forward (ATD, Fig. 3).

    Args:
        config: The network.
        shift: By how much windows are shifted, LR px.
        refines: Whether the dictionary is needed after this layer.
    """

    def __init__(self, config: ATDConfig, *, shift: int, refines: bool) -> None:
        super().__init__()
        dim, heads = config.dim, config.heads
        self.norm1 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.window = ShiftedWindowAttention(dim, heads, config.window, shift)
        self.dictionary = DictionaryAttention(dim, config.entries, config.reduced)
        self.category = CategoryAttention(dim, heads, config.category_group)
        self.norm2 = nn.LayerNorm(dim)
        self.ffn = ConvFFN(dim, config.kernel)
        self.refine = DictionaryRefinement(config.entries) if refines else None

    def forward(
        self, x: Tensor, entries: Tensor, size: tuple[int, int], exempt: PureSplit | None
    ) -> tuple[Tensor, Tensor]:
        """Update tokens (b, h·w, c) and dictionary (b, m, c).

        Args:
            x: Tokens in reading order.
            entries: The dictionary.
            size: (h, w), LR px.
            exempt: The tokens that skip the category attention.
        """
        y = self.norm1(x)
        qkv = LazyQKV.of(y, self.qkv)
        similarity = self.dictionary.similarity(y, entries)  # (b, n, m)
        x = x + self.dictionary(similarity, entries)  # from here on it is our own
        x += self.across(qkv, similarity, size, exempt)
        x += self.window(qkv, *size)
        change = self.ffn(self.norm2(x), *size)
        x = x + change if torch.is_grad_enabled() else x.add_(change)  # norm2 remembers x
        if self.refine is not None:
            entries = self.refine(entries, similarity, x)
        return x, entries

    def across(
        self, qkv: LazyQKV, similarity: Tensor, size: tuple[int, int], exempt: PureSplit | None
    ) -> Tensor:
        """Attention of a token to those of its category, (b, n, c); networks like this vary it."""
        return self.category(qkv, similarity, exempt)


class ATDGroup(nn.Module):
    """Layers that share a dictionary, a convolution, and the input added (ATD, Fig. 3)."""

    def __init__(self, config: ATDConfig, layer: "LayerMaker") -> None:
        super().__init__()
        self.entries = nn.Parameter(torch.randn(config.entries, config.dim))
        self.layers = nn.ModuleList(
            layer(
                config,
                shift=config.window // 2 if number % 2 else 0,
                refines=number < config.layers - 1,
            )
            for number in range(config.layers)
        )
        self.conv = nn.Conv2d(config.dim, config.dim, 3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int], exempt: PureSplit | None) -> Tensor:
        """Update tokens (b, h·w, c); arguments as in `ATDLayer`."""
        tokens, entries = x, self.entries.expand(len(x), -1, -1)
        for layer in self.layers:
            tokens, entries = layer(tokens, entries, size, exempt)
        return x + as_tokens(self.conv(as_map(tokens, *size)))


@runtime_checkable
class LayerMaker(Protocol):
    """Makes the layers of a network."""

    def __call__(self, config: ATDConfig, *, shift: int, refines: bool) -> ATDLayer:
        """Make one; arguments as `ATDLayer` takes them."""
        ...


class ATDLight(TokenGroupNetwork):
    """Shallow convolution, groups of layers, upsampler."""

    def __init__(self, config: ATDConfig, layer: LayerMaker = ATDLayer) -> None:
        groups = (ATDGroup(config, layer) for _ in range(config.groups))
        super().__init__(config.scale, config.dim, groups)
        self.config = config

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute all in `dtype` but `head`, `tail` and what tells categories."""
        told = [part for part in self.modules() if isinstance(part, DictionaryAttention)]
        full = [(one, one.data) for part in told for one in part.kept_full()]
        super().lower_precision(dtype)
        for parameter, values in full:
            parameter.data = values

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w). Nothing halts here: `halting` has no effect."""
        image = self.upscale(extend_by_mirroring(lr, self.config.window), exempt=None)
        return SROutput(self.crop(image, lr))

    def upscale(self, wide: Tensor, exempt: Tensor | None) -> Tensor:
        """Upscale an image that is whole windows.

        Args:
            wide: (b, 3, h, w), RGB in [0, 1], sides multiples of the window.
            exempt: (b, h, w) bool, the pixels that skip the category attention; None: none do.

        Returns:
            (b, 3, s·h, s·w).
        """
        pure_split = None if exempt is None else PureSplit.where(exempt.flatten(1))
        return self.upscale_windows(wide, pure_split)


# The names of layers in the authors' state dict, and ours: replaced in this order.
_AUTHORS_NAMES = {
    ".residual_group.td": ".entries",
    ".residual_group.layers.": ".layers.",
    ".attn_win.relative_position_bias_table": ".window.bias_table",
    ".attn_win.": ".window.",
    ".attn_atd.w": ".dictionary.",
    ".attn_atd.": ".dictionary.",
    ".attn_aca.": ".category.",
    ".wqkv.": ".qkv.",
    ".norm3.": ".refine.norm.",
    ".sigma": ".refine.sigma",
    ".convffn.dwconv.depthwise_conv.0.": ".ffn.depthwise.",
    ".convffn.": ".ffn.",
}


def from_authors(name: str) -> str | None:
    """Our name for a parameter of the authors' state dict; None for what is computed here."""
    if name == "relative_position_index_SA":
        return None
    return renamed(name, _AUTHORS_NAMES)


def _build(scale: int) -> ATDLight:
    return ATDLight(ATDConfig(scale=scale))


SPEC = ModelSpec(
    name="atd-light",
    paper="ATD (CVPR 2024)",
    scales=(2, 3, 4),
    alignment=16,
    overlap=32,
    memory=MemoryProfile(forward=3000),
    efforts={"exact": EXACT},
    build=_build,
    from_authors=from_authors,
)
