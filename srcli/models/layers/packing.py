"""Gather the tokens that a sparse layer computes into blocks of equal size.

A token is *idle* once its window and its pixel have both halted: no attention computes it. What is
left comes in two kinds: whole *live windows*, and *strays*: tokens that are live by pixel in a
window that has halted.
Strays are packed, region by region, into blocks as large as a window, so that a layer sees one
array (n, t, c): live windows first, then blocks of strays. Both are in the order of their regions,
so that a layer can also be computed a few regions at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from srcli.models.layers.indexing import put_rows, with_rows
from srcli.models.layers.windows import Regions

__all__ = ["ActiveTokens", "all_active", "idle_tokens", "pack"]


@dataclass(frozen=True)
class ActiveTokens:
    """The tokens one layer computes, and where they belong.

    Args:
        windows: (l,) int64, the numbers of the live windows, region by region.
        strays: (k,) int64, the stray tokens by their place in the flattened array (n·t).
        slots: (k,) int64, the place of each stray among the flattened stray blocks.
        global_active: (l + stray blocks, t) bool, the tokens that take part in the global branch;
            None: all of them.
        region: (l + stray blocks,) int64, the region of each block; regions in which everything
            has halted are not counted.
        regions: Number of regions.
        touched: (k,) int64, the numbers of the windows that hold any of these tokens.
    """

    windows: Tensor
    strays: Tensor
    slots: Tensor
    global_active: Tensor | None
    region: Tensor
    regions: int
    touched: Tensor

    def gather(self, tokens: Tensor) -> Tensor:
        """Collect the active of all tokens (n, t, c) into blocks (l + stray blocks, t, c)."""
        live = tokens.index_select(0, self.windows)
        stray_blocks = len(self.region) - len(live)
        if not stray_blocks:
            return live
        _, t, c = tokens.shape
        stray_tokens = tokens.new_zeros(stray_blocks * t, c)
        strays = with_rows(
            stray_tokens, self.slots, tokens.flatten(0, 1).index_select(0, self.strays)
        )
        return torch.cat([live, strays.view(-1, t, c)])

    def scatter(self, blocks: Tensor, tokens: Tensor) -> None:
        """Replace the active of all tokens (n, t, c), in place, by `blocks`."""
        live = len(self.windows)
        put_rows(tokens, self.windows, blocks[:live])
        if len(self.strays):
            strays = blocks[live:].flatten(0, 1).index_select(0, self.slots)
            put_rows(tokens.view(-1, tokens.shape[2]), self.strays, strays)

    def chunks(self, limit: int) -> Iterator["ActiveTokens"]:
        """Split the work between regions into chunks of about `limit` blocks, at least a region."""
        if len(self.region) <= limit:
            if len(self.region):
                yield self
            return
        start = before = _Cut(0, 0, 0, 0)
        for cut in self._cuts():
            if before.size > start.size and cut.size - start.size > limit:
                yield self._between(start, before)
                start = before
            before = cut
        if before.size > start.size:
            yield self._between(start, before)

    def _cuts(self) -> Iterator["_Cut"]:
        """Places where the work can be split: after every region."""
        windows, blocks = self.region.tensor_split([len(self.windows)])
        strays = blocks[self.slots // self._tokens_a_block]
        counts: list[list[int]] = [
            torch.bincount(part, minlength=self.regions).cumsum(0).tolist()
            for part in (windows, blocks, strays)
        ]
        for region, before in enumerate(zip(*counts, strict=True), start=1):
            yield _Cut(region, *before)

    def _between(self, start: "_Cut", stop: "_Cut") -> "ActiveTokens":
        """Tokens between two cuts, with regions and slots counted from the first."""
        windows, strays = slice(start.windows, stop.windows), slice(start.strays, stop.strays)
        live = len(self.windows)
        blocks = slice(live + start.blocks, live + stop.blocks)

        def select_blocks(of_blocks: Tensor) -> Tensor:
            return torch.cat([of_blocks[windows], of_blocks[blocks]])

        return ActiveTokens(
            windows=self.windows[windows],
            strays=self.strays[strays],
            slots=self.slots[strays] - start.blocks * self._tokens_a_block,
            global_active=None if self.global_active is None else select_blocks(self.global_active),
            region=select_blocks(self.region) - start.region,
            regions=stop.region - start.region,
            touched=self.touched,
        )

    @property
    def _tokens_a_block(self) -> int:
        """The t of a block; without strays nobody needs it."""
        return 1 if self.global_active is None else self.global_active.shape[1]


@dataclass(frozen=True)
class _Cut:
    """A place between two regions: how many of each kind lie before it.

    Args:
        region: Regions.
        windows: Live windows.
        blocks: Blocks of strays.
        strays: Stray tokens.
    """

    region: int
    windows: int
    blocks: int
    strays: int

    @property
    def size(self) -> int:
        """The blocks before it, of both kinds."""
        return self.windows + self.blocks


def all_active(regions: Regions) -> ActiveTokens:
    """All windows, with all their tokens."""
    none = regions.order[:0]
    return ActiveTokens(
        windows=regions.order,
        strays=none,
        slots=none,
        global_active=None,
        region=regions.home,
        regions=regions.count,
        touched=regions.order,
    )


def pack(
    local_halted: Tensor, global_halted: Tensor, regions: Regions, *, bucketed: bool = False
) -> ActiveTokens:
    """Choose what a layer computes from its halting masks, waiting for the device only once.

    Args:
        local_halted: (n,) bool, the windows that have halted (AdaFormer, Eq. 19).
        global_halted: (n, t) bool, the tokens that have halted (AdaFormer, Eq. 22).
        regions: How the windows are grouped for the global branch.
        bucketed: Round the number of blocks up, by at most an eighth, with empty ones: a device
            then sees few different shapes, and its kernels and buffers are used again.
    """
    t = global_halted.shape[1]
    order, home = regions.order, regions.home
    live = ~local_halted[order]
    global_active = ~global_halted[order]
    stray = ~live[:, None] & global_active
    strays_in = regions.total(stray.sum(1))
    blocks_in = (strays_in + t - 1) // t
    touched = live | stray.any(1)
    busy = regions.total(touched) > 0
    sizes = torch.stack([live.sum(), strays_in.sum(), blocks_in.sum(), touched.sum(), busy.sum()])
    live_count, stray_count, block_count, touched_count, regions_left = cast(
        "list[int]", sizes.tolist()
    )
    chosen = _places(live, live_count)
    places = _places(stray.flatten(), stray_count)
    place_home = home[places // t]
    first_token = strays_in.cumsum(0) - strays_in
    first_block = blocks_in.cumsum(0) - blocks_in
    rank = torch.arange(stray_count, device=home.device)
    slots = rank + first_block[place_home] * t - first_token[place_home]
    if bucketed:
        block_count = _bucket(live_count + block_count) - live_count
    stray_home = torch.searchsorted(
        blocks_in.cumsum(0), torch.arange(block_count, device=home.device), right=True
    ).clamp_max(regions.count - 1)
    number = (busy.cumsum(0) - 1).clamp_min(0)  # of a region, among those with work left
    used = torch.zeros(block_count * t, dtype=torch.bool, device=home.device)
    used[slots] = True
    return ActiveTokens(
        windows=order[chosen],
        strays=order[places // t] * t + places % t,
        slots=slots,
        global_active=torch.cat([global_active[chosen], used.view(-1, t)]),
        region=number[torch.cat([home[chosen], stray_home])],
        regions=regions_left,
        touched=order[_places(touched, touched_count)],
    )


def idle_tokens(active: ActiveTokens, local_halted: Tensor, global_halted: Tensor) -> Tensor:
    """The tokens that `active` leaves out: halted in both branches.

    Args:
        active: What `pack` chose by the same masks.
        local_halted: (n,) bool.
        global_halted: (n, t) bool.

    Returns:
        (k,) int64, by their place in the flattened array (n·t).
    """
    t = global_halted.shape[1]
    count = (len(local_halted) - len(active.windows)) * t - len(active.strays)
    if not count:
        return active.windows[:0]
    return _places((local_halted[:, None] & global_halted).flatten(), count)


def _places(mask: Tensor, count: int) -> Tensor:
    """Where a flat mask is True, (count,), in order: `nonzero` without waiting for the device."""
    rank = torch.where(mask, mask.cumsum(0) - 1, count)
    places = torch.empty(count + 1, dtype=torch.int64, device=mask.device)
    return places.scatter_(0, rank, torch.arange(len(mask), device=mask.device))[:count]


def _bucket(count: int) -> int:
    """Round up to the next of eight steps to a doubling."""
    step = 1 << max(count.bit_length() - 4, 0)
    return -(-count // step) * step
