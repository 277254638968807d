"""A short way through a stack of residual blocks for windows that are smooth; not in the paper.

Where the LR image hardly varies, an upscaler has nothing to find: all that AdaFormer's encoder, its
attention and its decoder do there is nearly linear. Smooth windows are found before anything is
computed. They sit out the attention from the first layer on, as windows that have halted do, and in
encoder and decoder one convolution does what all of the residual blocks would. The other windows
are computed as ever. What they see of a smooth neighbour on the way is kept up by linear stand-ins,
one for each residual block. (Pure-Pass exempts pixels by their colours, from the category attention
alone; the range of a window's values is simpler, and serves convolutions, too.)

All parameters have a closed form, least squares on what the network gives without them, so that a
trained network gets them without another run of training (`srcli/training/fit_short_ways.py`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.convolutions import ResidualBlock
from srcli.models.layers.indexing import put_rows
from srcli.models.layers.sparse import chunk_of_windows

__all__ = ["ShortWay", "pays_on", "pixels_of", "smooth_windows"]

_REACH = 2  # px that a residual block looks beyond a window

# Above this share of live windows one pass over the whole map beats one over each window and its
# surroundings: 1.30 to 1.36 of the time a window takes in the whole map (two AVX-512 cores).
_DENSE_SHARE = 0.7


def pays_on(device: torch.device) -> bool:
    """True where short ways are taken: on CPUs. On cards nobody has measured them yet."""
    return device.type == "cpu"


class ShortWay(nn.Module):
    """A short way through a stack of residual blocks, and stand-ins for neighbours to see.

    Args:
        channels: Feature channels c.
        blocks: Residual blocks of the stack that it goes with.
        window: Side S of a window, LR px.
    """

    def __init__(self, channels: int, blocks: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.direct = nn.Conv2d(channels, channels, 3, padding=1)
        self.stand_ins = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(blocks - 1))

    def forward(self, stack: nn.Sequential, features: Tensor, short: Tensor) -> Tensor:
        """Run a map through a stack, computing its blocks only where windows are not smooth.

        Args:
            stack: Its residual blocks.
            features: (b, c, h, w).
            short: (b, h / S, w / S) bool, rounded up: the windows that take the short way. Where
                some do and some do not, h and w are multiples of S.

        Returns:
            (b, c, h, w).
        """
        places = _Places.of(short, self.window)
        if not places.live:
            return self.direct(features)
        if not len(places.smooth):
            return _in_full(stack, features)
        compute = self._dense if places.live > _DENSE_SHARE * short.numel() else self._packed
        return compute(stack, features, places)

    def reference(self, stack: nn.Sequential, features: Tensor, short: Tensor) -> Tensor:
        """Compute everything and mask: slow, plain and the same as `forward`."""
        mask = pixels_of(short, self.window)[:, None]
        x = features
        for block, stand_in in self._pairs(stack):
            full = block.forward(x)
            x = full if stand_in is None else torch.where(mask, stand_in(x), full)
        return torch.where(mask, self.direct(features), x)

    def _pairs(self, stack: nn.Sequential) -> Iterator[tuple[ResidualBlock, nn.Conv2d | None]]:
        """The residual blocks, each with its stand-in; none after the last."""
        pairs = zip_longest(stack, self.stand_ins)
        return cast("Iterator[tuple[ResidualBlock, nn.Conv2d | None]]", pairs)

    def _dense(self, stack: nn.Sequential, features: Tensor, places: "_Places") -> Tensor:
        """Run every block over the whole map, and put stand-ins where live windows see them."""
        seen = places.seen(0)
        x = features
        for block, stand_in in self._pairs(stack):
            full = block.forward(x).permute(0, 2, 3, 1).contiguous()
            if stand_in is not None:
                put_rows(_rows(full), seen, _linear(stand_in, x.permute(0, 2, 3, 1), seen))
            x = full.permute(0, 3, 1, 2)
        joined = x.permute(0, 2, 3, 1)
        own = places.pixels(places.smooth, 0, 0).flatten()
        put_rows(_rows(joined), own, self._direct_rows(features, places))
        return x

    def _direct_rows(self, features: Tensor, places: "_Places") -> Tensor:
        """Rows (k, c) of the one convolution in smooth windows."""
        wide = F.pad(features.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        seen = places.pixels(places.smooth, 1, 1).flatten()
        patches = _patches(wide, seen, self.window + 2)
        direct = F.conv2d(patches, self.direct.weight, self.direct.bias)
        return direct.permute(0, 2, 3, 1).reshape(-1, features.shape[1])

    def _packed(self, stack: nn.Sequential, features: Tensor, places: "_Places") -> Tensor:
        """Run every block over live windows and what is around each of them."""
        border = (_REACH,) * 4
        before = F.pad(features.permute(0, 2, 3, 1), (0, 0, *border))  # (b, h + 4, w + 4, c)
        after = torch.zeros_like(before)
        seen = places.seen(_REACH)
        parts = list(places.parts(chunk_of_windows(features.device)))
        for block, stand_in in self._pairs(stack):
            for part in parts:
                put_rows(_rows(after), part.own, part.run(block, before))
            if stand_in is not None:
                put_rows(_rows(after), seen, _linear(stand_in, before, seen))
            before, after = after, before
        own = places.pixels(torch.cat([places.inner, places.outer]), 0, 0).flatten()
        live = [_rows(before).index_select(0, part.own) for part in parts]
        joined = self.direct(features).permute(0, 2, 3, 1).contiguous()
        put_rows(_rows(joined), own, torch.cat(live))
        return joined.permute(0, 3, 1, 2)


def smooth_windows(lr: Tensor, window: int, limit: float) -> Tensor:
    """Windows of an image in and around which no channel varies by more than a limit.

    Args:
        lr: (b, 3, h, w), whose sides are multiples of S.
        window: S, px; 2 px around are looked at, too.
        limit: The largest value less the least, in the image's units.

    Returns:
        (b, h / S, w / S) bool.
    """
    wide = window + 2 * _REACH
    largest = F.max_pool2d(lr, wide, window, _REACH)
    least = -F.max_pool2d(-lr, wide, window, _REACH)
    return (largest - least <= limit).all(1)


def pixels_of(windows: Tensor, window: int) -> Tensor:
    """The px (b, h, w) of a map of windows of S px (b, h / S, w / S)."""
    return windows.repeat_interleave(window, 1).repeat_interleave(window, 2)


def _in_full(stack: Iterable[nn.Module], features: Tensor) -> Tensor:
    """Run a stack past the hooks of its blocks, as every way here does."""
    for block in stack:
        features = cast("Callable[[Tensor], Tensor]", block.forward)(features)
    return features


def _rows(pixels: Tensor) -> Tensor:
    """Features (b, h, w, c) as rows (b · h · w, c)."""
    return pixels.view(-1, pixels.shape[3])


def _patches(pixels: Tensor, places: Tensor, side: int) -> Tensor:
    """Squares (k, c, side, side) of (b, h, w, c), by the places of their px (k · side²,)."""
    rows = _rows(pixels).index_select(0, places)
    return rows.view(-1, side, side, pixels.shape[3]).permute(0, 3, 1, 2)


def _linear(stand_in: nn.Conv2d, pixels: Tensor, places: Tensor) -> Tensor:
    """A stand-in's rows (k, c) for some px of (b, h, w, c)."""
    rows = pixels.reshape(-1, pixels.shape[3]).index_select(0, places)
    return F.linear(rows, stand_in.weight.flatten(1), stand_in.bias)


