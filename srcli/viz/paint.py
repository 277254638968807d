"""Maps at the size of the result, with crisp windows and a legend below."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srcli.inference.planes import Pixels
from srcli.viz.colours import GROUND, INK
from srcli.viz.legend import NARROWEST, draw_legend
from srcli.viz.map_types import ColourMap
from srcli.viz.pixels import as_rgb

__all__ = ["Size", "draw_map", "enlarge_map", "over_image", "with_legend"]

Size = tuple[int, int]
"""Height and width, px."""

_SHADES = 16  # of gray for the legend's letters, behind the map's colours in the palette
_ROWS = 256  # of the result that are blended at a time
_AROUND = 24  # px to a side of what counts as surroundings
_FINE, _BROAD = 0.6, 0.15  # how strongly an image shows through: its details, its brightness
_LINE = 0.4  # how dark a line is between what differs


def enlarge_map(painted: ColourMap, size: Size, extent: Size) -> NDArray[np.uint8]:
    """The cells of a map at another size: every pixel takes the cell that it lies in.

    Args:
        painted: The map; it may reach beyond the image.
        size: What is wanted.
        extent: Of the image, LR px.
    """
    rows, columns = (
        ((np.arange(length) + 0.5) * lr / length).astype(np.intp) // painted.unit
        for length, lr in zip(size, extent, strict=True)
    )
    return painted.cells.take(columns, axis=1)[rows]


def draw_map(painted: ColourMap, size: Size, extent: Size) -> Image.Image:
    """A map as an image with a palette: `size` for the map (see `enlarge`), below its legend."""
    width = max(size[1], NARROWEST)
    legend = np.asarray(draw_legend(painted, width))
    level = np.linspace(0.0, 1.0, _SHADES)[:, None]
    shades = (np.array(GROUND) * (1 - level) + np.array(INK) * level).round().astype(np.uint8)
    palette = np.concatenate([painted.palette, shades])
    canvas = np.full((size[0] + len(legend), width), len(painted.palette), np.uint8)
    canvas[: size[0], : size[1]] = enlarge_map(painted, size, extent)
    canvas[size[0] :] = _nearest(legend, palette)
    image = Image.fromarray(canvas)
    image.putpalette(palette.tobytes())
    return image


def _nearest(image: NDArray[np.uint8], palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """For each pixel (h, w, 3) the number of the nearest of the palette's colours."""
    codes = image.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    different, places = np.unique(codes, return_inverse=True)
    colours = np.stack([different >> 16, different >> 8 & 255, different & 255], -1)
    distance = ((colours[:, None].astype(np.int64) - palette) ** 2).sum(-1)
    return distance.argmin(1).astype(np.uint8)[places].reshape(codes.shape)


def over_image(painted: ColourMap, image: Pixels, extent: Size) -> Image.Image:
    """A map laid over an image, which shows through as relief; lines part what differs.

    The relief is what the image's brightness is above or below that of its surroundings, so
    that on the whole every cell keeps the colour that the legend gives it.

    Args:
        painted: The map.
        image: (h, w, c), any size.
        extent: Of the image, LR px.
    """
    height, width = image.shape[:2]
    cells = enlarge_map(painted, (height, width), extent)
    edge = _edges(cells, max(1, round(min(height / extent[0], 4) / 2)))
    gray = Image.fromarray(as_rgb(image)).convert("L")
    around = gray.resize([-(-side // _AROUND) for side in gray.size], Image.Resampling.BOX)
    result = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _ROWS):
        rows = slice(top, min(top + _ROWS, height))
        band = (
            0,
            rows.start / height * around.height,
            around.width,
            rows.stop / height * around.height,
        )
        low = around.resize((width, rows.stop - top), Image.Resampling.BILINEAR, band)
        low = np.asarray(low, np.float32)
        fine = np.asarray(gray.crop((0, top, width, rows.stop)), np.float32) - low
        blended = painted.palette[cells[rows]] + (_FINE * fine + _BROAD * (low - 128))[..., None]
        blended[edge[rows]] *= _LINE
        result[rows] = blended.clip(0, 255).round().astype(np.uint8)
    return Image.fromarray(result)


def with_legend(image: Image.Image, painted: ColourMap) -> Image.Image:
    """An RGB image with a map's legend below."""
    legend = draw_legend(painted, max(image.width, NARROWEST))
    whole = Image.new("RGB", (legend.width, image.height + legend.height), GROUND)
    whole.paste(image, (0, 0))
    whole.paste(legend, (0, image.height))
    return whole


def _edges(cells: NDArray[np.uint8], line: int) -> NDArray[np.bool_]:
    """Where one colour meets another: the `line` pixels right of and below each border."""
    across = np.zeros(cells.shape, np.bool_)
    down = np.zeros(cells.shape, np.bool_)
    across[:, 1:] = cells[:, 1:] != cells[:, :-1]
    down[1:] = cells[1:] != cells[:-1]
    edge = across | down
    for offset in range(1, line):
        edge[:, offset:] |= across[:, : cells.shape[1] - offset]
        edge[offset:] |= down[: len(cells) - offset]
    return edge
