"""Reduction of an image that comes in rows, from top to bottom, on any device.

The same filter as `output_size.reduce_planes`, which wants the whole image at once and kernels that
not every device has. Here, each direction is a product with a matrix of the filter's weights, some
rows or columns of the result at a time.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from srcli.geometry import Size

__all__ = ["RowReducer"]

_REACH = 2.0  # of a bicubic filter to either side, in px of the smaller image
_SHARPNESS = -0.5  # Keys' a, as PyTorch's antialiased filter has it
_ROWS = 256  # of the result at a time: more make the matrices wider than they need be
_COLUMNS = 512


class RowReducer:
    """Reduces planes that are handed over in rows.

    Args:
        before: Size of all that is handed over.
        after: Size of the result; no side is longer.
    """

    def __init__(self, before: Size, after: Size) -> None:
        self._before, self._after = before, after
        self._held: Tensor | None = None
        self._top = 0  # of what is held
        self._done = 0  # rows of the result
        self._across: list[tuple[int, int, Tensor]] = []

    def add(self, rows: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Take the next rows (c, n, w), and yield what they complete.

        Yields:
            The first row, in the result, and rows of it (c, m, w'), at most `_ROWS`.
        """
        held = rows if self._held is None else torch.cat([self._held, rows], 1)
        bottom = self._top + held.shape[1]
        whole = bottom == self._before.height
        while self._done < self._after.height:
            stop = min(self._done + _ROWS, self._after.height)
            first, last, weights = _weights(
                self._done, stop, self._before.height, self._after.height
            )
            if last > bottom and not whole:
                break
            matrix = weights.to(held.device)
            seen = held[:, first - self._top : last - self._top]
            yield self._done, self._narrowed(matrix @ seen)
            self._done = stop
        if self._done < self._after.height:
            needed = _first(self._done, self._before.height, self._after.height)
            held = held[:, needed - self._top :].clone()  # lets go of the rows above
            self._top = needed
        self._held = held

    def _narrowed(self, rows: Tensor) -> Tensor:
        """Reduce rows (c, n, w) to their width in the result."""
        if not self._across:
            before, after = self._before.width, self._after.width
            for start in range(0, after, _COLUMNS):
                first, last, weights = _weights(start, min(start + _COLUMNS, after), before, after)
                self._across.append((first, last, weights.T.contiguous().to(rows.device)))
        parts = [rows[:, :, first:last] @ matrix for first, last, matrix in self._across]
        return torch.cat(parts, 2)


def _first(number: int, before: int, after: int) -> int:
    """The first px that the px `number` of the result is made from."""
    step = before / after
    return max(int((number + 0.5) * step - _REACH * step + 0.5), 0)


def _weights(start: int, stop: int, before: int, after: int) -> tuple[int, int, Tensor]:
    """The filter's weights for some px of the result along one side.

    Args:
        start: First px of the result.
        stop: First px no longer asked for.
        before: Px of the side.
        after: Px of the result's, no more than `before`.

    Returns:
        The px of the side from which on and up to which they are made, and the matrix
        (stop - start, px), float32.
    """
    step = before / after
    first = _first(start, before, after)
    last = min(int((stop - 0.5) * step + _REACH * step + 0.5), before)
    centre = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * step
    place = torch.arange(first, last, dtype=torch.float64)
    distance = ((place + 0.5 - centre[:, None]) / step).abs()
    begins = (centre - _REACH * step + 0.5).floor().clamp_min(0)[:, None]
    ends = (centre + _REACH * step + 0.5).floor().clamp_max(before)[:, None]
    weight = torch.where((place >= begins) & (place < ends), _cubic(distance), 0.0)
    return first, last, (weight / weight.sum(1, keepdim=True)).float()


def _cubic(distance: Tensor) -> Tensor:
    """Keys' cubic filter at distances ≥ 0."""
    a = _SHARPNESS
    near = ((a + 2) * distance - (a + 3)) * distance.square() + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return torch.where(distance < 1, near, torch.where(distance < math.ceil(_REACH), far, 0.0))
