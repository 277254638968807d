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
from itertools import zip_longest
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.convolutions import REACH, ResidualBlock
from srcli.models.layers.indexing import put_rows
from srcli.models.layers.sparse import chunk_of_windows
from srcli.models.layers.window_places import (
    WindowPlaces,
    patches_at,
    pixel_rows,
    pixels_of,
)

__all__ = ["ShortWay", "pays_on", "smooth_windows"]


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
        places = WindowPlaces.of(short, self.window)
        if not places.live:
            return self.direct(features)
        if not len(places.smooth):
            return _in_full(stack, features)
        compute = self._packed if places.pays else self._dense
        joined = compute(stack, features, places)
        self._put_direct(features, joined, places)
        return joined.permute(0, 3, 1, 2)

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

    def _dense(self, stack: nn.Sequential, features: Tensor, places: WindowPlaces) -> Tensor:
        """Run every block over the whole map, and put stand-ins where live windows see them.

        Returns:
            (b, h, w, c), what it should be in live windows.
        """
        seen = places.seen(0)
        x = features
        for block, stand_in in self._pairs(stack):
            full = block.forward(x).permute(0, 2, 3, 1).contiguous()
            if stand_in is not None:
                put_rows(pixel_rows(full), seen, _linear(stand_in, x.permute(0, 2, 3, 1), seen))
            x = full.permute(0, 3, 1, 2)
        return x.permute(0, 2, 3, 1)

    def _packed(self, stack: nn.Sequential, features: Tensor, places: WindowPlaces) -> Tensor:
        """Run every block over squares of live windows and what is around each; as `_dense`."""
        before = F.pad(features.permute(0, 2, 3, 1), (0, 0, *(REACH,) * 4))  # (b, h + 4, w + 4, c)
        after = torch.zeros_like(before)
        seen = places.seen(REACH)
        parts = list(places.parts(chunk_of_windows(features.device)))
        for block, stand_in in self._pairs(stack):
            for part in parts:
                put_rows(pixel_rows(after), part.own, part.run(block, before))
            if stand_in is not None:
                put_rows(pixel_rows(after), seen, _linear(stand_in, before, seen))
            before, after = after, before
        return before[:, REACH:-REACH, REACH:-REACH].contiguous()

    def _put_direct(self, features: Tensor, joined: Tensor, places: WindowPlaces) -> None:
        """Write what the one convolution gives in smooth windows into (b, h, w, c)."""
        wide = F.pad(features.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        chunk = chunk_of_windows(features.device)
        for some in cast("tuple[Tensor, ...]", places.smooth.split(chunk)):
            patches = patches_at(wide, places.pixels(some, 1, 1), self.window + 2)
            direct = F.conv2d(patches, self.direct.weight, self.direct.bias)
            rows = direct.permute(0, 2, 3, 1).reshape(-1, joined.shape[3])
            put_rows(pixel_rows(joined), places.pixels(some, 0, 0), rows)


def smooth_windows(lr: Tensor, window: int, limit: float) -> Tensor:
    """Windows of an image in and around which no channel varies by more than a limit.

    Args:
        lr: (b, 3, h, w), whose sides are multiples of S.
        window: S, px; 2 px around are looked at, too.
        limit: The largest value less the least, in the image's units.

    Returns:
        (b, h / S, w / S) bool.
    """
    wide = window + 2 * REACH
    largest = F.max_pool2d(lr, wide, window, REACH)
    least = -F.max_pool2d(-lr, wide, window, REACH)
    return (largest - least <= limit).all(1)


def _in_full(stack: Iterable[nn.Module], features: Tensor) -> Tensor:
    """Run a stack past the hooks of its blocks, as every way here does."""
    for block in stack:
        features = cast("Callable[[Tensor], Tensor]", block.forward)(features)
    return features


def _linear(stand_in: nn.Conv2d, pixels: Tensor, places: Tensor) -> Tensor:
    """A stand-in's rows (k, c) for some px of (b, h, w, c)."""
    rows = pixels.reshape(-1, pixels.shape[3]).index_select(0, places)
    return F.linear(rows, stand_in.weight.flatten(1), stand_in.bias)
