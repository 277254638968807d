"""Windows: the attention blocks a feature map is cut into, and the order they are kept in.

A map (b, c, h, w) whose sides are multiples of S becomes windows (n, S·S, c) with
n = b · h/S · w/S, images first, then rows of windows, then columns; inside a window the
tokens are in reading order.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

__all__ = [
    "Regions",
    "WindowGrid",
    "as_map",
    "as_tokens",
    "extend_by_mirroring",
    "extend_by_reflection",
    "mirror_to",
    "reflect_to",
]


@dataclass(frozen=True)
class Regions:
    """Grouping of windows for the global branch.

    Args:
        of_window: (n,) int64, the region of each window.
        order: (n,) int64, the windows region by region, each region's in reading order.
        ends: (count,) int64, how many windows `order` has up to the end of each region.
        count: Number of regions.
    """

    of_window: Tensor
    order: Tensor
    ends: Tensor
    count: int

    @classmethod
    def of(cls, of_window: Tensor, count: int) -> "Regions":
        """The grouping that tells each window (n,) its region, one of `count`."""
        order = of_window.argsort(stable=True)
        numbers = torch.arange(count, device=of_window.device)
        return cls(
            of_window, order, torch.searchsorted(of_window[order], numbers, right=True), count
        )

    def total(self, counts: Tensor) -> Tensor:
        """Add up integers or truth values (n,), in the order of `order`, by region: (count,) int64.

        By differences of a running sum, which every device has for int64, and in one order.
        """
        upto = F.pad(counts.cumsum(0), (1, 0))[self.ends]
        return upto.diff(prepend=upto.new_zeros(1))


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
        down = -(-self.rows // side) if side else 1
        across = -(-self.columns // side) if side else 1
        row = torch.arange(self.rows, device=device) // (side or self.rows)
        column = torch.arange(self.columns, device=device) // (side or self.columns)
        image = torch.arange(self.batch, device=device)
        number = (image[:, None, None] * down + row[:, None]) * across + column
        return Regions.of(number.reshape(-1), self.batch * down * across)


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
