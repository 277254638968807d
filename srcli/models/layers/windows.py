"""Windows: the attention blocks a feature map is cut into, and the order they are kept in.

A map (b, c, h, w) whose sides are multiples of S becomes windows (n, S·S, c) with
n = b · h/S · w/S, images first, then rows of windows, then columns; inside a window the
tokens are in reading order.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

__all__ = [
    "Regions",
    "WholeRegions",
    "WindowGrid",
    "as_map",
    "as_tokens",
    "extend_by_mirroring",
    "extend_by_reflection",
    "mirror_to",
    "reflect_to",
]


@dataclass(frozen=True)
class WholeRegions:
    """Places of windows region by region, where every region has as many.

    Regions that the image's right and lower edge cut are filled up with windows from elsewhere.

    Args:
        windows: (count · size,) int64, the window at each place.
        places: (n,) int64, the place of each window.
        filler: (count · size,) bool, True = the place is only filled up; None: no place is.
        size: Windows of a region.
    """

    windows: Tensor
    places: Tensor
    filler: Tensor | None
    size: int


@dataclass(frozen=True)
class Regions:
    """Grouping of windows for the global branch.

    Args:
        order: (n,) int64, the windows region by region, each region's in reading order.
        bounds: (2, count) int64, how many windows `order` has up to the start of each region, and
            up to its end.
        home: (n,) int64, the region of each window in that order.
        count: Number of regions.
        whole: Where windows stand if every region has as many; None: it is not known.
    """

    order: Tensor
    bounds: Tensor
    home: Tensor
    count: int
    whole: WholeRegions | None = None

    @classmethod
    def of(cls, of_window: Tensor, count: int) -> "Regions":
        """The grouping that tells each window (n,) its region, one of `count`."""
        order = of_window.argsort(stable=True)
        home = of_window[order]
        ends = torch.bincount(home, minlength=count).cumsum(0)
        bounds = torch.stack([F.pad(ends, (1, 0))[:-1], ends])
        return cls(order, bounds, home, count)

    @property
    def of_window(self) -> Tensor:
        """The region of each window, (n,) int64."""
        return torch.empty_like(self.home).scatter_(0, self.order, self.home)


@dataclass(frozen=True)
class WindowGrid:
    """Grid by which a batch of maps is cut into windows.

    Args:
        batch: Number of maps.
        rows: Windows from top to bottom.
        columns: Windows from left to right.
        window: Side of a window, LR px.
    """

    batch: int
    rows: int
    columns: int
    window: int

    @classmethod
    def of(cls, features: Tensor, window: int) -> "WindowGrid":
        """The grid of `features` (b, c, h, w), whose sides are multiples of `window`."""
        b, _, h, w = features.shape
        return cls(b, h // window, w // window, window)

    @property
    def count(self) -> int:
        """Windows in the whole batch."""
        return self.batch * self.rows * self.columns

    def split(self, features: Tensor) -> Tensor:
        """Bring a map (b, c, h, w) into window order (n, S·S, c)."""
        s, c = self.window, features.shape[1]
        x = features.view(self.batch, c, self.rows, s, self.columns, s)
        return x.permute(0, 2, 4, 3, 5, 1).reshape(self.count, s * s, c)

    def merge(self, windows: Tensor) -> Tensor:
        """Bring windows (n, S·S, c) back to a map (b, c, h, w), channels last in memory."""
        s, c = self.window, windows.shape[2]
        x = windows.view(self.batch, self.rows, self.columns, s, s, c)
        x = x.permute(0, 1, 3, 2, 4, 5).reshape(self.batch, self.rows * s, self.columns * s, c)
        return x.permute(0, 3, 1, 2)

    def regions(self, side: int, device: torch.device) -> Regions:
        """Group windows for the global branch: aligned blocks of `side` × `side` windows.

        Args:
            side: Windows to a region's side; 0 makes each image one region.
            device: Where the result shall lie.
        """
        return _regions(self, side, device)

    def surroundings(self, reach: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Places of windows' tokens and those around them, by row and by column.

        Args:
            reach: Px around a window.
            device: Where the result shall lie.

        Returns:
            (n, 2, S + 2 · reach) int64, what a row and a column add to the place of a token in the
            flattened array (n · S·S); the nearest one's outside the image. And the same shape,
            bool: True inside it.
        """
        return _surroundings(self, reach, device)


