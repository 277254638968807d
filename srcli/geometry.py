"""Sizes, scales and the cutting of images into tiles: integers only.

An image axis is cut into *cores* that partition it. A tile computes its core plus some context
on each inner side, its *crop*; neighbouring tiles are blended across the core boundary. All
lengths are LR px unless a name says otherwise.
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Size", "Tile", "TileGrid", "TileSpan", "scaled_size", "tile_axis"]


class Size(NamedTuple):
    """Width and height of an image, px: in this order, as in messages and file headers.

    Arrays are (height, width, ...); `array_shape` is the step from one to the other.

    >>> str(Size(333, 5).scaled(1.5)), Size(3, 2).array_shape
    ('500x8', (2, 3))
    """

    width: int
    height: int

    @property
    def array_shape(self) -> tuple[int, int]:
        """(height, width), the first two axes of an array of this size."""
        return self.height, self.width

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    def scaled(self, scale: float) -> "Size":
        """The size after scaling; see `scaled_size`."""
        return Size(scaled_size(self.width, scale), scaled_size(self.height, scale))

    def exceeds(self, other: "Size") -> bool:
        """True if it is wider or higher than another size."""
        return self.width > other.width or self.height > other.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class TileSpan:
    """One tile along one axis.

    Args:
        core_start: First px that belongs to this tile.
        core_stop: First px that belongs to the next one.
        crop_start: First px that the network sees.
        crop_stop: First px that it no longer sees.
    """

    core_start: int
    core_stop: int
    crop_start: int
    crop_stop: int


@dataclass(frozen=True)
class Tile:
    """A rectangle the network computes in one go."""

    rows: TileSpan
    columns: TileSpan


@dataclass(frozen=True)
class TileGrid:
    """All tiles of an image, in reading order."""

    rows: tuple[TileSpan, ...]
    columns: tuple[TileSpan, ...]

    @classmethod
    def plan(
        cls, height: int, width: int, tile: int, *, alignment: int, overlap: int
    ) -> "TileGrid":
        """Cut an image of `height` × `width` px; see `tile_axis` for the rest."""
        return cls(
            tile_axis(height, tile, alignment=alignment, overlap=overlap),
            tile_axis(width, tile, alignment=alignment, overlap=overlap),
        )

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)


def tile_axis(length: int, tile: int, *, alignment: int, overlap: int) -> tuple[TileSpan, ...]:
    """Cut an axis into nearly equal cores no longer than `tile`, each with its context.

    Cores and crops start on multiples of `alignment`, so that the windows and regions of a tile
    lie where they lie in the whole image.

    Args:
        length: Px along the axis, ≥ 1.
        tile: Longest core, ≥ `alignment` (rounded down to a multiple of it); 0 for one tile.
        alignment: Grid of the cores, ≥ 1.
        overlap: Context on each inner side, rounded up to a multiple of `alignment`.

    >>> [(s.core_start, s.core_stop) for s in tile_axis(100, 64, alignment=32, overlap=32)]
    [(0, 64), (64, 100)]
    """
    longest = tile // alignment * alignment or length
    count = -(-length // longest)
    step = _round_up(-(-length // count), alignment) if count > 1 else length
    context = _round_up(overlap, alignment)
    edges = [*range(0, length, step), length]
    return tuple(
        TileSpan(start, stop, max(0, start - context), min(length, stop + context))
        for start, stop in pairwise(edges)
    )


def scaled_size(length: int, scale: float) -> int:
    """The length of a side after scaling, in SR px: rounded half up, at least 1.

    >>> scaled_size(5, 1.5), scaled_size(333, 4)
    (8, 1332)
    """
    return max(1, int(length * Fraction(str(scale)) + Fraction(1, 2)))


def _round_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
