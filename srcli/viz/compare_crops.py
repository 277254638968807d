"""Parts of an image to be looked at closely: of its result, and of its bicubic enlargement."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from srcli.media import DecodedImage, Pixels, rgb_profile
from srcli.viz.pixels import as_rgb, fitted

__all__ = [
    "LARGEST_DETAIL",
    "Region",
    "bicubic_crop",
    "choose_regions",
    "result_crop",
    "srgb_conversion",
    "thumbnail",
]

LARGEST_DETAIL = 1024, 680  # width, height; px of the result
_LEAST_TEXTURE = 0.25  # of the most textured place's, below which a place shows nothing
_APART = 2 / 3  # of a side, from the corner of a place to that of one that overlaps it
_CELLS = 8  # to a detail's side, of the grid in which texture is added up
_THUMBNAIL = 640  # px a side


@dataclass(frozen=True)
class Region:
    """A rectangle in px of the result."""

    left: int
    top: int
    width: int
    height: int


def choose_regions(pixels: Pixels, width: int, height: int, most: int) -> tuple[Region, ...]:
    """The most textured places of an image, best first; they overlap little.

    Texture is the sum of the differences between neighbouring pixels of the input.

    Args:
        pixels: The input, (h, w, c).
        width: Of the result, px.
        height: Likewise.
        most: Number of places; fewer if the others are much less textured.
    """
    wide, high = min(width, LARGEST_DETAIL[0]), min(height, LARGEST_DETAIL[1])
    covered = pixels.shape[1] * wide / width, pixels.shape[0] * high / height  # px of the input
    cell = max(1, int(min(covered) / _CELLS))
    texture = _texture(pixels, cell)
    rows = min(len(texture), max(1, round(covered[1] / cell)))
    columns = min(texture.shape[1], max(1, round(covered[0] / cell)))
    sums = _window_sums(texture, rows, columns)
    regions: list[Region] = []
    for row, column in _best_places(sums, (rows, columns), most):
        left = round(column * cell * width / pixels.shape[1])
        top = round(row * cell * height / pixels.shape[0])
        regions.append(Region(min(left, width - wide), min(top, height - high), wide, high))
    return tuple(regions) or (Region((width - wide) // 2, (height - high) // 2, wide, high),)


def _best_places(
    sums: NDArray[np.float64], window: tuple[int, int], most: int
) -> list[tuple[int, int]]:
    """Corners of the windows with the largest sums: a third of the image apart, or overlapping."""
    least = _LEAST_TEXTURE * sums.max()
    chosen: list[tuple[int, int]] = []
    for apart in (
        [max(side, total // 3) for side, total in zip(window, sums.shape, strict=True)],
        window,
        [math.ceil(_APART * side) for side in window],
    ):
        left = sums.copy()
        while True:
            for row, column in chosen:
                down = slice(max(0, row - apart[0] + 1), row + apart[0])
                left[down, max(0, column - apart[1] + 1) : column + apart[1]] = 0
            if len(chosen) == most or left.max() <= least:
                break
            row, column = divmod(int(left.argmax()), left.shape[1])
            chosen.append((row, column))
    return chosen


def _texture(pixels: Pixels, cell: int) -> NDArray[np.float64]:
    """Sums of the differences between neighbours, by cells of so many px to a side."""
    height, width = pixels.shape[:2]
    rows: list[NDArray[np.int64]] = []
    for top in range(0, height, cell):  # a row of cells at a time: whole copies are large
        band = as_rgb(pixels[top : top + cell + 1]).sum(2, dtype=np.int32)
        across = np.abs(np.diff(band[:cell], axis=1, append=band[:cell, -1:])).sum(0)
        down = np.abs(np.diff(band, axis=0)).sum(0)
        rows.append(np.pad(across + down, (0, -width % cell)).reshape(-1, cell).sum(1))
    return np.array(rows, np.float64)


def _window_sums(values: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """Sums of all windows of rows × columns cells that lie within."""
    total = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return (
        total[rows:, columns:]
        - total[:-rows, columns:]
        - total[rows:, :-columns]
        + total[:-rows, :-columns]
    )


def result_crop(pixels: Pixels, region: Region) -> Image.Image:
    """A region of the result (h, w, c), as 8-bit RGB."""
    rows = slice(region.top, region.top + region.height)
    columns = slice(region.left, region.left + region.width)
    return Image.fromarray(as_rgb(pixels[rows, columns]))


def bicubic_crop(pixels: Pixels, region: Region, width: int, height: int) -> Image.Image:
    """A region of an image's bicubic enlargement, of which nothing else is computed.

    Args:
        pixels: The input, (h, w, c).
        region: Of the enlargement.
        width: Of the whole enlargement, px.
        height: Likewise.
    """
    x, across = _span(region.left, region.width, pixels.shape[1], width)
    y, down = _span(region.top, region.height, pixels.shape[0], height)
    part = Image.fromarray(as_rgb(pixels[y, x]))
    box = across[0], down[0], across[1], down[1]
    return part.resize((region.width, region.height), Image.Resampling.BICUBIC, box)


def _span(start: int, length: int, size: int, enlarged: int) -> tuple[slice, tuple[float, float]]:
    """The input's pixels that a span of the enlargement is made of, and where among them it is."""
    step = size / enlarged
    first, last = start * step, (start + length) * step
    margin = math.ceil(2 * max(1.0, step)) + 1  # that the kernel reaches
    begin = max(0, math.floor(first) - margin)
    end = min(size, math.ceil(last) + margin)
    return slice(begin, end), (first - begin, min(last, size) - begin)


def thumbnail(pixels: Pixels) -> Image.Image:
    """The whole image (h, w, c), as 8-bit RGB of at most 640 px a side."""
    thin = max(1, max(pixels.shape[:2]) // (2 * _THUMBNAIL))
    bands = [
        np.asarray(Image.fromarray(as_rgb(pixels[top : top + 64 * thin])).reduce(thin))
        for top in range(0, len(pixels), 64 * thin)
    ]
    whole = Image.fromarray(np.concatenate(bands))
    return fitted(whole, _THUMBNAIL, _THUMBNAIL) if max(whole.size) > _THUMBNAIL else whole


def srgb_conversion(image: DecodedImage) -> Callable[[Image.Image], Image.Image]:
    """Conversion of parts of an image to sRGB; the identity without a colour profile."""
    profile = rgb_profile(image.metadata)
    if profile is None:
        return _unchanged
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),  # pyright: ignore[reportUnknownArgumentType]
            *("RGB", "RGB"),
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, OSError):  # a damaged profile, or one of other colours
        return _unchanged

    def convert(part: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(part, transform)
        assert converted is not None, "it was not asked for in place"
        return converted

    return convert


def _unchanged(part: Image.Image) -> Image.Image:
    return part