def _sent(made: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on a device, sent without waiting for it where that can be done."""
    if device.type == "cuda":
        return made.pin_memory().to(device, non_blocking=True)
    return made.to(device)


@lru_cache(maxsize=32)
@torch.inference_mode(mode=False)  # it is kept, and autograd may want it later
def _regions(grid: WindowGrid, side: int, device: torch.device) -> Regions:
    """See `WindowGrid.regions`: made on the host, and sent to the device in one piece."""
    down = -(-grid.rows // side) if side else 1
    across = -(-grid.columns // side) if side else 1
    row = torch.arange(grid.rows) // (side or grid.rows)
    column = torch.arange(grid.columns) // (side or grid.columns)
    image = torch.arange(grid.batch)
    number = (image[:, None, None] * down + row[:, None]) * across + column
    here = Regions.of(number.reshape(-1), grid.batch * down * across)
    parts = [here.order, here.bounds.flatten(), here.home]
    if side:
        parts += _whole(grid, side, (down, across))
    lengths = [len(part) for part in parts]
    sent = cast("tuple[Tensor, ...]", _sent(torch.cat(parts), device).split(lengths))
    whole = None
    if side:
        places = grid.batch * down * across * side * side
        filler = None if places == grid.count else sent[5] > 0
        whole = WholeRegions(sent[3], sent[4], filler, side * side)
    return Regions(sent[0], sent[1].view(2, -1), sent[2], here.count, whole)


@lru_cache(maxsize=8)
@torch.inference_mode(mode=False)
def _surroundings(grid: WindowGrid, reach: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """See `WindowGrid.surroundings`."""
    s = grid.window
    around = torch.arange(-reach, s + reach)
    y = torch.arange(grid.rows)[:, None] * s + around  # (rows, S + 2 · reach)
    x = torch.arange(grid.columns)[:, None] * s + around
    within_y, within_x = (y >= 0) & (y < grid.rows * s), (x >= 0) & (x < grid.columns * s)
    y, x = y.clamp(0, grid.rows * s - 1), x.clamp(0, grid.columns * s - 1)
    image = torch.arange(grid.batch)[:, None, None] * (grid.rows * grid.columns * s * s)
    y = image + y // s * (grid.columns * s * s) + y % s * s  # (batch, rows, S + 2 · reach)
    x = x // s * (s * s) + x % s
    shape = (grid.batch, grid.rows, grid.columns, len(around))
    parts = [
        torch.stack([rows.expand(shape), columns.expand(shape)], 3).view(grid.count, 2, -1)
        for rows, columns in (
            (y[:, :, None], x),
            (within_y[:, None].expand(-1, grid.columns, -1), within_x),
        )
    ]
    return _sent(parts[0], device), _sent(parts[1], device)


def _whole(grid: WindowGrid, side: int, regions: tuple[int, int]) -> list[Tensor]:
    """The fields of `WholeRegions`, int64 on the host.

    Args:
        grid: The windows.
        side: Windows to a region's side.
        regions: Of an image, from top to bottom and from left to right.
    """
    down, across = regions
    row = torch.arange(down * side).view(down, 1, side, 1)
    column = torch.arange(across * side).view(1, across, 1, side)
    image = torch.arange(grid.batch).view(-1, 1, 1, 1, 1)
    filler = ((row >= grid.rows) | (column >= grid.columns)).expand(grid.batch, -1, -1, -1, -1)
    inside = row.clamp_max(grid.rows - 1), column.clamp_max(grid.columns - 1)
    windows = ((image * grid.rows + inside[0]) * grid.columns + inside[1]).flatten()
    real = (~filler.flatten()).nonzero().flatten()
    places = torch.empty(grid.count, dtype=torch.int64).scatter_(0, windows[real], real)
    return [windows, places, filler.flatten().long()]


def extend_by_reflection(image: Tensor, multiple: int) -> Tensor:
    """Extend (b, c, h, w) right and down, mirrored, to multiples of `multiple`.

    The edge itself is not repeated. Works for any h, w ≥ 1: where the image is narrower than
    the extension the mirror swings back and forth (a single pixel is simply repeated).
    """
    for dim in (2, 3):
        image = reflect_to(image, dim, -(-image.shape[dim] // multiple) * multiple)
    return image


def reflect_to(image: Tensor, dim: int, size: int) -> Tensor:
    """Extend a side of (b, c, h, w) to `size` px at its end, mirrored without its edge."""
    own = image.shape[dim]
    if size <= own:
        return image
    if (more := size - own) < own:
        return torch.cat([image, image.narrow(dim, own - 1 - more, more).flip(dim)], dim)
    period = max(2 * (own - 1), 1)
    swing = torch.arange(size, device=image.device) % period
    return image.index_select(dim, torch.minimum(swing, period - swing))


def extend_by_mirroring(image: Tensor, multiple: int) -> Tensor:
    """Extend (b, c, h, w) right and down, mirrored with the edge repeated, as `multiple` asks."""
    for dim in (2, 3):
        image = mirror_to(image, dim, -(-image.shape[dim] // multiple) * multiple)
    return image


def mirror_to(image: Tensor, dim: int, size: int) -> Tensor:
    """Extend a side of (b, c, h, w) to `size` px at its end, mirrored with its edge repeated."""
    own = image.shape[dim]
    if size <= own:
        return image
    swing = torch.arange(size, device=image.device) % (2 * own)
    return image.index_select(dim, torch.minimum(swing, 2 * own - 1 - swing))


def as_tokens(features: Tensor) -> Tensor:
    """(b, c, h, w) to (b, h·w, c), a view if channels are last in memory."""
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def as_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """(b, h·w, c) to (b, c, h, w), channels last in memory."""
    return tokens.reshape(len(tokens), height, width, -1).permute(0, 3, 1, 2)
