"""TIFF samples of inks and of measured colours, brought to sRGB."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srcli.media.formats.tiff.kinds import Colours
from srcli.media.formats.tiff.samples import empty_pixels
from srcli.media.image import Metadata, Pixels
from srcli.media.pillow_image import pixels_of, srgb_profile, to_rgb

__all__ = ["has_ink_profile", "samples_to_rgb"]

_FULL = 65535
# Of ICC: white of D50, and linear sRGB from XYZ under it.
_WHITE = np.array((0.9642, 1.0, 0.8249))
_LINEAR_SRGB = np.array(
    (
        (3.1338561, -1.6168667, -0.4906146),
        (-0.9787684, 1.9161415, 0.0334540),
        (0.0719453, -0.2289914, 1.4052427),
    )
)
_LAB_KNEE, _LAB_SLOPE = 6 / 29, 3 * (6 / 29) ** 2
_ICC_WHITE_16 = 65280 / 65535  # where 16-bit ICC Lab has L* = 100


def has_ink_profile(colours: Colours, icc: bytes | None) -> bool:
    """Tell if the image is CMYK with a profile for that, which works at 8 bits only."""
    return colours is Colours.CMYK and icc is not None and icc[16:20] == b"CMYK"


def samples_to_rgb(
    samples: Pixels, colours: Colours, metadata: Metadata
) -> tuple[Pixels, Metadata, tuple[str, ...]]:
    """Bring samples to gray or RGB, with alpha where they have it.

    Args:
        samples: (h, w, c), as `decode_samples` gives them.
        colours: What they mean.
        metadata: Whose profile they have.

    Returns:
        The pixels, the metadata that fits them, and what was lost, a line each.
    """
    if colours is Colours.CMYK:
        return _of_inks(samples, metadata)
    if colours in (Colours.CIE_LAB, Colours.ICC_LAB):
        pixels = empty_pixels(samples.shape, samples.itemsize * 8)
        for row, stored in zip(pixels, samples, strict=True):
            row[:, :3] = _of_lab(stored, colours)
            row[:, 3:] = stored[:, 3:]
        return pixels, replace(metadata, icc=srgb_profile()), ()
    return samples, metadata, ()


def _of_inks(samples: Pixels, metadata: Metadata) -> tuple[Pixels, Metadata, tuple[str, ...]]:
    lines: list[str] = []
    if samples.itemsize > 1 and has_ink_profile(Colours.CMYK, metadata.icc):
        samples = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
        lines.append("16 bits read as 8: profiles for CMYK are applied at no more")
    inks, alpha = samples[..., :4], samples[..., 4:]
    size = (samples.shape[1], samples.shape[0])
    pixels = empty_pixels((*samples.shape[:2], samples.shape[2] - 1), samples.itemsize * 8)
    if samples.itemsize == 1:
        image = Image.frombytes("CMYK", size, np.ascontiguousarray(inks).tobytes())
        image, metadata, line = to_rgb(image, metadata)
        pixels[..., :3] = pixels_of(image)
    else:
        _, metadata, line = to_rgb(Image.new("CMYK", (1, 1)), metadata)
        for row, stored in zip(pixels, inks, strict=True):
            row[:, :3] = _by_formula(stored)
    pixels[..., 3:] = alpha
    lines += [line] if line else []
    return pixels, metadata, tuple(lines)


def _by_formula(row: Pixels) -> NDArray[np.uint32]:
    """RGB of a row of inks, (w, 4) uint16 to (w, 3), as `to_rgb` does without a profile."""
    rest = _FULL - row.astype(np.uint32)
    return (rest[:, :3] * rest[:, 3:] + _FULL // 2) // _FULL


def _of_lab(row: Pixels, colours: Colours) -> NDArray[np.float64]:
    """A row of Lab under D50, (w, 3 or 4), as sRGB of the same range, (w, 3), clipped to it."""
    full = int(np.iinfo(row.dtype).max)
    lab = row[:, :3].astype(np.float64) / (full + 1) * 256  # of 8 bits
    if colours is Colours.CIE_LAB:
        lightness = row[:, 0] / full
        a, b = (np.where(lab[:, i] < 128, lab[:, i], lab[:, i] - 256) for i in (1, 2))
    else:
        lightness = row[:, 0] / (full if full == 255 else full * _ICC_WHITE_16)
        a, b = lab[:, 1] - 128, lab[:, 2] - 128
    middle = (lightness * 100 + 16) / 116
    steps = np.stack((middle + a / 500, middle, middle - b / 200), axis=1)
    cubes = np.where(steps > _LAB_KNEE, steps**3, (steps - 4 / 29) * _LAB_SLOPE)
    linear = (cubes * _WHITE @ _LINEAR_SRGB.T).clip(0, 1)
    curved = np.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * np.power(linear, 1 / 2.4) - 0.055
    )
    return np.rint(curved.clip(0, 1) * full)
