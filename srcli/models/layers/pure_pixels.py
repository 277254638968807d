"""Pure pixels: which parts of an image are of one colour class (Pure-Pass, arXiv 2510.01997).

Every pixel is labelled with the nearest of K fixed colour centres; a window whose labels are all
equal is pure, and so are its pixels. The scan is repeated with shifted windows, and the masks are
united. Nothing here is learned.
"""

import colorsys
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

__all__ = ["colour_centres", "nearest_centre", "pure_pixels", "pure_windows"]

_PARTS = 64  # of an 8-bit level, in which centres are counted


@lru_cache(maxsize=8)
@torch.inference_mode(mode=False)  # it is kept, and autograd may want it later
def colour_centres(count: int) -> Tensor:
    """The K colour centres, (K, 3) RGB in [0, 1]: hue k/K, saturation and value 0.9."""
    return torch.tensor([colorsys.hsv_to_rgb(k / count, 0.9, 0.9) for k in range(count)])


def nearest_centre(image: Tensor, centres: Tensor) -> Tensor:
    """The number of the centre nearest to each pixel, Euclidean in RGB.

    The red axis mirrors hue k to K - k, so grays lie exactly between two centres. That such ties
    are not left to rounding, pixels count in 8-bit levels and centres in 64ths of one: all sums
    are integers below 2^24, exact in fp32 in any order and on any device.

    Args:
        image: (b, 3, h, w), RGB in [0, 1]; rounded to 8 bits.
        centres: (K, 3), RGB in [0, 1].

    Returns:
        (b, h, w) int64 in 0..K-1; of two centres equally near, the first.
    """
    levels = (image.float() * 255).round()
    exact = (centres.cpu().double() * (255 * _PARTS)).round()
    halved = (exact.square().sum(1) / (2 * _PARTS)).round()  # |c|² / 2
    fine = exact.float().to(levels.device)
    score = halved.float().to(levels.device)[:, None, None]
    for channel in range(3):  # |c|² / 2 - x · c, which is |x - c|² / 2 but for what all share
        score = score - levels[:, channel, None] * fine[:, channel, None, None]
    return score.argmin(1)


def pure_windows(labels: Tensor, window: int, shift: tuple[int, int]) -> Tensor:
    """The pixels of windows whose labels are all equal.

    Args:
        labels: (b, h, w), integers.
        window: Side of a window, LR px.
        shift: By how much the windows are shifted (down, right), in 0..window - 1; windows that
            the image's edges cut count with what is left of them.

    Returns:
        (b, h, w) bool.
    """
    _, h, w = labels.shape
    top, left = -shift[0] % window, -shift[1] % window
    margin = (left, -(left + w) % window, top, -(top + h) % window)
    values = labels[:, None].float()
    highest = F.max_pool2d(F.pad(values, margin, value=-torch.inf), window)
    lowest = F.max_pool2d(F.pad(-values, margin, value=-torch.inf), window)
    pure = (highest == -lowest)[:, 0]
    grown = pure.repeat_interleave(window, 1).repeat_interleave(window, 2)
    return grown[:, top : top + h, left : left + w]


def pure_pixels(labels: Tensor, window: int, shifts: Sequence[tuple[int, int]]) -> Tensor:
    """The union of the scans over all shifts (cross-shift mask fusion); arguments as above."""
    pure = torch.zeros_like(labels, dtype=torch.bool)
    for shift in shifts:
        pure |= pure_windows(labels, window, shift)
    return pure
