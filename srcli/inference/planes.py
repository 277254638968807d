"""Between the images people hold and the planes a network computes.

An image is a numpy array (uint8, uint16, or float in [0, 1]) of shape (h, w), (h, w, 1) gray,
(h, w, 2) gray and alpha, (h, w, 3) RGB or (h, w, 4) RGB and alpha; or a PIL image. Planes are
float32 tensors (c, h, w) in [0, 1], colour and alpha apart.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from srcli.errors import UnreadableImage
from srcli.inference.alpha import bleed
from srcli.inference.device_link import Link, unpack
from srcli.inference.image_conversion import to_array

__all__ = ["Pixels", "Planes", "as_pixels", "quantise", "split_planes"]

Pixels = NDArray[Any]  # of uint8, uint16, float32 or float64

_MAXIMUM: dict[np.dtype[Any], float] = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}
_ROWS = 64
_SLACK = 1e-4  # beyond [0, 1], of sums that were rounded; `quantise` cuts it
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True)
class Planes:
    """An image taken apart.

    Args:
        color: (1 or 3, h, w) float32 in [0, 1]; hidden pixels hold colour bled from visible ones.
        alpha: (1, h, w) float32 in [0, 1], or None.
    """

    color: Tensor
    alpha: Tensor | None


def as_pixels(image: Pixels | Image.Image | Tensor) -> Pixels:
    """Bring an image to an array (h, w, c) of uint8, uint16 or float.

    Raises:
        UnreadableImage: It is of another type or shape, or holds values that are not finite.
    """
    image = to_array(image)
    if not isinstance(image, np.ndarray):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UnreadableImage(
            f"a {type(image).__name__} is not an image: pass an array, a PIL image or a tensor"
        )
    pixels = image[..., None] if image.ndim == 2 else image
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        raise UnreadableImage(
            f"an array of shape {image.shape} is not an image: pass (h, w) or (h, w, 1 to 4)"
        )
    if pixels.dtype not in (*_MAXIMUM, *_FLOATS):
        raise UnreadableImage(
            f"an array of {pixels.dtype} is not an image: pass uint8, uint16 or float in [0, 1]"
        )
    if pixels.dtype in _FLOATS and not np.isfinite(pixels).all():
        raise UnreadableImage("the image holds values that are not finite; hint: clean it first")
    if pixels.dtype in _FLOATS:
        low, high = float(pixels.min()), float(pixels.max())
        if low < -_SLACK or high > 1 + _SLACK:
            raise UnreadableImage(
                f"an image of {pixels.dtype} with values from {low:g} to {high:g}: floats must be "
                "in [0, 1]; divide by 255, or clip what a filter has overshot"
            )
    return pixels


def split_planes(pixels: Pixels, link: Link | None = None) -> Planes:
    """Take an image (h, w, c) apart.

    Args:
        pixels: The image.
        link: To a device on which planes without alpha shall lie; those with alpha lie on the
            host, where hidden colour is filled in.
    """
    height, width, channels = pixels.shape
    if link is not None and channels in (1, 3):
        return Planes(unpack(link.send(pixels)), None)
    planes = torch.empty(channels, height, width)
    maximum = np.float32(_MAXIMUM.get(pixels.dtype, 1.0))
    for top in range(0, height, _ROWS):  # a few rows at a time: whole copies are large
        rows = pixels[top : top + _ROWS].astype(np.float32) / maximum
        planes[:, top : top + _ROWS] = torch.from_numpy(rows).permute(2, 0, 1)
    if planes.shape[0] in (1, 3):
        return Planes(planes, None)
    color, alpha = planes[:-1], planes[-1:]
    return Planes(bleed(color, alpha), alpha)


def quantise(planes: Tensor, out: Pixels) -> None:
    """Write float planes (c, h, w) into an image (h, w, c): clamped, rounded to its type."""
    maximum = _MAXIMUM.get(out.dtype)
    for top in range(0, len(out), _ROWS):  # a few rows at a time: whole copies are large
        rows = planes[:, top : top + _ROWS].clamp(0.0, 1.0)
        if maximum is not None:
            rows.mul_(maximum).round_()
        out[top : top + _ROWS] = rows.permute(1, 2, 0).cpu().numpy()
