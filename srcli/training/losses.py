"""Training losses, and a check that the confidence estimator works."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

__all__ = ["error_map", "estimator_correlation", "restoration_loss", "uncertainty_loss"]

_STEADY = 1e-8  # ε of Eq. 17
_FINEST_ERROR = 0.1  # 8-bit units; below it, an error is as good as none


def error_map(image: Tensor, hr: Tensor) -> Tensor:
    """Absolute error of (b, 3, h, w): (b, 1, h, w) in 8-bit units, the mean over channels."""
    return (image - hr).abs().mean(1, keepdim=True) * 255.0


def restoration_loss(error: Tensor) -> Tensor:
    """The L1 term of Eq. 25, in 8-bit units."""
    return error.mean()


def uncertainty_loss(confidence: Tensor, error: Tensor) -> Tensor:
    """Uncertainty loss: how badly confidence predicts the error (AdaFormer, Eq. 17).

    Its optimum is C = 1/|error|. The error is taken as given: the image must not get worse for
    being easier to judge.

    Args:
        confidence: (b, L, h, w) in [0, 1], the maps of all layers.
        error: (b, 1, s·h, s·w) in 8-bit units.

    Returns:
        A scalar: the mean over pixels, summed over layers; 0 without layers.
    """
    if not confidence.shape[1]:
        return confidence.sum()
    upsampled = F.interpolate(confidence, error.shape[2:], mode="bilinear")
    loss = upsampled * error.detach() - (upsampled + _STEADY).log()
    return loss.mean((0, 2, 3)).sum()


@torch.no_grad()
def estimator_correlation(confidence: Tensor, error: Tensor) -> Tensor:
    """The correlation of log confidence with log 1/error, for each layer.

    An estimator that has collapsed to a constant has a fine loss; this shows it.

    Args:
        confidence: (b, L, h, w) in [0, 1].
        error: (b, 1, s·h, s·w) in 8-bit units; averaged over the s·s pixels of a token.

    Returns:
        (L,) in [-1, 1]; 0 for a layer whose map is constant.
    """
    height, width = confidence.shape[2:]
    per_token = F.adaptive_avg_pool2d(error, (height, width)).clamp_min(_FINEST_ERROR)
    wanted = -per_token.log().flatten()  # (b·h·w,)
    got = (confidence + _STEADY).log().transpose(0, 1).flatten(1)  # (L, b·h·w)
    wanted = wanted - wanted.mean()
    got = got - got.mean(1, keepdim=True)
    size = (got.square().sum(1) * wanted.square().sum()).sqrt().clamp_min(_STEADY)
    return (got @ wanted) / size
