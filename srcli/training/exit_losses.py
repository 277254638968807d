"""Losses of the confidence estimator, which learns when tokens stop (AdaFormer, Eq. 17 and Tab. 4).

Besides the paper's own loss, which makes confidence predict the error, two that follow the rules it
is compared with, as far as a halting score that adds up and tokens that keep their last value
allow:

- "increment", after APE (Wang et al. 2022): the score predicts how much of a token's error the
  layers to come still remove;
- "ponder", after A-ViT (Yin et al. 2022): depth itself costs, the image's own loss holds against
  it, and the depths' distribution is drawn towards a Gaussian.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from srcli.training.losses import uncertainty_loss

__all__ = ["EXITS", "exit_loss", "halting_shares", "increment_loss", "ponder_loss"]

EXITS = ("uncertainty", "increment", "ponder")

_FINEST_ERROR = 0.1  # 8-bit units; below it, there is nothing left to remove
_PRIOR_SHARE = 1.0  # weight of the divergence from the Gaussian, relative to that of depth
_DEVIATION = 1.0  # layers, of the Gaussian


def exit_loss(
    kind: str, confidence: Tensor, earlier: Sequence[Tensor], error: Tensor, eps: float
) -> Tensor:
    """The loss by its name, a scalar; 0 without layers.

    Args:
        kind: "uncertainty", "increment" or "ponder".
        confidence: (b, L, h, w) in [0, 1], the maps of all layers.
        earlier: As in `increment_loss`; of no use to the others.
        error: (b, 1, s·h, s·w) in 8-bit units.
        eps: ε_h in [0, 1].
    """
    if not confidence.shape[1]:
        return confidence.sum()
    if kind == "increment":
        return increment_loss(confidence, earlier, error)
    if kind == "ponder":
        return ponder_loss(confidence, 1.0 - eps)
    return uncertainty_loss(confidence, error)


def increment_loss(confidence: Tensor, earlier: Sequence[Tensor], error: Tensor) -> Tensor:
    """Squared distance of the score after each layer but the last to 1 - the error's share to go.

    That share is what later layers remove of a token's error, in [0, 1]. A score of 1 - ε_h then
    means that going on would remove ε_h of it.

    Args:
        confidence: (b, L, h, w) in [0, 1].
        earlier: L - 1 times (b, 1, s·h, s·w) in 8-bit units, errors if the network ended there.
        error: The same at its end.

    Returns:
        A scalar: the mean over tokens, summed over layers.
    """
    size = (confidence.shape[2], confidence.shape[3])
    last = F.adaptive_avg_pool2d(error.detach(), size)
    score = confidence.cumsum(1)
    loss = confidence.new_zeros(())
    for layer, one in enumerate(earlier):
        now = F.adaptive_avg_pool2d(one.detach(), size).clamp_min(_FINEST_ERROR)
        target = 1.0 - ((now - last) / now).clamp(0.0, 1.0)  # (b, 1, h, w)
        loss = loss + (score[:, layer : layer + 1] - target).square().mean()
    return loss


def ponder_loss(confidence: Tensor, threshold: float) -> Tensor:
    """Mean depth at which tokens halt, with the remainder, and its distance to a Gaussian.

    A-ViT's two terms: N + r, where N layers run and r = 1 - the scores before the last of them
    carries the gradient; and the KL divergence of the halting probabilities, averaged over tokens,
    from a Gaussian around the middle layer.

    Args:
        confidence: (b, L, h, w) in [0, 1].
        threshold: Score at which a token halts.

    Returns:
        A scalar.
    """
    shares = halting_shares(confidence, threshold)  # (b, L, h, w)
    layers = confidence.shape[1]
    depth = (shares.detach() > 0).sum(1)
    remainder = shares.gather(1, (depth - 1)[:, None]).squeeze(1)
    number = torch.arange(layers, device=confidence.device, dtype=shares.dtype)
    prior = torch.softmax(-0.5 * ((number - (layers - 1) / 2) / _DEVIATION).square(), 0)
    mean = shares.mean((0, 2, 3)).clamp_min(1e-8)
    divergence = (mean * (mean / prior).log()).sum()
    return (depth + remainder).mean() + _PRIOR_SHARE * divergence


def halting_shares(confidence: Tensor, threshold: float) -> Tensor:
    """Probability that a token halts after each layer (b, L, h, w): it sums to 1 over layers.

    The confidence itself while the score is below the threshold; what is left to 1 in the layer
    where it gets there, or in the last; then 0.
    """
    score = confidence.cumsum(1)
    before = score - confidence
    runs = before.detach() < threshold
    ends = runs & (score.detach() >= threshold)
    ends[:, -1] = runs[:, -1]
    return torch.where(ends, 1.0 - before, torch.where(runs, confidence, 0.0))
