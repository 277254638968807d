"""Legends: what a map shows, and which colour means what."""

import unicodedata

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from srcli.viz.colours import GROUND, INK
from srcli.viz.map_types import Bar, ColourMap, Swatch

__all__ = ["NARROWEST", "draw_legend", "printable", "text_width"]

NARROWEST = 280  # px; a legend is at least as wide
_MUTED = (160, 166, 174)


def draw_legend(painted: ColourMap, width: int, size: int = 0) -> Image.Image:
    """The legend of a map: its title, then its colours with their numbers.

    Args:
        painted: The map.
        width: Px; at least `NARROWEST`.
        size: Of the letters, px; 0 goes by the width.
    """
    size = size or int(np.clip(width / 48, 13, 64))
    sketch = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    bottom = _draw(sketch, painted, width, size)
    legend = Image.new("RGB", (width, bottom), GROUND)
    _draw(ImageDraw.Draw(legend), painted, width, size)
    return legend


def printable(text: str) -> str:
    """The text in letters that the font has: without accents, "?" for what is left."""
    plain = [c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)]
    missing = _drawn("\uffff")
    return "".join(
        letter if letter == " " or (letter.isprintable() and _drawn(letter) != missing) else "?"
        for letter in plain
    )


def _drawn(letter: str) -> bytes:
    sketch = Image.new("L", (32, 32))
    ImageDraw.Draw(sketch).text((4, 4), letter, 255, ImageFont.load_default(16))
    return sketch.tobytes()


def text_width(text: str, size: int) -> int:
    """Px that a line takes."""
    return round(ImageFont.load_default(size).getlength(text))


def _draw(draw: ImageDraw.ImageDraw, painted: ColourMap, width: int, size: int) -> int:
    """Draw, and return where it ends."""
    pad = size // 2
    draw.text((pad, pad), painted.title, INK, ImageFont.load_default(size))
    top = pad + (round(1.5 * size) if painted.title else 0)
    if isinstance(painted.legend, Bar):
        return _draw_bar(draw, painted.legend, (pad, top, width - pad), size)
    return _draw_swatches(draw, painted.legend, (pad, top, width - pad), size)


def _draw_bar(draw: ImageDraw.ImageDraw, bar: Bar, place: tuple[int, int, int], size: int) -> int:
    left, top, right = place
    right = min(right, left + 32 * size)
    last = len(bar.colours) - 1
    for x in range(left, right):
        colour = bar.colours[round((x - left) / max(right - left - 1, 1) * last)]
        draw.line((x, top, x, top + size), (int(colour[0]), int(colour[1]), int(colour[2])))
    font = ImageFont.load_default(size)
    for number, (position, label) in enumerate(bar.ticks):
        x = left + round(position * (right - left - 1))
        draw.line((x, top + size, x, top + round(1.25 * size)), INK)
        anchor = "la" if number == 0 else "ra" if number == len(bar.ticks) - 1 else "ma"
        draw.text((x, top + round(1.35 * size)), label, INK, font, anchor)
    return top + round(3 * size)


def _draw_swatches(
    draw: ImageDraw.ImageDraw,
    swatches: tuple[Swatch, ...],
    place: tuple[int, int, int],
    size: int,
) -> int:
    left, top, right = place
    font = ImageFont.load_default(size)
    x, step = left, round(1.6 * size)
    for swatch in swatches:
        wide = round(1.4 * size) + round(font.getlength(swatch.label))
        if x > left and x + wide > right:
            x, top = left, top + step
        box = (x, top + round(0.1 * size), x + size, top + round(1.1 * size))
        draw.rectangle(box, swatch.colour, _MUTED)
        draw.text((x + round(1.4 * size), top), swatch.label, INK, font)
        x += wide + round(1.4 * size)
    return top + step + size // 3
