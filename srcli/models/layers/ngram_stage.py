"""The stages of N-Gram's U-shaped network, and what stands between them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.cosine_attention import NGramContext, ShiftedCosineAttention
from srcli.models.layers.lazy_qkv import LazyQKV
from srcli.models.layers.tsab import MLP
from srcli.models.layers.windows import as_map, as_tokens

__all__ = ["Bottleneck", "Downsample", "NGramBlock", "NGramStage"]


class NGramBlock(nn.Module):
    """Attention with context, then an MLP, each normed after and added (N-Gram, Fig. 3).

    Args:
        dim: Token width c.
        heads: Attention heads.
        window: Side of a window, px of the block's map.
        shift: By how much windows are shifted, likewise.
        ratio: Width of the MLP's middle, in c.
    """

    def __init__(self, dim: int, heads: int, *, window: int, shift: int, ratio: int) -> None:
        super().__init__()
        self.context = NGramContext(dim, heads, window)
        self.qkv = nn.Linear(dim, 3 * heads * (dim // heads))
        self.window = ShiftedCosineAttention(dim, heads, window, shift)
        self.norm1 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, ratio)
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Map tokens (b, h·w, c) in reading order; `size` is (h, w) of their map."""
        features = as_map(tokens, *size)
        context = self.context(features)  # (b, c, h / S, w / S)
        told = as_tokens(features + F.interpolate(context, size, mode="nearest"))
        tokens = tokens + self.norm1(self.window(LazyQKV.of(told, self.qkv), *size))
        return tokens + self.norm2(self.mlp(tokens))


class NGramStage(nn.Module):
    """Blocks whose input is the one before's input and output together (N-Gram, Fig. 2)."""

    def __init__(self, blocks: Iterable[NGramBlock]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The last block's output, and that with its input added; both (b, h·w, c)."""
        result = torch.zeros_like(tokens)
        for block in self.blocks:
            tokens = tokens + result
            result = block(tokens, size)
        return result, result + tokens


class Downsample(nn.Module):
    """2 × 2 px become one of the same width."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, dim, bias=False)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Map (b, h·w, c) to (b, h/2 · w/2, c): pixels joined in reading order."""
        b, _, c = tokens.shape
        x = tokens.view(b, size[0] // 2, 2, size[1] // 2, 2, c).permute(0, 1, 3, 2, 4, 5)
        return self.reduction(self.norm(x.reshape(b, -1, 4 * c)))


class Bottleneck(nn.Module):
    """All stages' results at full size, joined (N-Gram, Sec. 3.4)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        joined = dim + dim // 4 + dim // 16
        self.depthwise = nn.Conv2d(joined, joined, 3, padding=1, groups=joined)
        self.pointwise = nn.Linear(joined, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, results: list[Tensor]) -> Tensor:
        """Map (b, c, h, w), (b, c, h/2, w/2) and (b, c, h/4, w/4) to (b, h·w, c)."""
        large = [F.pixel_shuffle(one, 2**level) if level else one
                 for level, one in enumerate(results)]  # fmt: skip
        x = F.gelu(self.depthwise(torch.cat(large, 1)))
        return self.norm(self.pointwise(as_tokens(x)))
