"""Rectangles that cover the live blocks of a map at little cost."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rectangle", "live_rectangles"]

_Blocks = NDArray[np.bool_]
_Numbers = NDArray[np.intp]


@dataclass(frozen=True)
class Rectangle:
    """A rectangle of blocks; stops are exclusive."""

    top: int
    bottom: int
    left: int
    right: int


def live_rectangles(live: _Blocks, around: float, fixed: float) -> list[Rectangle]:
    """Cover the live blocks with rectangles, so that they cost little to compute together.

    A rectangle costs its area with `around` more on every side, and `fixed` besides. One around
    everything is cut in two wherever that lowers the sum, again and again; each part shrinks to
    what is live of it. Greedy: a cut that pays only with another one is not found.

    Args:
        live: (h, w).
        around: Blocks.
        fixed: Blocks.

    Returns:
        Without overlap; none if nothing is live.
    """
    rectangles: list[Rectangle] = []
    waiting = [Rectangle(0, live.shape[0], 0, live.shape[1])]
    while waiting:
        whole = _shrunk(live, waiting.pop())
        if whole is None:
            continue
        part = live[whole.top : whole.bottom, whole.left : whole.right]
        height, width = part.shape
        whole_cost = (height + 2 * around) * (width + 2 * around) + fixed
        row, row_cost = _best_cut(part, around)
        column, column_cost = _best_cut(part.T, around)
        if min(row_cost, column_cost) + 2 * fixed >= whole_cost:
            rectangles.append(whole)
        elif row_cost <= column_cost:
            cut = whole.top + row
            waiting.append(Rectangle(cut, whole.bottom, whole.left, whole.right))
            waiting.append(Rectangle(whole.top, cut, whole.left, whole.right))
        else:
            cut = whole.left + column
            waiting.append(Rectangle(whole.top, whole.bottom, cut, whole.right))
            waiting.append(Rectangle(whole.top, whole.bottom, whole.left, cut))
    return rectangles


def _shrunk(live: _Blocks, box: Rectangle) -> Rectangle | None:
    """The smallest rectangle around what is live in `box`; None if nothing is."""
    part = live[box.top : box.bottom, box.left : box.right]
    rows, columns = np.flatnonzero(_any_in_rows(part)), np.flatnonzero(_any_in_rows(part.T))
    if not len(rows):
        return None
    return Rectangle(
        box.top + int(rows[0]),
        box.top + int(rows[-1]) + 1,
        box.left + int(columns[0]),
        box.left + int(columns[-1]) + 1,
    )


def _any_in_rows(part: _Blocks) -> _Blocks:
    return np.logical_or.reduce(part, axis=1)


def _best_cut(part: _Blocks, around: float) -> tuple[int, float]:
    """The row at which to cut so that both shrunk halves cost the least together, and that cost.

    Args:
        part: (h, w), with something live in the first and in the last row.
        around: See `live_rectangles`.

    Returns:
        Infinite cost if there is nothing to cut.
    """
    height, width = int(part.shape[0]), int(part.shape[1])
    if height < 2:
        return 0, float("inf")
    rows = cast("_Numbers", np.arange(height))
    some = _any_in_rows(part)
    # The first live column of each row, and the one after the last.
    first = cast("_Numbers", np.where(some, np.argmax(part, axis=1), width))
    last: _Numbers = np.where(some, width - np.argmax(part[:, ::-1], axis=1), 0)
    # Of everything down to a row, and of everything from a row on.
    above = np.maximum.accumulate(last) - np.minimum.accumulate(first)
    below = (np.maximum.accumulate(last[::-1]) - np.minimum.accumulate(first[::-1]))[::-1]
    bottom = np.maximum.accumulate(np.where(some, rows + 1, 0))
    top = np.minimum.accumulate(np.where(some, rows, height)[::-1])[::-1]
    upper = (bottom[:-1] + 2 * around) * (above[:-1] + 2 * around)
    lower = (height - top[1:] + 2 * around) * (below[1:] + 2 * around)
    both = upper + lower
    best = int(both.argmin())
    return best + 1, float(both[best])
