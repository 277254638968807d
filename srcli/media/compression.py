"""Measure lossy compression: JPEG's quality by its tables, and blocks in pixels of any format."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from srcli.media.image import Pixels

__all__ = ["jpeg_quality", "measure_blockiness"]

# The luma table of ITU-T T.81, K.1, row by row, which libjpeg scales by quality.
_LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
_BLOCK = 8  # px to a side of JPEG's blocks
_REGIONS = 6  # to a side, each of which is asked where its blocks end
_LEAST = _REGIONS * 2 * _BLOCK + 3  # px to a side that this takes
_LOOKED_AT = 2048  # px to a side, at most, in the middle of an image
_MOST_EXCESS = 4.0  # levels: edges of what is shown are steeper than those of blocks


def jpeg_quality(tables: Mapping[int, Sequence[int]]) -> int | None:
    """The quality of libjpeg whose luma table is nearest to a file's; None without tables.

    Args:
        tables: Quantisation tables by number, 64 values each, as Pillow has them.

    >>> jpeg_quality({0: [16, 11, 10, 16, 24, 40, 51, 61] + list(_LUMA[8:])})
    50
    """
    if not tables:
        return None
    table = np.sort(np.asarray(tables[min(tables)], float))  # of any order
    qualities = np.arange(1, 101)
    scales = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    scaled = np.clip((np.sort(_LUMA) * scales[:, None] + 50) // 100, 1, 255)
    distances = np.abs(np.log(scaled) - np.log(np.maximum(table, 1))).sum(1)
    # Of tables that are equal (all 1) the best quality.
    return int(qualities[::-1][distances[::-1].argmin()])


def measure_blockiness(pixels: Pixels) -> float:
    """Measure how much the edges of JPEG's 8x8 blocks stand out, wherever their grid begins.

    A step between neighbours is held against the steps beside it. Of the eight places where the
    grid can begin, blocks stand out at one; texture of any period does not do so everywhere, which
    is why the median over regions counts, and the lesser of both directions.

    Args:
        pixels: (h, w, c) uint8 or uint16.

    Returns:
        Levels of 255, about 0 without blocks; 0 for an image too small to tell.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < _LEAST:
        return 0.0
    top, left = (max(side - _LOOKED_AT, 0) // 2 for side in (height, width))
    part = pixels[top : top + _LOOKED_AT, left : left + _LOOKED_AT]
    channel = part[..., 1 if part.shape[2] > 2 else 0]
    values = channel.astype(np.float32) * np.float32(1 / 257 if channel.itemsize > 1 else 1)
    return max(min(_excess(values), _excess(values.T)), 0.0)


def _excess(values: NDArray[np.float32]) -> float:
    """Excess of the steps at the most blocky column of eight over the next most blocky one."""
    steps = np.abs(np.diff(values, axis=1))
    excess = steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2
    excess = excess.clip(-_MOST_EXCESS, _MOST_EXCESS)
    rows, blocks = excess.shape[0] // _REGIONS, excess.shape[1] // _REGIONS // _BLOCK
    whole = excess[: _REGIONS * rows, : _REGIONS * blocks * _BLOCK]
    regions = whole.reshape(_REGIONS, rows, _REGIONS, blocks, _BLOCK).mean((1, 3))
    phases = np.sort(np.median(regions.reshape(-1, _BLOCK), axis=0))
    return float(phases[-1] - phases[-2]) * _BLOCK / (_BLOCK - 1)
