"""Attention inside windows that every second layer shifts by half a window (ATD, Sec. 3.4).

Tokens come in reading order, (b, n, c) with n = h·w. Shifting wraps round, so that the windows of
the last row and column hold parts of the image that are not neighbours: those must not see each
other. Only these windows need a mask; all others share the bias alone.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from srcli.models.layers.attention import (
    attend,
    join_heads,
    relative_positions,
    split_heads,
)
from srcli.models.layers.indexing import put_rows
from srcli.models.layers.lazy_qkv import LazyQKV, tokens_at_a_time

__all__ = ["ShiftedWindowAttention"]


@dataclass(frozen=True)
class _Order:
    """Window order of the tokens of one image size.

    Args:
        tokens: (n,) int64, the token at each place of the window order.
        kinds: How many windows meet no seam, one in their columns, one in their rows, both; in
            this order.
    """

    tokens: Tensor
    kinds: tuple[int, int, int, int]


class ShiftedWindowAttention(nn.Module):
    """Self-attention inside windows of S × S tokens, with relative position bias.

    Args:
        dim: Token width c.
        heads: Attention heads; c is a multiple of it.
        window: Side S of a window, LR px.
        shift: By how much windows are shifted up and left, LR px.
    """

    position_index: Tensor
    seams: Tensor
    across_seams = float("-inf")
    """Added to the logits of two tokens with a seam between them."""

    def __init__(self, dim: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.proj = nn.Linear(dim, dim)
        self.register_buffer("position_index", relative_positions(window), persistent=False)
        y, x = torch.arange(window * window) // window, torch.arange(window * window) % window
        below, beyond = y >= window - shift, x >= window - shift
        columns, rows = beyond[:, None] != beyond, below[:, None] != below
        seams = torch.stack([torch.zeros_like(rows), columns, rows, columns | rows])
        self.register_buffer("seams", seams, persistent=False)  # (4, t, t), by kind

    def bias(self) -> Tensor:
        """The bias of every pair of positions, (heads, t, t)."""
        return self.bias_table[self.position_index].permute(2, 0, 1)

    def forward(self, qkv: LazyQKV, height: int, width: int) -> Tensor:
        """Attend within windows.

        Args:
            qkv: Of tokens (b, n, c).
            height: Of the image, LR px, a multiple of S; n = height · width.
            width: Likewise.

        Returns:
            (b, n, c).
        """
        order = _order(height, width, self.window, self.shift, qkv.tokens.device)
        size = self.window**2
        count = max(1, tokens_at_a_time(qkv.tokens) // size) * size
        result: Tensor | None = None
        for kind, here in enumerate(torch.split(order.tokens, [size * k for k in order.kinds])):
            if not len(here):
                continue
            bias = self._bias_in(kind)
            for tokens in torch.split(here, count):
                mixed = self._attend(qkv.packed(tokens), bias)
                if result is None:
                    result = mixed.new_empty((*qkv.tokens.shape[:2], mixed.shape[2]))
                put_rows(result.transpose(0, 1), tokens, mixed.transpose(0, 1))
        assert result is not None, "an image has windows"
        return self.proj(result)

    def _bias_in(self, kind: int) -> Tensor:
        """The bias in windows of a kind, (1, heads, t, t), with what seams add."""
        bias = self.bias().contiguous()
        if not torch.is_grad_enabled():
            bias = bias.detach()  # the fused CPU kernel refuses a bias that wants a gradient
        if kind:
            bias = torch.where(self.seams[kind], bias + self.across_seams, bias)
        return bias[None]

    def comparable(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys (n, heads, t, d), whose product by √d is the logits before the bias."""
        return q, k

    def _attend(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """Attend within windows of one kind, packed (b, k·t, 3·c), to (b, k·t, c)."""
        q, k, v = split_heads(tokens.view(-1, self.window**2, tokens.shape[2]), 3, self.heads)
        q, k = self.comparable(q, k)
        bias = bias.to(q.dtype)  # another one under autocast
        mixed = attend(q, k, v, bias=bias)  # (b·k, heads, t, d)
        return join_heads(mixed).view(*tokens.shape[:2], -1)

    def reference(self, qkv: LazyQKV, height: int, width: int) -> Tensor:
        """Attend plainly, window by window; gives what `forward` gives."""
        s, shift = self.window, self.shift
        everyone = torch.arange(height * width, device=qkv.tokens.device)
        packed = qkv.packed(everyone)
        b, _, width3 = packed.shape
        rolled = packed.view(b, height, width, width3).roll((-shift, -shift), (1, 2))
        row, column = everyone // width, everyone % width
        part = 2 * (row >= height - shift).long() + (column >= width - shift)
        part = part.view(height, width)
        result = torch.zeros_like(rolled[..., : width3 // 3])
        for top in range(0, height, s):
            for left in range(0, width, s):
                here = (slice(None), slice(top, top + s), slice(left, left + s))
                q, k, v = split_heads(rolled[here].flatten(1, 2), 3, self.heads)
                q, k = self.comparable(q, k)
                home = part[here[1:]].flatten()
                logits = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + self.bias()
                logits = torch.where(home[:, None] != home, logits + self.across_seams, logits)
                result[here] = join_heads(logits.softmax(-1) @ v).view(b, s, s, -1)
        return self.proj(result.roll((shift, shift), (1, 2)).flatten(1, 2))


# Two shifts of one size, and of the next one: 16 bytes a token each, where the network takes
# thousands. Made outside of inference mode, because autograd may want it later.
@lru_cache(maxsize=4)
@torch.inference_mode(mode=False)
def _order(height: int, width: int, window: int, shift: int, device: torch.device) -> _Order:
    """Window order, windows without a seam first."""
    rows, columns = height // window, width // window
    numbers = torch.arange(height * width, device=device).view(height, width)
    numbers = numbers.roll((-shift, -shift), (0, 1))
    windows = numbers.view(rows, window, columns, window).transpose(1, 2)  # (rows, columns, s, s)
    row = torch.arange(rows, device=device)[:, None].expand(rows, columns)
    column = torch.arange(columns, device=device).expand(rows, columns)
    kind = torch.zeros_like(row)
    if shift:
        kind = 2 * (row == rows - 1) + (column == columns - 1)
    kind = kind.flatten()
    windows = windows.flatten(0, 1)[torch.sort(kind, stable=True).indices]
    tokens = windows.flatten()
    plain, beside, below, corner = (int((kind == k).sum()) for k in range(4))
    return _Order(tokens, (plain, beside, below, corner))
