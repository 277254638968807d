"""Structural similarity, as the super-resolution literature measures it."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["WINDOW", "ssim"]

WINDOW = 11  # px; the shorter side must have as many
_SIGMA = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(sr: NDArray[np.float64], hr: NDArray[np.float64]) -> float:
    """Mean SSIM of two planes (h, w) in 0..255: Gaussian window 11 × 11, σ 1.5, valid part only.

    Raises:
        ValueError: The planes differ in size, or are smaller than the window.

    >>> ramp = np.arange(400.0).reshape(20, 20) % 255
    >>> round(ssim(ramp, ramp), 6)
    1.0
    """
    if sr.shape != hr.shape:
        raise ValueError(f"SR is {sr.shape} and HR {hr.shape}: SSIM compares equal sizes")
    if min(sr.shape) < WINDOW:
        raise ValueError(f"{sr.shape[1]}x{sr.shape[0]} px is smaller than SSIM's window, {WINDOW}")
    mean_a, mean_b = _blur(sr), _blur(hr)
    var_a = _blur(sr * sr) - mean_a**2
    var_b = _blur(hr * hr) - mean_b**2
    covariance = _blur(sr * hr) - mean_a * mean_b
    structure = (2 * covariance + _C2) / (var_a + var_b + _C2)
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return float(np.mean(structure * luminance))


def _blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means under the Gaussian, where all of the window lies inside."""
    offset = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(offset**2) / (2 * _SIGMA**2))
    weights /= weights.sum()
    height, width = plane.shape[0] - WINDOW + 1, plane.shape[1] - WINDOW + 1
    down = np.zeros((height, plane.shape[1]))
    for tap, weight in enumerate(weights):
        down += weight * plane[tap : tap + height]
    across = np.zeros((height, width))
    for tap, weight in enumerate(weights):
        across += weight * down[:, tap : tap + width]
    return across
