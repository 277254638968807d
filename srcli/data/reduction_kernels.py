"""LR patches by other kernels than the field's bicubic one, as other programs reduce images."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["KERNELS", "reduced_region", "region_around"]

Image8 = NDArray[np.uint8]

_MARGIN = 4  # LR px around a patch: more than any kernel's support

_ANTIALIASED = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
}
_ALIASED = {
    "bilinear-aliased": Image.Resampling.BILINEAR,
    "bicubic-aliased": Image.Resampling.BICUBIC,
}
KERNELS = (*_ANTIALIASED, *_ALIASED)


def region_around(image: Image8, corner: tuple[int, int], side: int, scale: int) -> Image8:
    """Cut the HR square of an LR patch, with a margin, out of an image.

    Beyond the image its outermost pixels are repeated.

    Args:
        image: (s·h, s·w, 3), HR.
        corner: Top and left of the patch, LR px.
        side: Of the patch, p LR px.
        scale: s, HR px per LR px.

    Returns:
        (s·(p + 8), s·(p + 8), 3).
    """
    along = np.arange(-_MARGIN * scale, (side + _MARGIN) * scale)
    rows, columns = (
        np.clip(along + scale * start, 0, length - 1)
        for start, length in zip(corner, image.shape[:2], strict=True)
    )
    return image[rows[:, None], columns]


def reduced_region(region: Image8, scale: int, kernel: str) -> Image8:
    """Reduce what `region_around` has cut to its LR patch (p, p, 3).

    Args:
        region: (s·(p + 8), s·(p + 8), 3).
        scale: s, HR px per LR px.
        kernel: One of `KERNELS`; the aliased ones look at the nearest HR pixels alone.
    """
    wide = len(region)
    side, begin = wide // scale - 2 * _MARGIN, _MARGIN * scale
    box = (begin, begin, wide - begin, wide - begin)
    image = Image.fromarray(np.ascontiguousarray(region))
    if kernel in _ANTIALIASED:
        return np.asarray(image.resize((side, side), _ANTIALIASED[kernel], box))
    aliased = image.transform((side, side), Image.Transform.EXTENT, box, _ALIASED[kernel])
    return np.asarray(aliased)
