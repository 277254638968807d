"""Flat parts of an image's border, which convolutions get wrong.

Convolutions pad an image with zeros. At the border of a flat part nothing in the image outweighs
that, and its corners come out wrong by dozens of levels. A flat part needs no network: there, the
result is the input, interpolated. Everywhere else, and away from the border, the network's own
result stays.
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

__all__ = ["restore_flat_border"]

_REACH = 16  # LR px from the image's border in which padding shows
_AROUND = 4  # LR px around a pixel that have to be as flat as it is
_FLAT = 3.5 / 255  # the largest difference there

_Span = tuple[int, int]  # start and stop, as of a slice


@torch.inference_mode()
def restore_flat_border(
    sr: Tensor, lr: Tensor, top: int, left: int, scale: int, *, look_first: bool = True
) -> Tensor:
    """Replace the result by the interpolated input where the border of an image is flat.

    Depends on the input alone, so that tiles give what the whole image gives.

    Args:
        sr: (c, H, W), a part of the network's result, in [0, 1]; changed in place.
        lr: (c, h, w), the whole image, in [0, 1], on the same device.
        top: First SR row of the part.
        left: First SR column of the part.
        scale: SR px per LR px to a side.
        look_first: Do nothing where nothing is flat; a host would wait for its device to know.
    """
    rows = top // scale, -(-(top + sr.shape[1]) // scale)
    columns = left // scale, -(-(left + sr.shape[2]) // scale)
    for strip in _strips(lr.shape[1], lr.shape[2], rows, columns):
        _restore(sr, lr, strip, (top, left), scale, look_first=look_first)
    return sr


def _strips(height: int, width: int, rows: _Span, columns: _Span) -> list[tuple[_Span, _Span]]:
    """Cut what of `rows` and `columns` lies near the border of an image, without overlap."""
    top, left = min(_REACH, height), min(_REACH, width)
    bottom, right = max(height - _REACH, top), max(width - _REACH, left)
    middle = _common(rows, (top, bottom))
    strips = [
        (_common(rows, (0, top)), columns),
        (_common(rows, (bottom, height)), columns),
        (middle, _common(columns, (0, left))),
        (middle, _common(columns, (right, width))),
    ]
    return [(r, c) for r, c in strips if r[0] < r[1] and c[0] < c[1]]


def _common(one: _Span, other: _Span) -> _Span:
    return max(one[0], other[0]), min(one[1], other[1])


def _restore(
    sr: Tensor,
    lr: Tensor,
    strip: tuple[_Span, _Span],
    corner: tuple[int, int],
    scale: int,
    *,
    look_first: bool,
) -> None:
    """Restore a strip of LR rows and columns of the part that begins at the SR px `corner`."""
    rows, columns = strip
    surrounding_spans = [
        (max(span[0] - _AROUND, 0), min(span[1] + _AROUND, side))
        for span, side in zip((rows, columns), lr.shape[1:], strict=True)
    ]
    surrounding = lr[None, :, slice(*surrounding_spans[0]), slice(*surrounding_spans[1])].float()
    inner_slices = [
        slice(start - offset, stop - offset)
        for (start, stop), (offset, _) in zip((rows, columns), surrounding_spans, strict=True)
    ]
    # (1, h, w), of each neighbourhood
    value_range = (_largest(surrounding) + _largest(-surrounding)).amax(1)
    flat = value_range[:, inner_slices[0], inner_slices[1]] <= _FLAT
    if look_first and not bool(flat.any()):
        return
    blur = scale + 1 - scale % 2  # SR px, odd
    smooth = surrounding.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    smooth = F.avg_pool2d(smooth, blur, 1, blur // 2, count_include_pad=False)[0]
    flat = flat.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    smooth = smooth[:, _larger(inner_slices[0], scale), _larger(inner_slices[1], scale)]
    y, x = rows[0] * scale - corner[0], columns[0] * scale - corner[1]
    target = sr[:, max(y, 0) : y + smooth.shape[1], max(x, 0) : x + smooth.shape[2]]
    smooth, flat = (one[:, max(-y, 0) :, max(-x, 0) :] for one in (smooth, flat))
    smooth, flat = (one[:, : target.shape[1], : target.shape[2]] for one in (smooth, flat))
    target.copy_(torch.where(flat, smooth.to(sr.dtype), target))


def _larger(span: slice, scale: int) -> slice:
    return slice(span.start * scale, span.stop * scale)


def _largest(image: Tensor) -> Tensor:
    """The largest value within `_AROUND` px of each pixel of (1, c, h, w)."""
    return F.max_pool2d(image, 2 * _AROUND + 1, stride=1, padding=_AROUND)
