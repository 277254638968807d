"""Places of a map's windows that are computed, alone or in blocks, and of those that are not.

A convolution that computes some windows only has to look beyond each of them, and computes part of
what it looks at for every window anew. So blocks of windows most of which are live are computed
whole, and only the live windows outside of them one by one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.convolutions import REACH, ResidualBlock

__all__ = ["WindowPlaces", "patches_at", "pixel_rows", "pixels_of"]

_BLOCK = 4  # windows to a block's side
_MOSTLY = 13  # live windows of a block, at least, for which it is computed whole

# Time of a window computed alone, and of one in a whole block, to its time in the whole map.
_ALONE = 1.3
_IN_BLOCK = 1.05


def pixels_of(windows: Tensor, window: int) -> Tensor:
    """The px (b, h, w) of a map of windows of S px (b, h / S, w / S)."""
    return windows.repeat_interleave(window, 1).repeat_interleave(window, 2)


def pixel_rows(pixels: Tensor) -> Tensor:
    """Features (b, h, w, c) as rows (b · h · w, c)."""
    return pixels.view(-1, pixels.shape[3])


def patches_at(pixels: Tensor, places: Tensor, side: int) -> Tensor:
    """Squares (k, c, side, side) of (b, h, w, c), by the places of their px (k · side²,)."""
    rows = pixel_rows(pixels).index_select(0, places)
    return rows.view(-1, side, side, pixels.shape[3]).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Squares:
    """Windows, or square blocks of them, that are computed with what is around each.

    Args:
        first: Numbers of their upper left windows, (k,) int64.
        windows: To a side.
        at_border: They may lie at the map's border.
    """

    first: Tensor
    windows: int
    at_border: bool


@dataclass(frozen=True)
class WindowPlaces:
    """Windows of a map by the way they take.

    Args:
        smooth: Numbers of those that take the short way, in reading order, (k,) int64.
        live: How many others there are.
        squares: All live windows, and those between them that are computed in vain.
        beside: (b, h, w) bool, px of smooth windows that live ones see.
        window: Side S of a window, px.
    """

    smooth: Tensor
    live: int
    squares: tuple[Squares, ...]
    beside: Tensor
    window: int

    @classmethod
    def of(cls, short: Tensor, window: int) -> "WindowPlaces":
        """Sort windows by what `short` (b, h / S, w / S) says; waits for the device once."""
        batch, rows, columns = short.shape
        down, across = rows // _BLOCK, columns // _BLOCK
        inside = short[:, : down * _BLOCK, : across * _BLOCK]
        live = (~inside).view(batch, down, _BLOCK, across, _BLOCK).sum((2, 4))
        whole = live >= _MOSTLY
        in_block = torch.zeros_like(short)
        in_block[:, : down * _BLOCK, : across * _BLOCK] = pixels_of(whole, _BLOCK)
        of_window = torch.where(in_block, 1, 2 + _border(short).long()).where(~short, 0)
        of_block = torch.where(whole, 5 + _border(whole).long(), 4)
        kind = torch.cat([of_window.flatten(), of_block.flatten()])
        order = kind.argsort(stable=True)
        counts = cast("list[int]", torch.bincount(kind, minlength=7).tolist())
        smooth, _, inner, outer, _, *blocks = cast("list[Tensor]", order.split(counts))
        squares = [Squares(inner, 1, at_border=False), Squares(outer, 1, at_border=True)]
        for found, at_border in zip(blocks, (False, True), strict=True):
            number = found - short.numel()
            row, column = number // max(across, 1), number % max(across, 1)
            image, row = row // max(down, 1), row % max(down, 1)
            first = (image * rows + row * _BLOCK) * columns + column * _BLOCK
            squares.append(Squares(first, _BLOCK, at_border=at_border))
        idle = pixels_of(short, window)
        near = F.max_pool2d((~idle).float()[:, None], 2 * REACH + 1, 1, REACH)[:, 0] > 0
        return cls(smooth, short.numel() - len(smooth), tuple(squares), idle & near, window)

    @property
    def pays(self) -> bool:
        """True where squares take less time than the whole map would."""
        alone, blocks = (
            sum(len(some.first) * some.windows**2 for some in self.squares if some.windows == side)
            for side in (1, _BLOCK)
        )
        return alone * _ALONE + blocks * _IN_BLOCK < len(self.smooth) + self.live

    def seen(self, border: int) -> Tensor:
        """Places (k,) of the px of smooth windows that live ones see, in a map with a border."""
        return F.pad(self.beside, (border,) * 4).flatten().nonzero()[:, 0]

    def pixels(self, first: Tensor, around: int, border: int, windows: int = 1) -> Tensor:
        """Places of squares' px in a map with a border, in reading order.

        Args:
            first: (k,), numbers of their upper left windows.
            around: Px around them that are wanted, too.
            border: Px around the map.
            windows: To a square's side.

        Returns:
            (k · (windows · S + 2 · around)²,) int64.
        """
        height, width = (side + 2 * border for side in self._size)
        image, row, column = self._position(first)
        start = (image * height + row + border - around) * width + column + border - around
        step = torch.arange(self.window * windows + 2 * around, device=first.device)
        return (start[:, None] + (step[:, None] * width + step).flatten()).flatten()

    def parts(self, chunk: int) -> "Iterator[Part]":
        """The squares, about `chunk` windows at a time."""
        for squares in self.squares:
            limit = max(chunk // squares.windows**2, 1)
            some_at_a_time = cast("tuple[Tensor, ...]", squares.first.split(limit))
            for some in some_at_a_time if len(squares.first) else ():
                side = squares.windows
                yield Part(
                    self.pixels(some, REACH, REACH, side),
                    self.pixels(some, 0, REACH, side),
                    self._inside(some, side) if squares.at_border else None,
                    self.window * side + 2 * REACH,
                )

    @property
    def _size(self) -> tuple[int, int]:
        """(h, w) of the map, px."""
        return self.beside.shape[1], self.beside.shape[2]

    def _position(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The image of each window, and its first row and column, px."""
        rows, columns = (side // self.window for side in self._size)
        rest = windows // columns
        return rest // rows, rest % rows * self.window, windows % columns * self.window

    def _inside(self, first: Tensor, windows: int) -> Tensor:
        """The px of squares, and 1 px around them, that the map has: (k, 1, side, side) bool."""
        height, width = self._size
        _, row, column = self._position(first)
        step = torch.arange(-1, self.window * windows + 1, device=first.device)
        y, x = row[:, None] + step, column[:, None] + step  # (k, side)
        inside_y, inside_x = (y >= 0) & (y < height), (x >= 0) & (x < width)
        return (inside_y[:, :, None] & inside_x[:, None])[:, None]


@dataclass(frozen=True)
class Part:
    """Some squares of one size.

    Args:
        seen: Places of their px and of the 2 px around them, in a map with a border of 2 px.
        own: Places of their px there.
        inside: Px of them and 1 px around that the map has, (k, 1, side - 2, side - 2) bool; None:
            all of them.
        side: Px of a square with its surroundings.
    """

    seen: Tensor
    own: Tensor
    inside: Tensor | None
    side: int

    def run(self, block: ResidualBlock, pixels: Tensor) -> Tensor:
        """A residual block's rows for the squares' px, of (b, h + 4, w + 4, c)."""
        patches = patches_at(pixels, self.seen, self.side)
        computed = block.on_patches(patches, self.inside)
        return computed.permute(0, 2, 3, 1).reshape(-1, pixels.shape[3])


def _border(cells: Tensor) -> Tensor:
    """Cells of (b, rows, columns) at the border, bool."""
    outer = torch.ones_like(cells, dtype=torch.bool)
    outer[:, 1:-1, 1:-1] = False
    return outer
