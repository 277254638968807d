"""Attention among tokens of one category, wherever in the image they lie (ATD, Sec. 3.3)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import cast

import torch
from torch import Tensor, nn

from srcli.models.layers.attention import attend, join_heads, split_heads
from srcli.models.layers.indexing import put_rows
from srcli.models.layers.lazy_qkv import LazyQKV, tokens_at_a_time

__all__ = ["CategoryAttention", "PureSplit", "sorted_by_category"]

_SHARPEST = math.log(100.0)


@dataclass(frozen=True)
class PureSplit:
    """Tokens that take part in the category attention: found once, for all layers.

    Tokens count through the batch: b images of n.

    Args:
        kept: (k,) int64, the tokens that do, in reading order.
        spared: Likewise, those that sit out.
        counts: How many each image keeps.
    """

    kept: Tensor
    spared: Tensor
    counts: tuple[int, ...]

    @classmethod
    def where(cls, mask: Tensor) -> "PureSplit":
        """Those that `mask` (b, n) names by True sit out."""
        counts = cast("list[int]", (~mask).sum(1).tolist())
        kept, spared = (m.flatten().nonzero().flatten() for m in (~mask, mask))
        return cls(kept, spared, tuple(counts))


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
        b, n, _ = similarity.shape
        joined = qkv.joined().sharpened(self._sharpness()[0])
        counts = (n,) * b if exempt is None else exempt.counts
        result = None if exempt_output is None else exempt_output.flatten(0, 1).clone()
        if exempt is not None and result is None:
            result = self._own_values(joined, exempt.spared)
        order = self._order(similarity, exempt)
        if not len(order):
            assert result is not None, "an image has tokens"
            if torch.is_grad_enabled():  # then nothing is left without a gradient, be it zero
                result = result + 0 * self.logit_scale.to(result.dtype)
            return result.view(b, n, -1)
        for size in dict.fromkeys(min(count, self.group) for count in counts if count):
            result = self._mix_groups(joined, _groups(order, counts, size, self.group), result)
        assert result is not None, "there are groups"
        return result.view(b, n, -1)

    def _mix_groups(
        self, qkv: LazyQKV, grouped: tuple[Tensor, Tensor, Tensor | None], result: Tensor | None
    ) -> Tensor:
        """Attend within groups of one size, and put what comes of it into `result` (b·n, c).

        Args:
            qkv: Of all tokens as one image, sharpened.
            grouped: As `_groups` returns it.
            result: What is there already; None: nothing.
        """
        groups, tokens, places = grouped
        size = groups.shape[1]
        count = max(1, tokens_at_a_time(qkv.tokens) // size)
        if places is not None:  # of several images: groups are filled up in between
            mixed = torch.cat(
                [self._attend_packed(qkv, chunk) for chunk in torch.split(groups, count)]
            )
            if result is None:
                result = mixed.new_empty(qkv.tokens.shape[1:])
            put_rows(result, tokens, mixed.index_select(0, places))
            return result
        for chunk, some in zip(
            torch.split(groups, count), torch.split(tokens, count * size), strict=True
        ):
            mixed = self._attend_packed(qkv, chunk)[: len(some)]
            if result is None:
                result = mixed.new_empty(qkv.tokens.shape[1:])
            put_rows(result, some, mixed)
        assert result is not None, "there are groups"
        return result

    def _attend_packed(self, qkv: LazyQKV, groups: Tensor) -> Tensor:
        """Attend within groups (g, t) of token numbers: (g·t, c)."""
        packed = qkv.packed(groups.flatten()).view(*groups.shape, -1)
        q, k, v = split_heads(packed, 3, self.heads)  # (g, heads, t, d)
        return join_heads(attend(q, k, v, scale=1.0)).flatten(0, 1)

    def _order(self, similarity: Tensor, exempt: PureSplit | None) -> Tensor:
        """The tokens that take part, image by image, sorted by category: (k,) int64."""
        b, n, m = similarity.shape
        if exempt is None:
            category = similarity.argmax(-1)
            if b > 1:
                category = category + m * torch.arange(b, device=category.device)[:, None]
            return sorted_by_category(category.flatten())
        every, kept = similarity.flatten(0, 1), exempt.kept
        chunks = torch.split(kept, tokens_at_a_time(every[None]))
        category = torch.cat([every.index_select(0, chunk).argmax(-1) for chunk in chunks])
        if b > 1:
            category = category + m * (kept // n)
        return kept[sorted_by_category(category)]

    def _own_values(self, qkv: LazyQKV, spared: Tensor) -> Tensor:
        """(n, c) with the values of the spared tokens, and anything elsewhere."""
        values = qkv.values(spared)[0]
        result = values.new_empty(qkv.tokens.shape[1:])
        put_rows(result, spared, values)
        return result

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


def _groups(
    order: Tensor, counts: Sequence[int], size: int, largest: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Cut what each image keeps into groups, an image's last one filled up by mirroring its end.

    Args:
        order: (k,) int64, the tokens of all images, image by image.
        counts: How many of them each image has.
        size: Tokens in a group. Only the images with groups of this size are cut.
        largest: Tokens in a group of an image that has enough.

    Returns:
        The groups (g, size); their tokens (t,), each once; and where these are among the groups'
        (t,), None if they are the first t.
    """
    starts = [0, *accumulate(counts)]
    mine = [i for i, count in enumerate(counts) if count and min(count, largest) == size]
    if len(mine) == 1:
        here = order[starts[mine[0]] : starts[mine[0] + 1]]
        missing = -len(here) % size
        filled = torch.cat([here, here[len(here) - missing :].flip(0)])
        return filled.view(-1, size), here, None
    lengths = torch.tensor([counts[i] for i in mine])
    filled = (lengths + size - 1) // size * size
    rank = torch.arange(int(filled.sum())) - (filled.cumsum(0) - filled).repeat_interleave(filled)
    length = lengths.repeat_interleave(filled)
    begin = torch.tensor([starts[i] for i in mine]).repeat_interleave(filled)
    place = begin + torch.minimum(rank, 2 * length - 1 - rank)  # of each slot in `order`
    real = rank < length
    first = real.nonzero().flatten().to(order.device)
    groups = order[place.to(order.device)]
    return groups.view(-1, size), groups[first], first


def sorted_by_category(category: Tensor) -> Tensor:
    """The order of (k,) that brings those of one category together, as they come; (k,) int64."""
    return torch.sort(category, stable=True).indices
