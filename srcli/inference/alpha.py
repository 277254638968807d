"""Transparency: what lies hidden must not bleed into what is seen, nor the other way round."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

__all__ = ["bleed", "clamp_alpha_to_source"]

_REACH = 24  # LR px; beyond it the network's view of a visible pixel fades out


def bleed(color: Tensor, alpha: Tensor) -> Tensor:
    """Replace colour that cannot be seen by colour that can, spreading from the visible edge.

    Files hold anything under alpha 0, often black, which an upscaler mixes into the edge. Each of
    `_REACH` steps gives a hidden pixel the mean of its known neighbours; what is farther away
    gets the mean of all visible colour.

    Args:
        color: (c, h, w) in [0, 1].
        alpha: (1, h, w) in [0, 1]; 0 is hidden.

    Returns:
        (c, h, w), equal to `color` where alpha is above 0.
    """
    known = (alpha > 0).to(color.dtype)  # (1, h, w)
    if bool(known.all()):
        return color
    seen = known.sum()
    mean = (color * known).sum((1, 2)) / seen.clamp_min(1)
    filled = color * known
    for _ in range(_REACH):
        share = F.avg_pool2d(known[None], 3, stride=1, padding=1)[0]
        around = F.avg_pool2d(filled[None], 3, stride=1, padding=1)[0]
        fresh = (known == 0) & (share > 0)
        if not bool(fresh.any()):
            break
        filled = torch.where(fresh, around / share.clamp_min(1e-6), filled)
        known = known.maximum(fresh.to(known.dtype))
    return torch.where(known > 0, filled, mean[:, None, None])


def clamp_alpha_to_source(sr: Tensor, lr: Tensor, top: int, left: int, scale: int) -> Tensor:
    """Keep upscaled alpha between the least and the greatest alpha around it in the original.

    A network is never exact: what was wholly hidden or wholly opaque stays exactly so.

    Args:
        sr: (1, h, w), a part of the upscaled alpha, from SR px (`top`, `left`) on.
        lr: The whole original alpha, (1, h, w) in [0, 1].
        top: SR px, a multiple of `scale`.
        left: SR px, a multiple of `scale`.
        scale: SR px per LR px to a side.
    """
    rows, columns = (
        slice(start // scale, (start + size) // scale)
        for start, size in zip((top, left), sr.shape[1:], strict=True)
    )
    around = (slice(None), _widened(rows), _widened(columns))
    inner = (slice(None), _inside(rows), _inside(columns))
    greatest = F.max_pool2d(lr[around][None], 3, stride=1, padding=1)[0][inner]
    least = -F.max_pool2d(-lr[around][None], 3, stride=1, padding=1)[0][inner]
    low, high = (
        F.interpolate(x[None], sr.shape[1:], mode="nearest")[0].to(sr.device)
        for x in (least, greatest)
    )
    return sr.clamp(low, high)


def _widened(span: slice) -> slice:
    return slice(max(span.start - 1, 0), span.stop + 1)


def _inside(span: slice) -> slice:
    """Where `span` lies within itself widened."""
    start = span.start - _widened(span).start
    return slice(start, start + span.stop - span.start)
