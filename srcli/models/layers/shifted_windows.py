"""Attention inside windows that every second layer shifts by half a window (ATD, Sec. 3.4).

Tokens come in reading order, (b, n, c) with n = h·w. Shifting wraps round, so that the windows of
the last row and column hold parts of the picture that are not neighbours: those must not see each
other. Only these windows need a mask; all others share the bias alone.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.attention import join_heads, split_heads

__all__ = ["ShiftedWindowAttention"]


@dataclass(frozen=True)
class _Order:
    """Window order of the tokens of one picture size.

    Args:
        tokens: (n,) int64, the token at each place of the window order.
        places: (n,) int64, the place of each token: the inverse.
        kinds: How many windows meet no seam, one in their columns, one in their rows, both; in
            this order.
    """

    tokens: Tensor
    places: Tensor
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

    def __init__(self, dim: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.proj = nn.Linear(dim, dim)
        y, x = torch.arange(window * window) // window, torch.arange(window * window) % window
        dy, dx = y[:, None] - y, x[:, None] - x  # query minus key
        index = (dy + window - 1) * (2 * window - 1) + dx + window - 1
        self.register_buffer("position_index", index, persistent=False)
        below, beyond = y >= window - shift, x >= window - shift
        columns, rows = beyond[:, None] != beyond, below[:, None] != below
        seams = torch.stack([torch.zeros_like(rows), columns, rows, columns | rows])
        self.register_buffer("seams", seams, persistent=False)  # (4, t, t), by kind

    def bias(self) -> Tensor:
        """The bias of every pair of positions, (heads, t, t)."""
        return self.bias_table[self.position_index].permute(2, 0, 1)

    def forward(self, qkv: Tensor, height: int, width: int) -> Tensor:
        """Attend within windows.

        Args:
            qkv: Packed queries, keys and values, (b, n, 3·c).
            height: Of the picture, LR px, a multiple of S; n = height · width.
            width: Likewise.

        Returns:
            (b, n, c).
        """
        order = _order(height, width, self.window, self.shift, qkv.device)
        b, _, width3 = qkv.shape
        windows = qkv.index_select(1, order.tokens).view(b, -1, self.window**2, width3)
        bias = self.bias().to(qkv.dtype).contiguous()
        if not torch.is_grad_enabled():
            bias = bias.detach()  # the fused CPU kernel refuses a bias that wants a gradient
        parts: list[Tensor] = []
        first = 0
        for kind, count in enumerate(order.kinds):
            if count:
                mine = windows[:, first : first + count].flatten(0, 1)
                parts.append(self._attend(mine, bias, kind).view(b, -1, width3 // 3))
                first += count
        mixed = torch.cat(parts, 1) if len(parts) > 1 else parts[0]  # (b, n, c)
        return self.proj(mixed.index_select(1, order.places))

    def _attend(self, windows: Tensor, bias: Tensor, kind: int) -> Tensor:
        """Attend within (k, t, 3·c), all of one kind, to (k, t, c)."""
        q, k, v = split_heads(windows, 3, self.heads)  # (k, heads, t, d)
        if kind:
            bias = bias.masked_fill(self.seams[kind], float("-inf"))
        return join_heads(F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None]))

    def reference(self, qkv: Tensor, height: int, width: int) -> Tensor:
        """The same, window by window and written out."""
        s, shift = self.window, self.shift
        b, _, width3 = qkv.shape
        rolled = qkv.view(b, height, width, width3).roll((-shift, -shift), (1, 2))
        part = torch.arange(height * width, device=qkv.device)
        row, column = part // width, part % width
        part = 2 * (row >= height - shift).long() + (column >= width - shift)
        part = part.view(height, width)
        result = torch.zeros_like(rolled[..., : width3 // 3])
        for top in range(0, height, s):
            for left in range(0, width, s):
                here = (slice(None), slice(top, top + s), slice(left, left + s))
                q, k, v = split_heads(rolled[here].flatten(1, 2), 3, self.heads)
                home = part[here[1:]].flatten()
                logits = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + self.bias()
                logits = logits.masked_fill(home[:, None] != home, float("-inf"))
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
    return _Order(tokens, tokens.argsort(), (plain, beside, below, corner))
