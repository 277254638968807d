"""Peak signal-to-noise ratio, as the super-resolution literature measures it."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["luma", "psnr", "psnr_y"]


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The Y of ITU-R BT.601 studio range, unrounded: (h, w, 3) in 0..255 to (h, w) in 16..235."""
    weights = np.array([65.481, 128.553, 24.966]) / 255.0
    return rgb.astype(np.float64) @ weights + 16.0


def psnr_y(sr: NDArray[np.uint8], hr: NDArray[np.uint8], *, crop: int) -> float:
    """PSNR on Y in dB, of 8-bit images, with `crop` HR px left out on each side.

    Args:
        sr: (h, w, 3) uint8.
        hr: (h, w, 3) uint8.
        crop: By custom the scale.

    Returns:
        Decibels; infinite for equal images.

    Raises:
        ValueError: The images differ in size, or nothing is left after cropping.

    >>> flat = np.full((16, 16, 3), 100, np.uint8)
    >>> round(psnr_y(flat, flat + np.uint8(1), crop=4), 2)
    49.45
    """
    if sr.shape != hr.shape:
        raise ValueError(f"SR is {sr.shape} and HR {hr.shape}: PSNR compares equal sizes")
    height, width = sr.shape[:2]
    if min(height, width) <= 2 * crop:
        raise ValueError(f"{width}x{height} px leaves nothing after cropping {crop} px a side")
    inner = (slice(crop, height - crop), slice(crop, width - crop))
    return psnr(luma(sr)[inner], luma(hr)[inner])


def psnr(sr: NDArray[np.float64], hr: NDArray[np.float64]) -> float:
    """PSNR in dB of two arrays of one shape, in 0..255; infinite if they are equal."""
    mse = float(np.mean((sr - hr) ** 2))
    return float("inf") if mse == 0 else float(10 * np.log10(255.0**2 / mse))
