"""LAPAR's 72 fixed filters of 5x5 px: Gaussians, and differences of Gaussians."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["SIDE", "filters"]

SIDE = 5  # px
_WIDE, _MIDDLE, _NARROW = 2.0, 1.2, 0.4  # deviations, px
_FLAT = (0.8, 0.6, 0.4)  # deviation across, of that along
_FLATTEST = 0.2
_SHARPENED, _TAKEN = 1.4, 0.4  # sums of a difference's positive and negative part


def filters() -> Tensor:
    """All filters (72, 25), each of sum 1: 51 Gaussians, 21 differences."""
    gaussians = [
        _gaussian(_WIDE), *_turned(_WIDE), *_at_angles(_WIDE, _FLATTEST, 12),
        _gaussian(_MIDDLE), *_turned(_MIDDLE), _gaussian(_NARROW),
    ]  # fmt: skip
    rounds = ((_WIDE, _MIDDLE), (_WIDE, _NARROW), (_MIDDLE, _NARROW))
    differences = [_gaussian(wide) - _gaussian(narrow) for wide, narrow in rounds]
    turned = zip(_turned(_WIDE), _turned(_MIDDLE), strict=True)
    differences += [wide - narrow for wide, narrow in turned]
    return torch.stack([*gaussians, *map(_balanced, differences)]).flatten(1).float()


def _gaussian(along: float, flatness: float = 1.0, degrees: float = 0.0) -> Tensor:
    """A Gaussian (5, 5) of sum 1.

    Args:
        along: Deviation along the angle, px.
        flatness: The deviation across, as a share of that.
        degrees: From x, which goes right, to y, which goes down.
    """
    offset = torch.arange(SIDE, dtype=torch.float64) - SIDE // 2
    y, x = offset[:, None], offset[None]
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    u, v = x * cosine + y * sine, y * cosine - x * sine
    weight = torch.exp(-((u / along) ** 2 + (v / (along * flatness)) ** 2) / 2)
    return weight / weight.sum()


def _turned(along: float) -> Iterator[Tensor]:
    """Gaussians of three flatnesses, each at six angles."""
    for flatness in _FLAT:
        yield from _at_angles(along, flatness, 6)


def _at_angles(along: float, flatness: float, count: int) -> Iterator[Tensor]:
    """A Gaussian at `count` angles that share half a turn: 0, then from the last to the first."""
    for number in range(count):
        yield _gaussian(along, flatness, -number % count * 180 / count)


def _balanced(difference: Tensor) -> Tensor:
    """A difference whose positive part is scaled to the sum 1.4, and its negative to -0.4."""
    above, below = difference.clamp(min=0), difference.clamp(max=0)
    return above * (_SHARPENED / above.sum()) - below * (_TAKEN / below.sum())
