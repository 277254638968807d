"""Attention within runs of tokens in reading order, a band of queries at a time (ESRT)."""

import torch
from torch import Tensor, nn

from srcli.models.layers.attention import attend, join_heads, split_heads

__all__ = ["RunAttention"]

_MATRIX = 1 << 24  # numbers of an attention matrix that exist at a time, heads included


class RunAttention(nn.Module):
    """Multi-head attention of half the width, within quarters of the tokens (ESRT, Sec. 3.3).

    N tokens are cut into runs of N // 4; what remains is a fifth, short run. A run's matrix has
    (N / 4)² numbers a head, so it is never made whole.

    Args:
        dim: Token width c, even.
        heads: Attention heads, of c / 2.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5  # of the whole width
        self.reduce = nn.Linear(dim, dim // 2, bias=False)
        self.qkv = nn.Linear(dim // 2, 3 * (dim // 2), bias=False)
        self.proj = nn.Linear(dim // 2, dim)

    def forward(self, tokens: Tensor, most: int = _MATRIX) -> Tensor:
        """Attend within the runs of tokens (b, n, c), n at least 4.

        Args:
            tokens: In reading order.
            most: Numbers of an attention matrix that may exist at a time.
        """
        mixed: list[Tensor] = []
        for run in torch.split(self.qkv(self.reduce(tokens)), tokens.shape[1] // 4, 1):
            q, k, v = split_heads(run, 3, self.heads)  # (b, heads, n / 4, d)
            rows = max(1, most // (len(run) * self.heads * run.shape[1]))
            bands = [attend(band, k, v, scale=self.scale) for band in torch.split(q, rows, 2)]
            mixed.append(join_heads(torch.cat(bands, 2)))
        return self.proj(torch.cat(mixed, 1))

    def reference(self, tokens: Tensor) -> Tensor:
        """Attend with each run's matrix made whole; gives what `forward` gives."""
        mixed: list[Tensor] = []
        for run in torch.split(self.qkv(self.reduce(tokens)), tokens.shape[1] // 4, 1):
            q, k, v = split_heads(run, 3, self.heads)
            matrix = (q @ k.transpose(-1, -2) * self.scale).softmax(-1)
            mixed.append(join_heads(matrix @ v))
        return self.proj(torch.cat(mixed, 1))
