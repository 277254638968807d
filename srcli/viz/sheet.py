"""The contact sheet: one image that tells it all, to be pasted into a chat."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from srcli.inference.planes import Pixels
from srcli.viz.chart import draw_chart
from srcli.viz.colours import GROUND, INK
from srcli.viz.legend import draw_legend, printable, text_width
from srcli.viz.map_types import KINDS, ColourMap, Explained, paint_states, percent
from srcli.viz.paint import Size, enlarge_map, over_image
from srcli.viz.pixels import as_rgb, fitted
from srcli.viz.stats import MaskStats

__all__ = ["draw_sheet", "headline"]

_WIDTH = 1620
_COLUMNS = 3
_GAP = 12
_PANEL = (_WIDTH - (_COLUMNS + 1) * _GAP) // _COLUMNS
_TALLEST = 800
_LOWEST = 300
_TEXT = 19
_CAPTION = round(1.7 * _TEXT)
_TITLE = 28
_ZOOM = 2  # of the details


@dataclass(frozen=True)
class _Panel:
    """One field of the sheet: a caption above, perhaps a legend below."""

    caption: str
    image: Image.Image
    legend: Image.Image | None = None

    @property
    def height(self) -> int:
        return _CAPTION + self.image.height + (0 if self.legend is None else self.legend.height)


def headline(stats: MaskStats) -> str:
    """Cost of an image, in a line."""
    parts: list[str] = []
    if stats.depth_shares:
        parts.append(f"{percent(1 - stats.depth_shares[-1])} of windows stopped early")
    if stats.pure_pixels is not None:
        parts.append(f"{percent(stats.pure_pixels)} of pixels pure")
    parts.append(f"{stats.gflops:.0f} GFLOPs (dense: {stats.dense_gflops:.0f})")
    parts.append(f"{stats.seconds:.1f} s (exact: about {stats.exact_seconds:.1f} s)")
    return ",  ".join(parts)


def draw_sheet(explained: Explained, pixels: Pixels, stats: MaskStats, name: str) -> Image.Image:
    """Original, result, depth, first, middle and last masks, a detail and the sparsity chart.

    Args:
        explained: What happened.
        pixels: The input, (h, w, c).
        stats: Its numbers.
        name: Of the input.
    """
    panels = [*_whole(explained, pixels), *_masks(explained, pixels), *_details(explained, pixels)]
    if explained.layers:
        tall = max(_LOWEST, panels[-1].height)
        panels.append(_Panel("", draw_chart(stats, _PANEL, tall, _TEXT)))
    rows = [panels[start : start + _COLUMNS] for start in range(0, len(panels), _COLUMNS)]
    heights = [max(panel.height for panel in row) for row in rows]
    head = round(1.7 * _TITLE) + round(2.1 * _TEXT)
    sheet = Image.new("RGB", (_WIDTH, head + sum(heights) + _GAP * (len(rows) + 1)), GROUND)
    draw = ImageDraw.Draw(sheet)
    title = f"{_shortened(printable(name))}   {stats.model} x{stats.scale:g}, {stats.effort}"
    draw.text((_GAP, _GAP), title, INK, ImageFont.load_default(_TITLE))
    line = _GAP + round(1.5 * _TITLE)
    draw.text((_GAP, line), headline(stats), INK, ImageFont.load_default(_TEXT))
    top = head + _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, panel in enumerate(row):
            _place(sheet, panel, _GAP + column * (_PANEL + _GAP), top)
        top += height + _GAP
    return sheet


def _place(sheet: Image.Image, panel: _Panel, left: int, top: int) -> None:
    font = ImageFont.load_default(_TEXT)
    ImageDraw.Draw(sheet).text((left, top + 4), panel.caption, INK, font)
    top += _CAPTION if panel.caption else 0
    sheet.paste(panel.image, (left, top))
    if panel.legend is not None:
        sheet.paste(panel.legend, (left, top + panel.image.height))


def _whole(explained: Explained, pixels: Pixels) -> list[_Panel]:
    """The image before and after, and the map that sums up."""
    kind = KINDS["depth" if explained.layers else "pure"]
    painted = kind.paint(explained, 0)
    before, after = (
        fitted(Image.fromarray(as_rgb(image)), _PANEL, _TALLEST)
        for image in (pixels, explained.image)
    )
    height, width, _ = pixels.shape
    larger = f"{explained.image.shape[1]} x {explained.image.shape[0]}"
    return [
        _Panel(f"original, {width} x {height}", before),
        _Panel(f"result, {larger}", after),
        _Panel(
            painted.title,
            over_image(painted, np.asarray(after), (height, width)),
            _legend(painted),
        ),
    ]


def _masks(explained: Explained, pixels: Pixels) -> list[_Panel]:
    """First, middle and last masks; before the first layer nothing can have halted."""
    if not explained.layers:
        return [_map_panel(KINDS["classes"].paint(explained, 0), pixels)]
    last = len(explained.layers)
    numbers = sorted({min(2, last), (last + 3) // 2, last})
    return [_map_panel(paint_states(explained, n), pixels) for n in numbers]


def _map_panel(painted: ColourMap, pixels: Pixels) -> _Panel:
    extent = pixels.shape[0], pixels.shape[1]
    factor = min(_PANEL / extent[1], _TALLEST / extent[0])
    size = max(1, round(extent[0] * factor)), max(1, round(extent[1] * factor))
    image = Image.fromarray(painted.palette[enlarge_map(painted, size, extent)])
    return _Panel(painted.title, image, _legend(painted))


def _details(explained: Explained, pixels: Pixels) -> list[_Panel]:
    """The part the network worked on most, before and after, at twice its size."""
    height, width, _ = pixels.shape
    scale = explained.image.shape[1] / width
    wide = min(width, round(_PANEL / _ZOOM / scale))
    tall = min(height, round(_LOWEST / _ZOOM / scale))
    left, top = _busiest(explained, wide, tall, (height, width))
    before = as_rgb(pixels[top : top + tall, left : left + wide])
    sr_top, sr_left = round(top * scale), round(left * scale)
    sr_tall, sr_wide = max(1, round(tall * scale)), max(1, round(wide * scale))
    after = as_rgb(explained.image[sr_top : sr_top + sr_tall, sr_left : sr_left + sr_wide])
    shown = [fitted(Image.fromarray(part), _PANEL, _LOWEST) for part in (before, after)]
    return [
        _Panel("a detail of the original", shown[0]),
        _Panel("the same of the result", shown[1]),
    ]


def _busiest(explained: Explained, wide: int, tall: int, extent: Size) -> tuple[int, int]:
    """Left and top of the box of `wide` × `tall` LR px that took the most layers and pixels."""
    if explained.layers:
        work = np.stack([~layer.global_mask for layer in explained.layers]).sum(0)
    else:
        assert explained.pure is not None
        work = (~explained.pure.mask).astype(np.int64)
    total = np.pad(work[: extent[0], : extent[1]].cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    boxes = (
        total[tall:, wide:] - total[:-tall, wide:] - total[tall:, :-wide] + total[:-tall, :-wide]
    )
    top, left = np.unravel_index(boxes.argmax(), boxes.shape)
    return int(left), int(top)


def _legend(painted: ColourMap) -> Image.Image:
    return draw_legend(replace(painted, title=""), _PANEL, round(0.85 * _TEXT))


def _shortened(name: str) -> str:
    """A long file name, its middle left out."""
    while text_width(name, _TITLE) > _WIDTH * 0.6:
        half = len(name) // 2
        name = f"{name[: half - 3]}...{name[half + 3 :]}"
    return name
