"""Attention among tokens of one category, wherever in the image they lie (ATD, Sec. 3.3)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srcli.models.layers.attention import LazyQKV, attend, join_heads, split_heads, tokens_at_a_time

__all__ = ["CategoryAttention", "PureSplit", "sorted_by_category"]

_SHARPEST = math.log(100.0)


@dataclass(frozen=True)
class PureSplit:
    """Tokens that take part in the category attention of each image: found once, for all layers.

    Args:
        kept: For each image (k,) int64, the tokens that do, in reading order.
        spared: Likewise, those that sit out.
    """

    kept: tuple[Tensor, ...]
    spared: tuple[Tensor, ...]

    @classmethod
    def where(cls, mask: Tensor) -> "PureSplit":
        """Those that `mask` (b, n) names by True sit out."""
        kept, spared = (tuple(row.nonzero().flatten() for row in m) for m in (~mask, mask))
        return cls(kept, spared)


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

    def forward(self, qkv: LazyQKV, similarity: Tensor, exempt: PureSplit | None = None) -> Tensor:
        """Attend within groups.

        Args:
            qkv: Of tokens (b, n, c).
            similarity: To the entries of the dictionary, (b, n, m): the highest is the category.
            exempt: Who sits out; None: no one does.

        Returns:
            (b, n, c).
        """
        return self.proj(self.mix(qkv, similarity, exempt, None))

    def mix(
        self,
        qkv: LazyQKV,
        similarity: Tensor,
        exempt: PureSplit | None,
        exempt_output: Tensor | None,
    ) -> Tensor:
        """Attend without the output projection; the exempt take from `exempt_output` (b, n, c)."""
        mixed: list[Tensor] = []
        for i in range(len(similarity)):
            selection = None if exempt is None else (exempt.kept[i], exempt.spared[i])
            other = None if exempt_output is None else exempt_output[i]
            mixed.append(self._image(qkv.image(i), similarity[i], selection, other))
        return torch.stack(mixed) if len(mixed) > 1 else mixed[0][None]

    def _image(
        self,
        qkv: LazyQKV,
        similarity: Tensor,
        selection: tuple[Tensor, Tensor] | None,
        exempt_output: Tensor | None,
    ) -> Tensor:
        """Mix the tokens of one image: (n, c)."""
        order = self._order(similarity, None if selection is None else selection[0])
        result = None if exempt_output is None else exempt_output.clone()
        if selection is not None and exempt_output is None:
            result = self._own_values(qkv, selection[1])
        if not len(order):
            assert result is not None, "an image has tokens"
            if torch.is_grad_enabled():  # then nothing is left without a gradient, be it zero
                result = result + 0 * self.logit_scale.to(result.dtype)
            return result
        groups = self._grouped(order)
        count = max(1, tokens_at_a_time(qkv.tokens) // groups.shape[1])
        qkv = qkv.sharpened(self._sharpness()[0])
        for chunk, tokens in zip(
            torch.split(groups, count),
            torch.split(order, count * groups.shape[1]),
            strict=True,
        ):
            packed = qkv.packed(chunk.flatten()).view(*chunk.shape, -1)
            mixed = self._attend(packed).flatten(0, 1)[: len(tokens)]
            if result is None:
                result = mixed.new_empty(qkv.tokens.shape[1:])
            result.index_copy_(0, tokens, mixed)
        assert result is not None, "there are groups"
        return result

    def _order(self, similarity: Tensor, kept: Tensor | None) -> Tensor:
        """The tokens that take part, sorted by category: (k,) int64."""
        if kept is None:
            return sorted_by_category(similarity.argmax(-1))
        chunks = torch.split(kept, tokens_at_a_time(similarity[None]))
        category = [similarity.index_select(0, chunk).argmax(-1) for chunk in chunks]
        return kept[sorted_by_category(torch.cat(category))]

    def _own_values(self, qkv: LazyQKV, spared: Tensor) -> Tensor:
        """(n, c) with the values of the spared tokens, and anything elsewhere."""
        values = qkv.values(spared)[0]
        return values.new_empty(qkv.tokens.shape[1:]).index_copy_(0, spared, values)

    def _grouped(self, order: Tensor) -> Tensor:
        """Cut `order` (k,) into groups, the last one filled up by mirroring the end."""
        size = min(len(order), self.group)
        missing = -len(order) % size
        return torch.cat([order, order[len(order) - missing :].flip(0)]).view(-1, size)

    def _attend(self, groups: Tensor) -> Tensor:
        """Attend within each group of (g, t, 3·c), to (g, t, c)."""
        q, k, v = split_heads(groups, 3, self.heads)  # (g, heads, t, d)
        return join_heads(attend(q, k, v, scale=1.0))

    def _sharpness(self) -> Tensor:
        return self.logit_scale.clamp(max=_SHARPEST).exp()

    def reference(self, qkv: LazyQKV, similarity: Tensor, exempt: Tensor | None = None) -> Tensor:
        """Attend plainly, group by group; exempt: (b, n) bool. Gives what `forward` gives."""
        category = similarity.argmax(-1)
        packed = qkv.packed(torch.arange(category.shape[1]))
        result = qkv.values().clone()
        for i in range(len(packed)):
            kept = [t for t in range(category.shape[1]) if exempt is None or not exempt[i, t]]
            order = sorted(kept, key=lambda token: int(category[i, token]))
            size = min(len(order), self.group) or 1
            filled = order + order[::-1][: -len(order) % size]
            for first in range(0, len(filled), size):
                group = filled[first : first + size]
                q, k, v = split_heads(packed[i, group][None], 3, self.heads)
                weight = (q @ k.transpose(-1, -2) * self._sharpness()).softmax(-1)
                real = order[first : first + size]
                result[i, real] = join_heads(weight @ v)[0, : len(real)]
        return self.proj(result)


def sorted_by_category(category: Tensor) -> Tensor:
    """The order of (k,) that brings those of one category together, as they come; (k,) int64."""
    return torch.sort(category, stable=True).indices
