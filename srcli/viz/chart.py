"""Sparsity by layer as a small chart (AdaFormer, Fig. 4)."""

from PIL import Image, ImageDraw, ImageFont

from srcli.viz.colours import GROUND, HALTED, INK, RGB
from srcli.viz.legend import text_width
from srcli.viz.stats import MaskStats

__all__ = ["WINDOWS", "draw_chart"]

WINDOWS: RGB = (110, 150, 205)  # a blue that stands out from the dark, darker than the yellow
_GRID = (70, 74, 82)


def draw_chart(stats: MaskStats, width: int, height: int, size: int) -> Image.Image:
    """Two bars a layer: the share of windows, and of pixels, that had halted before it.

    Args:
        stats: The numbers.
        width: Px.
        height: Px.
        size: Of the letters, px.
    """
    chart = Image.new("RGB", (width, height), GROUND)
    draw = ImageDraw.Draw(chart)
    font, small = ImageFont.load_default(size), ImageFont.load_default(round(0.85 * size))
    draw.text((size // 2, size // 3), "halted before each layer", INK, font)
    _draw_key(draw, size, round(1.9 * size))
    left, right = round(3.2 * size), width - size // 2
    top, bottom = round(4.4 * size), height - round(2.9 * size)
    for share in (0.0, 0.5, 1.0):
        y = round(bottom - share * (bottom - top))
        draw.line((left, y, right, y), _GRID)
        draw.text((left - size // 3, y), f"{share:.0%}", INK, small, "rm")
    layers = len(stats.halted_windows)
    slot = (right - left) / layers
    bar = max(2, round(0.34 * slot))
    for number in range(layers):
        middle = round(left + (number + 0.5) * slot)
        pair = (
            (stats.halted_windows[number], -bar, WINDOWS),
            (
                stats.halted_pixels[number],
                0,
                HALTED,
            ),
        )
        for share, offset, colour in pair:
            y = round(bottom - share * (bottom - top))
            if y < bottom:
                draw.rectangle((middle + offset, y, middle + offset + bar - 2, bottom), colour)
            label = f"{100 * share:.0f}"
            if text_width(label, round(0.85 * size)) < bar + 2:
                draw.text((middle + offset + bar // 2, y - 2), label, INK, small, "mb")
        draw.text((middle, bottom + size // 3), str(number + 1), INK, font, "ma")
    draw.text(((left + right) // 2, height - size // 4), "layer", INK, small, "md")
    return chart


def _draw_key(draw: ImageDraw.ImageDraw, size: int, top: int) -> None:
    x = size // 2
    for label, colour in (("windows", WINDOWS), ("pixels", HALTED)):
        draw.rectangle((x, top + size // 8, x + size, top + size), colour)
        draw.text((x + round(1.4 * size), top), label, INK, ImageFont.load_default(size))
        x += round(2.8 * size) + text_width(label, size)
