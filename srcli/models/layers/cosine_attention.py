"""Attention by cosine similarity in windows that know their neighbours (N-Gram, Secs. 3.2, 3.3)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.attention import attend, join_heads, relative_positions, split_heads
from srcli.models.layers.shifted_windows import ShiftedWindowAttention

__all__ = ["NGramContext", "ShiftedCosineAttention"]

_SHARPEST = math.log(100.0)
_NEIGHBOURHOOD = 2  # windows to a side of what a context is made from


def compared(q: Tensor, k: Tensor, logit_scale: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys (n, heads, t, d) whose product by √d is their cosine times the scale.

    Args:
        q: Queries.
        k: Keys.
        logit_scale: (heads, 1, 1), the logarithm of a head's factor, which is 100 at most.
    """
    factor = logit_scale.clamp(max=_SHARPEST).exp() * math.sqrt(q.shape[-1])
    return F.normalize(q, dim=-1) * factor.to(q.dtype), F.normalize(k, dim=-1)


class ShiftedCosineAttention(ShiftedWindowAttention):
    """Attention in shifted windows by cosine similarity; seams are dim, not opaque.

    Args:
        dim: Token width c.
        heads: Attention heads, c // heads wide.
        window: Side S of a window, LR px.
        shift: By how much windows are shifted up and left, LR px.
    """

    across_seams = -100.0  # logits reach from -100 to 100, so that it does not always rule out

    def __init__(self, dim: int, heads: int, window: int, shift: int) -> None:
        super().__init__(dim, heads, window, shift)
        self.logit_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(10.0)))
        self.proj = nn.Linear(heads * (dim // heads), dim)

    def comparable(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys of unit length, the queries times the head's factor."""
        return compared(q, k, self.logit_scale)


class NeighbourAttention(nn.Module):
    """Attention by cosine similarity among the 2 × 2 windows of a neighbourhood."""

    position_index: Tensor

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        width = heads * (dim // heads)
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * width)
        self.proj = nn.Linear(width, dim)
        self.logit_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(10.0)))
        self.bias_table = nn.Parameter(torch.zeros((2 * _NEIGHBOURHOOD - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        positions = relative_positions(_NEIGHBOURHOOD)
        self.register_buffer("position_index", positions, persistent=False)

    def forward(self, neighbourhoods: Tensor) -> Tensor:
        """Attend within each neighbourhood of (n, 4, c)."""
        q, k, v = split_heads(self.qkv(neighbourhoods), 3, self.heads)
        q, k = compared(q, k, self.logit_scale)
        bias = self.bias_table[self.position_index].permute(2, 0, 1)[None].contiguous()
        if not torch.is_grad_enabled():
            bias = bias.detach()  # the fused CPU kernel refuses a bias that wants a gradient
        return self.proj(join_heads(attend(q, k, v, bias=bias.to(q.dtype))))


class NGramContext(nn.Module):
    """Context of each window from its neighbours to both sides (N-Gram, Sec. 3.2).

    A window is one vector; each neighbourhood of 2 × 2 windows attends within itself and is
    averaged, once with the windows below and to the right, once with those above and to the left.

    Args:
        dim: Token width c.
        heads: Attention heads, c / 2 // heads wide.
        window: Side of a window, LR px.
    """

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        half = dim // 2
        self.summary = nn.Conv2d(dim, half, window, stride=window, groups=half)
        self.attention = NeighbourAttention(half, heads)
        self.merge = nn.Conv2d(dim, dim, 1)

    def forward(self, features: Tensor) -> Tensor:
        """A vector for each window of (b, c, h, w), at least two to a side: (b, c, H, W)."""
        windows = self.summary(features)
        ahead = self._exchange(F.pad(windows, (0, 1, 0, 1), mode="reflect"))
        behind = self._exchange(F.pad(windows, (1, 0, 1, 0), mode="reflect"))
        return self.merge(torch.cat((ahead, behind), 1))

    def _exchange(self, extended: Tensor) -> Tensor:
        """The mean of each neighbourhood of (b, c, H + 1, W + 1): (b, c, H, W)."""
        side = _NEIGHBOURHOOD
        around = extended.unfold(2, side, 1).unfold(3, side, 1)  # (b, c, H, W, 2, 2)
        around = around.permute(0, 2, 3, 4, 5, 1)
        mixed = self.attention(around.reshape(-1, side * side, extended.shape[1])).mean(1)
        return mixed.view(*around.shape[:3], -1).permute(0, 3, 1, 2)