@dataclass(frozen=True)
class _Places:
    """Windows of a map by the way they take.

    Args:
        smooth: Numbers of those that take the short way, in reading order, (k,) int64.
        inner: Those of live ones whose neighbours are all in the map.
        outer: Those of live ones at the map's border.
        beside: (b, h, w) bool, px of smooth windows that live ones see.
        window: Side S of a window, px.
    """

    smooth: Tensor
    inner: Tensor
    outer: Tensor
    beside: Tensor
    window: int

    @classmethod
    def of(cls, short: Tensor, window: int) -> "_Places":
        """Sort windows by what `short` (b, h / S, w / S) says; waits for the device once."""
        outer = torch.ones_like(short)
        outer[:, 1:-1, 1:-1] = False
        kind = torch.where(short, 0, outer.long() + 1).flatten()
        order = kind.argsort(stable=True)
        counts = cast("list[int]", torch.bincount(kind, minlength=3).tolist())
        smooth, inner, border = cast("tuple[Tensor, ...]", order.split(counts))
        idle = pixels_of(short, window)
        near = F.max_pool2d((~idle).float()[:, None], 2 * _REACH + 1, 1, _REACH)[:, 0] > 0
        return cls(smooth, inner, border, idle & near, window)

    @property
    def live(self) -> int:
        """Number of live windows."""
        return len(self.inner) + len(self.outer)

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the map, px."""
        return self.beside.shape[1], self.beside.shape[2]

    def seen(self, border: int) -> Tensor:
        """Places (k,) of the px of smooth windows that live ones see, in a map with a border."""
        return F.pad(self.beside, (border,) * 4).flatten().nonzero()[:, 0]

    def pixels(self, windows: Tensor, around: int, border: int) -> Tensor:
        """Places of windows' px in a map with a border, in reading order.

        Args:
            windows: (k,) of their numbers.
            around: Px around them that are wanted, too.
            border: Px around the map.

        Returns:
            (k, (S + 2 · around)²) int64.
        """
        height, width = (side + 2 * border for side in self.size)
        image, row, column = self._position(windows)
        first = (image * height + row + border - around) * width + column + border - around
        step = torch.arange(self.window + 2 * around, device=windows.device)
        return first[:, None] + (step[:, None] * width + step).flatten()

    def parts(self, chunk: int) -> "Iterator[_Part]":
        """Live windows, some at a time: inner ones, then outer ones."""
        for windows, at_border in ((self.inner, False), (self.outer, True)):
            some_at_a_time = cast("tuple[Tensor, ...]", windows.split(chunk))
            for some in some_at_a_time if len(windows) else ():
                yield _Part(
                    self.pixels(some, _REACH, _REACH).flatten(),
                    self.pixels(some, 0, _REACH).flatten(),
                    self._inside(some) if at_border else None,
                    self.window + 2 * _REACH,
                )

    def _position(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The image of each window, and its first row and column, px."""
        rows, columns = (side // self.window for side in self.size)
        rest = windows // columns
        return rest // rows, rest % rows * self.window, windows % columns * self.window

    def _inside(self, windows: Tensor) -> Tensor:
        """(k, 1, S + 2, S + 2) bool: the px of windows, and around them, that the map has."""
        _, row, column = self._position(windows)
        step = torch.arange(-1, self.window + 1, device=windows.device)
        y, x = row[:, None] + step, column[:, None] + step  # (k, S + 2)
        inside_y, inside_x = (y >= 0) & (y < self.size[0]), (x >= 0) & (x < self.size[1])
        return (inside_y[:, :, None] & inside_x[:, None])[:, None]


@dataclass(frozen=True)
class _Part:
    """Some live windows.

    Args:
        seen: Places of their px and of the 2 px around them, in a map with a border of 2 px.
        own: Places of their px there.
        inside: See `_Places._inside`; None: all of them are.
        side: Px of a window with its surroundings.
    """

    seen: Tensor
    own: Tensor
    inside: Tensor | None
    side: int

    def run(self, block: ResidualBlock, pixels: Tensor) -> Tensor:
        """A residual block's rows for the windows, of (b, h + 4, w + 4, c)."""
        patches = _patches(pixels, self.seen, self.side)
        hidden = torch.relu_(F.conv2d(patches, block.conv1.weight, block.conv1.bias))
        if self.inside is not None:  # beyond the map the second convolution sees zeros
            hidden = hidden * self.inside
        inner = patches[:, :, _REACH:-_REACH, _REACH:-_REACH]
        change = F.conv2d(hidden, block.conv2.weight, block.conv2.bias)
        return (change + inner).permute(0, 2, 3, 1).reshape(-1, pixels.shape[3])
