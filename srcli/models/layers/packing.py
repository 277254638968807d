"""Which tokens a sparse layer computes, gathered into blocks of equal size.

A token is frozen once its window and its pixel have both halted. What is left comes in two kinds:
whole *live windows*, and *strays*: tokens that are live by pixel in a window that has halted.
Strays are packed, region by region, into blocks as large as a window, so that a layer sees one
array (n, t, c): live windows first, then blocks of strays.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ActiveTokens", "pack"]


@dataclass(frozen=True)
class ActiveTokens:
    """The tokens one layer computes, and where they belong.

    Args:
        windows: (l,) int64, the numbers of the live windows.
        strays: (k,) int64, the stray tokens by their place in the flattened array (n·t).
        slots: (k,) int64, the place of each stray among the flattened stray blocks.
        exchanging: (l + stray blocks, t) bool, the tokens that take part in the global branch.
        region: (l + stray blocks,) int64, the region of each block.
        all_windows: Every window is live: gathering and scattering are free.
    """

    windows: Tensor
    strays: Tensor
    slots: Tensor
    exchanging: Tensor
    region: Tensor
    all_windows: bool

    def gather(self, tokens: Tensor) -> Tensor:
        """Collect the active of all tokens (n, t, c) into blocks (l + stray blocks, t, c)."""
        if self.all_windows:
            return tokens
        live = tokens.index_select(0, self.windows)
        if not len(self.strays):
            return live
        _, t, c = tokens.shape
        room = tokens.new_zeros((len(self.exchanging) - len(live)) * t, c)
        strays = room.index_copy(0, self.slots, tokens.flatten(0, 1)[self.strays])
        return torch.cat([live, strays.view(-1, t, c)])

    def scatter(self, blocks: Tensor, tokens: Tensor) -> Tensor:
        """Return `tokens` (n, t, c) with the active ones replaced by `blocks`."""
        if self.all_windows:
            return blocks
        live = len(self.windows)
        updated = tokens.index_copy(0, self.windows, blocks[:live])
        if not len(self.strays):
            return updated
        strays = blocks[live:].flatten(0, 1)[self.slots]
        return updated.flatten(0, 1).index_copy(0, self.strays, strays).view_as(tokens)

    def touched_windows(self, count: int, per_window: int) -> Tensor:
        """The numbers of the windows, of `count`, with at least one active token."""
        touched = torch.zeros(count, dtype=torch.bool, device=self.windows.device)
        touched[self.windows] = True
        touched[self.strays // per_window] = True
        return touched.nonzero().flatten()


def pack(local_halted: Tensor, global_halted: Tensor, region: Tensor, regions: int) -> ActiveTokens:
    """Choose what a layer computes from its halting masks.

    Args:
        local_halted: (n,) bool, the windows that have halted (AdaFormer, Eq. 19).
        global_halted: (n, t) bool, the tokens that have halted (AdaFormer, Eq. 22).
        region: (n,) int64, the region of each window.
        regions: Number of regions.
    """
    t = global_halted.shape[1]
    windows = (~local_halted).nonzero().flatten()
    strays = (local_halted[:, None] & ~global_halted).flatten().nonzero().flatten()
    home = region[strays // t]
    home, order = torch.sort(home, stable=True)
    strays = strays[order]
    tokens_in = torch.bincount(home, minlength=regions)
    blocks_in = (tokens_in + t - 1) // t
    first_token = tokens_in.cumsum(0) - tokens_in
    first_block = blocks_in.cumsum(0) - blocks_in
    rank = torch.arange(len(strays), device=strays.device) - first_token[home]
    slots = first_block[home] * t + rank
    stray_region = torch.repeat_interleave(torch.arange(regions, device=region.device), blocks_in)
    used = torch.zeros(len(stray_region) * t, dtype=torch.bool, device=strays.device)
    used[slots] = True
    return ActiveTokens(
        windows=windows,
        strays=strays,
        slots=slots,
        exchanging=torch.cat([~global_halted[windows], used.view(-1, t)]),
        region=torch.cat([region[windows], stray_region]),
        all_windows=len(windows) == len(local_halted),
    )
