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
    strips = _strips(lr.shape[1], lr.shape[2], rows, columns)
    # A device takes one large kernel sooner than four small ones.
    whole = _where_flat(lr, rows, columns) if strips and not look_first else None
    for strip in strips:
        if whole is not None:
            flat = whole[:, _within(strip[0], rows), _within(strip[1], columns)]
        elif not bool((flat := _where_flat(lr, *strip)).any()):
            continue
        _restore(sr, lr, flat, strip, (top, left), scale)
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


def _where_flat(lr: Tensor, rows: _Span, columns: _Span) -> Tensor:
    """Where (1, h, w) of some rows and columns of an image is as flat as what is around it."""
    y, x = _around(rows, lr.shape[1]), _around(columns, lr.shape[2])
    surrounding = lr[None, :, slice(*y), slice(*x)].float()
    # (1, h, w), of each neighbourhood
    value_range = (_largest(surrounding) + _largest(-surrounding)).amax(1)
    return value_range[:, _within(rows, y), _within(columns, x)] <= _FLAT


def _restore(
    sr: Tensor,
    lr: Tensor,
    flat: Tensor,
    strip: tuple[_Span, _Span],
    corner: tuple[int, int],
    scale: int,
) -> None:
    """Restore a strip of LR rows and columns, `flat` in places (1, h, w), of a part.

    Args:
        sr: The part.
        lr: The whole image.
        flat: Where the strip is.
        strip: Its rows and columns.
        corner: First SR row and column of the part.
        scale: SR px per LR px to a side.
    """
    rows, columns = strip
    y, x = _around(rows, lr.shape[1]), _around(columns, lr.shape[2])
    blur = scale + 1 - scale % 2  # SR px, odd
    smooth = _enlarged(lr[:, slice(*y), slice(*x)].float(), scale)[None]
    smooth = F.avg_pool2d(smooth, blur, 1, blur // 2, count_include_pad=False)[0]
    smooth = smooth[:, _larger(_within(rows, y), scale), _larger(_within(columns, x), scale)]
    flat = _enlarged(flat, scale)
    top, left = rows[0] * scale - corner[0], columns[0] * scale - corner[1]
    target = sr[:, max(top, 0) : top + smooth.shape[1], max(left, 0) : left + smooth.shape[2]]
    smooth, flat = (one[:, max(-top, 0) :, max(-left, 0) :] for one in (smooth, flat))
    smooth, flat = (one[:, : target.shape[1], : target.shape[2]] for one in (smooth, flat))
    torch.where(flat, smooth.to(sr.dtype), target, out=target)


def _around(span: _Span, side: int) -> _Span:
    """A span with what is looked at around it, within a side of the image."""
    return max(span[0] - _AROUND, 0), min(span[1] + _AROUND, side)


def _within(span: _Span, wider: _Span) -> slice:
    """Where a span lies in a wider one."""
    return slice(span[0] - wider[0], span[1] - wider[0])


def _enlarged(image: Tensor, scale: int) -> Tensor:
    """Every pixel of (c, h, w) as `scale` x `scale`."""
    channels, height, width = image.shape
    wide = image[:, :, None, :, None].expand(-1, -1, scale, -1, scale)
    return wide.reshape(channels, height * scale, width * scale)


def _larger(span: slice, scale: int) -> slice:
    return slice(span.start * scale, span.stop * scale)


def _largest(image: Tensor) -> Tensor:
    """The largest value within `_AROUND` px of each pixel of (1, c, h, w)."""
    return F.max_pool2d(image, 2 * _AROUND + 1, stride=1, padding=_AROUND)
