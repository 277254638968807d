"""Queries, keys and values computed a chunk of tokens at a time, for windows and categories."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

__all__ = ["LazyQKV", "tokens_at_a_time"]

# On a CPU what a chunk needs in between stays in the cache, and in memory that the allocator has at
# hand; elsewhere few large kernels are best, and autograd would keep every chunk anyway.
_CHUNK = {"cpu": 4096}


def tokens_at_a_time(like: Tensor) -> int:
    """Number of tokens best computed together where `like` (b, n, ...) lies; n for all."""
    all_tokens = like.shape[1]
    return all_tokens if torch.is_grad_enabled() else _CHUNK.get(like.device.type, all_tokens)


@dataclass(frozen=True)
class LazyQKV:
    """Packed queries, keys and values of tokens, not computed yet.

    Args:
        tokens: (b, n, c).
        weight: (3·c, c), queries first, then keys, then values.
        bias: (3·c,).
    """

    tokens: Tensor
    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, tokens: Tensor, projection: nn.Linear) -> "LazyQKV":
        """Promise of what `projection` will make of tokens (b, n, c)."""
        return cls(tokens, projection.weight, projection.bias)

    def sharpened(self, factor: Tensor) -> "LazyQKV":
        """Scale every query by `factor` (1,), at no cost per token."""
        width = self.tokens.shape[2]
        factors = F.pad(factor.expand(width), (0, 2 * width), value=1.0).to(self.weight.dtype)
        return replace(self, weight=self.weight * factors[:, None], bias=self.bias * factors)

    def packed(self, order: Tensor) -> Tensor:
        """Queries, keys and values of the tokens that `order` (k,) names, (b, k, 3·c)."""
        return F.linear(self.tokens.index_select(1, order), self.weight, self.bias)

    def values(self, order: Tensor | None = None) -> Tensor:
        """The values alone, (b, k, c); None: of all tokens."""
        width = self.tokens.shape[2]
        tokens = self.tokens if order is None else self.tokens.index_select(1, order)
        return F.linear(tokens, self.weight[-width:], self.bias[-width:])

    def joined(self) -> "LazyQKV":
        """All images of the batch as one, (1, b·n, c)."""
        return replace(self, tokens=self.tokens.flatten(0, 1)[None])
