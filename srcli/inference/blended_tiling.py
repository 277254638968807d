"""Tiles that overlap and are blended with weights that sum to one.

Each tile's result counts fully inside its core and fades out, linearly, across the boundary to
its neighbour, over `BLEND` LR px on either side. At every SR pixel the weights of the (at most
four) tiles that reach it sum to one, so nothing is divided by. Rows are finished from top to
bottom: only one band of tiles is ever held in floating point.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from srcli.geometry import Tile, TileGrid, TileSpan

__all__ = ["BLEND", "blend_tiles", "span_weights"]

BLEND = 8  # LR px on each side of a core boundary


def blend_tiles(
    grid: TileGrid, scale: int, compute: Callable[[Tile], Tensor]
) -> Iterator[tuple[int, Tensor]]:
    """Compute all tiles of an image, blend them, and yield finished rows.

    Args:
        grid: The tiles; neighbouring cores are at least 2 · BLEND px long.
        scale: SR px per LR px.
        compute: Gives the result of a tile's crop, (c, scale · rows, scale · columns).

    Yields:
        The first row and the rows themselves, (c, rows, width) in SR px, from top to bottom.
    """
    width = grid.columns[-1].core_stop * scale
    carried: Tensor | None = None  # rows the tiles above reach into, already weighted
    for rows in grid.rows:
        top, bottom = _reach(rows, scale)
        band: Tensor | None = None
        for columns in grid.columns:
            part = _weighted(compute(Tile(rows, columns)), rows, columns, scale)
            if band is None:
                band = part.new_zeros(part.shape[0], bottom - top, width)
            left, right = _reach(columns, scale)
            band[:, :, left:right] += part
        assert band is not None
        if carried is not None:
            band[:, : carried.shape[1]] += carried
        more_below = rows.crop_stop > rows.core_stop
        finished = (rows.core_stop - BLEND) * scale - top if more_below else bottom - top
        yield top, band[:, :finished]
        carried = band[:, finished:].clone()  # lets go of the band


def span_weights(span: TileSpan, scale: int) -> Tensor:
    """The weight of a tile along one axis, over what it contributes (`core` ± BLEND).

    Returns:
        (scale · (stop - start),) float32 in [0, 1].
    """
    start, stop = _reach(span, scale)
    position = (torch.arange(start, stop, dtype=torch.float32) + 0.5) / scale  # LR px
    weight = torch.ones_like(position)
    if span.crop_start < span.core_start:
        weight *= _ramp(position, span.core_start)
    if span.crop_stop > span.core_stop:
        weight *= 1.0 - _ramp(position, span.core_stop)
    return weight


def _ramp(position: Tensor, boundary: int) -> Tensor:
    """From 0 to 1 across a core boundary."""
    return ((position - (boundary - BLEND)) / (2 * BLEND)).clamp(0.0, 1.0)


def _reach(span: TileSpan, scale: int) -> tuple[int, int]:
    """The SR px of the whole image that a tile contributes to along one axis."""
    start = max(span.crop_start, span.core_start - BLEND)
    stop = min(span.crop_stop, span.core_stop + BLEND)
    return start * scale, stop * scale


def _weighted(sr: Tensor, rows: TileSpan, columns: TileSpan, scale: int) -> Tensor:
    """Cut a tile's result to what it contributes, and weight it."""
    for dim, span in ((1, rows), (2, columns)):
        start, stop = _reach(span, scale)
        sr = sr.narrow(dim, start - span.crop_start * scale, stop - start)
        shape = (1, -1, 1) if dim == 1 else (1, 1, -1)
        sr = sr * span_weights(span, scale).to(sr.device).view(shape)
    return sr
