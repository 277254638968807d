"""Images of any depth and kind as the 8-bit RGB that a page or a sheet shows."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srcli.inference.planes import Pixels

__all__ = ["as_rgb", "fitted"]

_BEHIND = 128  # gray, below transparency
_ROWS = 256  # converted at a time


def as_rgb(pixels: Pixels) -> NDArray[np.uint8]:
    """An image (h, w, 1 to 4) of uint8 or uint16 as (h, w, 3) uint8; alpha over middle gray."""
    if pixels.dtype == np.uint8 and pixels.shape[2] == 3:
        return pixels
    result = np.empty((*pixels.shape[:2], 3), np.uint8)
    for top in range(0, len(pixels), _ROWS):
        part = pixels[top : top + _ROWS].astype(np.float32)
        if pixels.dtype == np.uint16:
            part /= 257
        if part.shape[2] in (2, 4):
            alpha = part[..., -1:] / 255
            part = part[..., :-1] * alpha + _BEHIND * (1 - alpha)
        result[top : top + _ROWS] = part.round()  # gray goes into all three
    return result


def fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    """The image made smaller or larger to fit into a box, its shape kept."""
    factor = min(width / image.width, height / image.height)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)
