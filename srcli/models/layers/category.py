"""Attention among tokens of one category, wherever in the picture they lie (ATD, Sec. 3.3)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.attention import join_heads, split_heads

__all__ = ["CategoryAttention", "sorted_by_category", "values_of"]

_SHARPEST = math.log(100.0)


class CategoryAttention(nn.Module):
    """Self-attention in groups of tokens sorted by category (ATD's AC-MSA, Eqs. 8 to 10).

    Tokens that are exempt (Pure-Pass: pure pixels) are neither sorted nor grouped. What they get
    instead is their own value, since attention in a uniform group averages what is all but equal.

    Args:
        dim: Token width c.
        heads: Attention heads; c is a multiple of it.
        group: Tokens in a group.
    """

    def __init__(self, dim: int, heads: int, group: int) -> None:
        super().__init__()
        self.heads, self.group = heads, group
        self.logit_scale = nn.Parameter(torch.full((1, 1), math.log(10.0)))
        self.proj = nn.Linear(dim, dim)

    def forward(self, qkv: Tensor, category: Tensor, exempt: Tensor | None = None) -> Tensor:
        """Attend within groups.

        Args:
            qkv: Packed queries, keys and values, (b, n, 3·c).
            category: (b, n) integers.
            exempt: (b, n) bool, True = sits out; None: no one does.

        Returns:
            (b, n, c).
        """
        return self.proj(self.mix(qkv, category, exempt, values_of(qkv)))

    def mix(self, qkv: Tensor, category: Tensor, exempt: Tensor | None, instead: Tensor) -> Tensor:
        """The same before the output projection; the exempt take from `instead` (b, n, c)."""
        mixed: list[Tensor] = []
        for i in range(len(qkv)):
            order = sorted_by_category(category[i], None if exempt is None else exempt[i])
            mixed.append(self._picture(qkv[i], order, instead[i]))
        return torch.stack(mixed) if len(mixed) > 1 else mixed[0][None]

    def _picture(self, qkv: Tensor, order: Tensor, instead: Tensor) -> Tensor:
        """Attend among the tokens that `order` (k,) names, of one picture's (n, 3·c)."""
        learns = torch.is_grad_enabled()  # then nothing is left without a gradient, be it zero
        if not len(order):
            return instead + 0 * self.logit_scale.to(instead.dtype) if learns else instead
        grouped = self._grouped(order)
        gathered = qkv.index_select(0, grouped.flatten())
        mixed = self._attend(gathered.view(*grouped.shape, -1))
        kept = learns or len(order) < len(qkv)
        result = instead.clone() if kept else torch.empty_like(instead)
        return result.index_copy_(0, order, mixed.flatten(0, 1)[: len(order)])

    def _grouped(self, order: Tensor) -> Tensor:
        """Cut `order` (k,) into groups, the last one filled up by mirroring the end."""
        size = min(len(order), self.group)
        missing = -len(order) % size
        return torch.cat([order, order[len(order) - missing :].flip(0)]).view(-1, size)

    def _attend(self, groups: Tensor) -> Tensor:
        """Attend within each group of (g, t, 3·c), to (g, t, c)."""
        q, k, v = split_heads(groups, 3, self.heads)  # (g, heads, t, d)
        q = q * self._sharpness().to(q.dtype)
        return join_heads(F.scaled_dot_product_attention(q, k, v, scale=1.0))

    def _sharpness(self) -> Tensor:
        return self.logit_scale.clamp(max=_SHARPEST).exp()

    def reference(self, qkv: Tensor, category: Tensor, exempt: Tensor | None = None) -> Tensor:
        """The same, group by group and written out."""
        result = values_of(qkv).clone()
        for i in range(len(qkv)):
            kept = [t for t in range(qkv.shape[1]) if exempt is None or not exempt[i, t]]
            order = sorted(kept, key=lambda token: int(category[i, token]))
            size = min(len(order), self.group) or 1
            filled = order + order[::-1][: -len(order) % size]
            for first in range(0, len(filled), size):
                group = filled[first : first + size]
                q, k, v = split_heads(qkv[i, group][None], 3, self.heads)
                weight = (q @ k.transpose(-1, -2) * self._sharpness()).softmax(-1)
                real = order[first : first + size]
                result[i, real] = join_heads(weight @ v)[0, : len(real)]
        return self.proj(result)


def values_of(qkv: Tensor) -> Tensor:
    """The values of packed queries, keys and values (..., 3·c), a view."""
    return qkv[..., -(qkv.shape[-1] // 3) :]


def sorted_by_category(category: Tensor, exempt: Tensor | None = None) -> Tensor:
    """The tokens of (n,), those of one category together and in reading order; (k,) int64."""
    if exempt is None:
        return torch.sort(category, stable=True).indices
    kept = (~exempt).nonzero().flatten()
    return kept[torch.sort(category[kept], stable=True).indices]
