"""A new upsampler for a trained body, by least squares.

What comes after an AdaFormer's last non-linearity is one 3x3 convolution and a pixel shuffle, so
the best upsampler of another scale for a given body has a closed form: a linear regression of HR
pixels on the body's features. It takes minutes, and starts a run where training the upsampler
from random numbers arrives after hours, having bent the body on the way.
"""

from collections.abc import Iterable
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from srcli.data.patches import PatchBatch
from srcli.models.adaformer import AdaFormer
from srcli.training.regression import Regression

__all__ = ["fit_upsampler"]

_BORDER = 8  # LR px left out at a patch's edge, where the body sees no further image


@torch.no_grad()
def fit_upsampler(network: AdaFormer, batches: Iterable[PatchBatch], steps: int) -> None:
    """Set the parameters of `network.tail` to what fits best in the mean square.

    Args:
        network: Its other parameters are trained.
        batches: Training patches.
        steps: How many batches to fit to.
    """
    tail = network.tail
    device = tail.weight.device
    regression = Regression(tail.weight[0].numel(), len(tail.weight))
    for batch in islice(batches, steps):
        x = _neighbourhoods(_features(network, batch.lr.to(device).float() / 255.0))
        target = batch.hr.to(device).float() / 255.0 - network.mean
        y = _inner(F.pixel_unshuffle(target, network.scale)).flatten(2).mT.flatten(0, 1)
        regression.add(x, y)
    regression.write_to(tail)


def _features(network: AdaFormer, lr: Tensor) -> Tensor:
    """Features that the upsampler takes, (b, c, h, w)."""
    seen: list[Tensor] = []
    handle = network.tail.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        network(lr)
    finally:
        handle.remove()
    return seen[0]


def _neighbourhoods(features: Tensor) -> Tensor:
    """The 3x3 neighbourhood of every inner pixel: (pixels, 9 c)."""
    b, taps = len(features), 9 * features.shape[1]
    columns = F.unfold(features, 3, padding=1).view(b, taps, *features.shape[2:])
    return _inner(columns).flatten(2).mT.flatten(0, 1)


def _inner(maps: Tensor) -> Tensor:
    border = min(_BORDER, maps.shape[-1] // 4)
    return maps[..., border:-border, border:-border]
