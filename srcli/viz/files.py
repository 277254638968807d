"""Everything that `visualize-mask` writes for one image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from srcli.errors import UnwritableImage
from srcli.inference.planes import Pixels
from srcli.masks import SHEET
from srcli.viz.arrays import save_arrays
from srcli.viz.chart import draw_chart
from srcli.viz.colours import LIVE, SEQUENCE
from srcli.viz.html import build_report
from srcli.viz.legend import NARROWEST, draw_legend
from srcli.viz.map_types import ColourMap, Explained, MapType, Swatch
from srcli.viz.paint import draw_map, over_image, with_legend
from srcli.viz.sheet import draw_sheet
from srcli.viz.stats import MaskStats

__all__ = ["ARRAYS", "REPORT", "MaskFiles", "refuse_too_large", "write_files"]

REPORT = "report.html"
ARRAYS = "maps.npz"
_CHART = 800, 500, 24  # width, height, letters; px
_WEBP_SIDE = 16383


@dataclass(frozen=True)
class MaskFiles:
    """Maps and files to write.

    Args:
        kinds: Kinds of maps.
        layers: Of which layers, 1 for the first.
        image_format: "png" or "webp".
        npz: Write the arrays too.
        html: Write the report too.
    """

    kinds: Sequence[MapType]
    layers: Sequence[int]
    image_format: str
    npz: bool
    html: bool


def refuse_too_large(height: int, width: int, wanted: MaskFiles) -> None:
    """Fail, before anything is computed, for maps that their format cannot hold.

    Args:
        height: Of the result, px. Below it a map has a legend, of one line at least.
        width: Likewise.
        wanted: What to draw.

    Raises:
        UnwritableImage: They cannot be written.
    """
    if wanted.image_format != "webp":
        return
    least = ColourMap(np.zeros((1, 1), np.uint8), SEQUENCE, 1, "-", (Swatch(LIVE, ""),))
    legend = draw_legend(least, max(min(width, _WEBP_SIDE), NARROWEST))
    _refuse_beyond_webp("maps", width, height + legend.height)


def write_files(
    folder: Path,
    explained: Explained,
    pixels: Pixels,
    stats: MaskStats,
    wanted: MaskFiles,
    name: str,
) -> None:
    """Write the maps, the chart, the contact sheet and the other files asked for.

    Args:
        folder: Where; it exists.
        explained: What happened.
        pixels: The input, (h, w, c).
        stats: Its numbers.
        wanted: What to draw.
        name: Of the input.

    Raises:
        UnwritableImage: An image is beyond the limit of its format.
    """
    for kind in wanted.kinds:
        for layer in wanted.layers if kind.per_layer else (0,):
            suffix = f"-{layer}" if kind.per_layer else ""
            image = _draw(kind, layer, explained, pixels)
            _save(image, folder / f"{kind.name}{suffix}.{wanted.image_format}")
    if stats.halted_windows:
        _save(draw_chart(stats, *_CHART), folder / f"sparsity.{wanted.image_format}")
    _save(draw_sheet(explained, pixels, stats, name), folder / SHEET)
    if wanted.npz:
        save_arrays(explained, pixels, folder / ARRAYS)
    if wanted.html:
        report = build_report(explained, pixels, stats, wanted.kinds, name)
        (folder / REPORT).write_text(report, "utf-8")


def _draw(kind: MapType, layer: int, explained: Explained, pixels: Pixels) -> Image.Image:
    extent = pixels.shape[0], pixels.shape[1]
    painted = kind.paint(explained, layer)
    if kind.name == "depth":
        return with_legend(over_image(painted, explained.image, extent), painted)
    return draw_map(painted, (explained.image.shape[0], explained.image.shape[1]), extent)


def _save(image: Image.Image, path: Path) -> None:
    if path.suffix == ".png":
        image.save(path, "PNG", compress_level=3)
        return
    _refuse_beyond_webp(path.name, *image.size)
    if image.mode == "P":  # flat colours: small and exact
        image.convert("RGB").save(path, "WEBP", lossless=True, method=1)
    else:
        image.save(path, "WEBP", quality=90, method=3)


def _refuse_beyond_webp(what: str, width: int, height: int) -> None:
    if max(width, height) > _WEBP_SIDE:
        raise UnwritableImage(
            f"{what}: {width}x{height}, limit of WebP {_WEBP_SIDE} a side; hint: use --format png"
        )
