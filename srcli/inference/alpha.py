"""Transparency: what lies hidden must not bleed into what is seen, nor the other way round."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

__all__ = ["bleed", "clamp_alpha_to_source"]

_REACH = 24  # LR px; beyond it the network's view of a visible pixel fades out
_ROWS = 256  # of hidden colour that are filled at a time


def bleed(color: Tensor, alpha: Tensor, rows: int = _ROWS) -> Tensor:
    """Replace colour that cannot be seen by colour that can, spreading from the visible edge.

    Files hold anything under alpha 0, often black, which an upscaler mixes into the edge. Each of
    `_REACH` steps gives a hidden pixel the mean of its known neighbours; what is farther away
    gets the mean of all visible colour. Some rows are done at a time, with those around them that
    they depend on: of a whole image the steps would need several copies.

    Args:
        color: (c, h, w) in [0, 1].
        alpha: (1, h, w) in [0, 1]; 0 is hidden.
        rows: Rows at a time; the result does not depend on it.

    Returns:
        (c, h, w), equal to `color` where alpha is above 0.
    """
    height = color.shape[1]
    bands = [slice(top, min(top + rows, height)) for top in range(0, height, rows)]
    hidden = [band for band in bands if not bool((alpha[:, band] > 0).all())]
    if not hidden:
        return color
    mean = _mean_of_visible(color, alpha)
    result = color.clone()
    for band in hidden:
        first = max(band.start - _REACH, 0)
        around = slice(first, band.stop + _REACH)
        spread = _spread(color[:, around], alpha[:, around], mean)
        result[:, band] = spread[:, band.start - first : band.stop - first]
    return result


def _mean_of_visible(color: Tensor, alpha: Tensor) -> Tensor:
    """The mean colour (c) of the pixels that can be seen; 0 if there are none."""
    total = torch.zeros(len(color), dtype=torch.float64)
    seen = 0
    for row, visible in zip(color.unbind(1), alpha[0] > 0, strict=True):
        total += (row * visible).sum(1, dtype=torch.float64)
        seen += int(visible.sum())
    return (total / max(seen, 1)).to(color.dtype)


def _spread(color: Tensor, alpha: Tensor, mean: Tensor) -> Tensor:
    """See `bleed`: of all rows at once."""
    known = (alpha > 0).to(color.dtype)  # (1, h, w)
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
        lr: The whole original alpha, (1, h, w) in [0, 1], on the same device.
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
    low, high = (F.interpolate(x[None], sr.shape[1:], mode="nearest")[0] for x in (least, greatest))
    return sr.clamp(low, high)


def _widened(span: slice) -> slice:
    return slice(max(span.start - 1, 0), span.stop + 1)


def _inside(span: slice) -> slice:
    """Where `span` lies within itself widened."""
    start = span.start - _widened(span).start
    return slice(start, start + span.stop - span.start)
