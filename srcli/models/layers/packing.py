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
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.indexing import put_rows
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
        strays = tokens.flatten(0, 1).index_select(0, self.strays)
        put_rows(stray_tokens, self.slots, strays)
        return torch.cat([live, stray_tokens.view(-1, t, c)])

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
    n, t = global_halted.shape
    order, home = regions.order, regions.home
    halted = torch.cat([local_halted[:, None], global_halted], 1).index_select(0, order)
    live, global_active = (~halted).tensor_split([1], 1)  # (n, 1), (n, t)
    stray = global_active > live
    stray_rank = stray.flatten().cumsum(0)
    touched = live[:, 0] | stray.any(1)
    rank = torch.stack([live[:, 0], touched]).cumsum(1)
    upto = F.pad(torch.cat([rank, stray_rank[None, t - 1 :: t]]), (1, 0))  # (3, n + 1)
    begun, ended = upto.index_select(1, regions.bounds.view(-1)).chunk(2, 1)
    here = ended - begun  # live, touched and strays, by region
    blocks_in = (here[2] + (t - 1)) // t
    counted = torch.stack([blocks_in, here[1] > 0]).cumsum(1)  # blocks, regions with work left
    live_count, touched_count, stray_count, block_count, regions_left = cast(
        "list[int]", torch.cat([upto[:, -1], counted[:, -1]]).tolist()
    )
    stray_blocks = block_count
    if bucketed:
        stray_blocks = _bucket(live_count + block_count) - live_count
    numbers = torch.arange(max(n, stray_count, stray_blocks), device=home.device)
    # The place of the k-th that is chosen: `nonzero` without waiting for the device.
    chosen = torch.searchsorted(rank[0], numbers[:live_count], right=True)
    places = torch.searchsorted(stray_rank, numbers[:stray_count], right=True)
    touched_places = torch.searchsorted(rank[1], numbers[:touched_count], right=True)
    window = places // t
    first_slot = (counted[0] - blocks_in) * t - begun[2]
    slots = numbers[:stray_count] + first_slot.index_select(0, home.index_select(0, window))
    stray_home = torch.searchsorted(counted[0], numbers[:stray_blocks], right=True)
    number = counted[1] - 1  # of a region, among those with work left
    used = torch.zeros(stray_blocks * t, dtype=torch.bool, device=home.device)
    used.index_fill_(0, slots, True)
    of_blocks = torch.cat([home.index_select(0, chosen), stray_home.clamp_max(regions.count - 1)])
    return ActiveTokens(
        windows=order.index_select(0, chosen),
        strays=torch.add(places, order.index_select(0, window) - window, alpha=t),
        slots=slots,
        global_active=torch.cat([global_active.index_select(0, chosen), used.view(-1, t)]),
        region=number.index_select(0, of_blocks),
        regions=regions_left,
        touched=order.index_select(0, touched_places),
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
