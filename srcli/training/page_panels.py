"""Panels of training pages: text, code, tables, interfaces, plots and pictures."""

import numpy as np
from PIL import Image, ImageDraw

from srcli.training.page_canvas import Box, Canvas, Colour, Theme, inset, one_of, random_words
from srcli.training.page_widgets import button, icon, slider, tick_box

__all__ = ["paint_panel"]

_FONT_SIZES = (9, 10, 11, 12, 13, 14, 16, 18, 21, 24, 28, 34, 40)  # layout px
_SMALL_SIZES = _FONT_SIZES[:6]


def paint_panel(canvas: Canvas, box: Box, theme: Theme) -> None:
    """Paint a box with content of a random kind."""
    canvas.fill(box, theme.paper)
    kind = int(canvas.random.choice(len(_PAINTERS), p=_PAINTER_SHARES))
    _PAINTERS[kind](canvas, box, theme)


def _column(canvas: Canvas, box: Box, theme: Theme) -> None:
    """Paragraphs under a heading; scripts that run leftwards stand at the right."""
    random, fonts = canvas.random, canvas.fonts
    script = fonts.choose_script(random)
    font, size = fonts.choose(random, script), _text_size(random)
    left, y, right, bottom = inset(box, 6)
    leading = size * random.uniform(1.2, 1.6)
    colour = theme.ink
    while y < bottom - size:
        is_heading = random.random() < 0.08
        if is_heading:
            font, size = fonts.choose(random, script), _text_size(random)
            leading = size * random.uniform(1.2, 1.6)
            colour = one_of(random, theme.accents) if random.random() < 0.4 else theme.ink
        words = random_words(random, script, 30)
        while len(words) > 1 and canvas.text_width(" ".join(words), font, size) > right - left:
            words.pop()
        if random.random() < 0.15:
            words = words[: max(1, len(words) // 2)]
        line = " ".join(words)
        width = canvas.text_width(line, font, size)
        x = max(left, right - width) if script in {"hebrew", "arabic"} else left
        canvas.text((x, y), line, font, size, colour)
        if random.random() < 0.06:
            baseline = int(y + size * 1.15)
            canvas.fill((int(x), baseline, min(right, int(x + width)), baseline + 1), colour)
        y = int(y + leading)


def _code(canvas: Canvas, box: Box, theme: Theme) -> None:
    """Indented lines of coloured words behind their numbers."""
    random = canvas.random
    font = canvas.fonts.choose(random, "latin", fixed=True)
    size = one_of(random, _SMALL_SIZES)
    left, y, right, bottom = inset(box, 3)
    gutter = int(canvas.text_width("000 ", font, size))
    indent, number = 0, int(random.integers(1, 900))
    while y < bottom - size:
        if random.random() < 0.06:
            canvas.fill((left, y, right, y + int(size * 1.3)), _mixed(theme.paper, theme.faint))
        canvas.text((left, y), f"{number:3}", font, size, theme.faint)
        indent = max(0, min(5, indent + int(random.integers(-1, 2))))
        x = left + gutter + indent * 2 * canvas.text_width(" ", font, size)
        for word in random_words(random, "latin", int(random.integers(0, 7))):
            token = one_of(random, ("{}", "{}()", "{} =", '"{}"', "{}:", "[{}]", "{};", "# {}"))
            token = token.format(word.strip(",.").lower())
            width = canvas.text_width(token + " ", font, size)
            if x + width > right:
                break
            colour = one_of(random, [theme.ink, theme.ink, *theme.accents])
            canvas.text((x, y), token, font, size, colour)
            x += width
        y, number = y + int(size * 1.3), number + 1


def _table(canvas: Canvas, box: Box, theme: Theme) -> None:
    """Rows and columns of words and numbers, with 1-px rules, bands or both."""
    random = canvas.random
    script = canvas.fonts.choose_script(random)
    font, size = canvas.fonts.choose(random, script), one_of(random, _SMALL_SIZES)
    figures = canvas.fonts.choose(random, "latin")
    left, top, right, bottom = inset(box, 4)
    row, column = size + int(random.integers(5, 12)), int(random.integers(38, 110))
    banded, ruled = random.random() < 0.4, random.random() < 0.8
    for index, y in enumerate(range(top, bottom - row, row)):
        if banded and index % 2:
            canvas.fill((left, y, right, y + row), _mixed(theme.paper, theme.faint))
        for x in range(left, right - column, column):
            is_number = random.random() < 0.5
            number = f"{random.normal() * 100:.{int(random.integers(0, 3))}f}"
            text = number if is_number else _random_label(canvas, script)
            face = figures if is_number else font
            if canvas.text_width(text, face, size) < column - 6:
                canvas.text((x + 4, y + 2), text, face, size, theme.ink)
            if ruled:
                canvas.outline((x, y, x + column + 1, y + row + 1), theme.faint)


def _interface(canvas: Canvas, box: Box, theme: Theme) -> None:
    """Buttons, boxes to tick, fields, sliders and icons in rows below a title bar."""
    random = canvas.random
    script = canvas.fonts.choose_script(random)
    font, size = canvas.fonts.choose(random, script), one_of(random, _SMALL_SIZES)
    left, top, right, bottom = inset(box, int(random.integers(3, 9)))
    accent = one_of(random, theme.accents)
    high = size + int(random.integers(6, 12))
    canvas.fill((box[0], box[1], box[2], top + high), one_of(random, [accent, theme.faint]))
    canvas.text((left, top + 2), _random_label(canvas, script), font, size, theme.paper)
    x, y = left, top + high + 6
    while y + high < bottom:
        label = _random_label(canvas, script)
        width = int(canvas.text_width(label, font, size)) + 14
        kind = int(random.integers(6))
        width = high if kind == 0 else width + high if kind == 1 else width
        if x + width > right and x > left:
            x, y = left, y + high + int(random.integers(3, 9))
            continue
        place = (x, y, min(x + width, right), y + high)
        if kind == 0:
            icon(canvas, place, one_of(random, [theme.ink, accent]))
        elif kind == 1:
            tick_box(canvas, (x, y + 2, x + high - 4, y + high - 2), theme, accent)
            canvas.text((x + high, y + 2), label, font, size, theme.ink)
        elif kind == 2:
            slider(canvas, place, theme, accent)
        else:
            button(canvas, place, theme, accent if kind == 3 else theme.paper)
            colour = theme.paper if kind == 3 else theme.ink
            canvas.text((x + 7, y + 2), label, font, size, colour)
        x += width + int(random.integers(3, 12))


def _plot(canvas: Canvas, box: Box, theme: Theme) -> None:
    """Axes with ticks and numbers, a grid, curves, bars or points, and a legend."""
    random = canvas.random
    font, size = canvas.fonts.choose(random, "latin"), one_of(random, _SMALL_SIZES[:4])
    margin = int(size * 2.4)
    area = (box[0] + margin, box[1] + size + 6, box[2] - 6, box[3] - size - 8)
    left, top, right, bottom = area
    if right - left < 20 or bottom - top < 20:
        return
    canvas.text((left, box[1] + 2), _random_label(canvas, "latin"), font, size, theme.ink)
    gap, gridded = int(random.integers(15, 45)), random.random() < 0.6
    pale = _mixed(theme.paper, theme.faint)
    for index, x in enumerate(range(left, right, gap)):
        canvas.fill((x, top if gridded else bottom, x + 1, bottom), pale)
        canvas.fill((x, bottom, x + 1, bottom + 3), theme.ink)
        canvas.text((x - 3, bottom + 3), f"{index * 5}", font, size, theme.ink)
    for index, y in enumerate(range(bottom, top, -gap)):
        canvas.fill((left, y - 1, right if gridded else left, y), pale)
        canvas.fill((left - 3, y - 1, left, y), theme.ink)
        canvas.text((box[0] + 2, y - size // 2 - 2), f"{index / 5:.1f}", font, size, theme.ink)
    for accent in theme.accents[: int(random.integers(1, 5))]:
        _series(canvas, area, accent)
    canvas.fill((left, top, left + 1, bottom), theme.ink)
    canvas.fill((left, bottom - 1, right, bottom), theme.ink)
    if random.random() < 0.6:
        _legend(canvas, (right - 5 * size, top + 3), theme, size)


def _series(canvas: Canvas, area: Box, colour: Colour) -> None:
    """A curve one or two layout px wide, bars or points, by a random walk."""
    random = canvas.random
    width, height = area[2] - area[0], area[3] - area[1]
    values = np.cumsum(random.normal(size=int(random.integers(5, 60)))) * random.uniform(0.03, 0.2)
    heights = (0.5 + 0.45 * np.tanh(values)) * height
    places = np.linspace(0.0, width, len(heights))
    kind, line = int(random.integers(4)), int(random.integers(1, 3))
    if kind == 0:
        for x, high in zip(places[:-1], heights, strict=False):
            base = area[0] + int(x)
            bar = (base, area[3] - int(high), base + max(1, width // len(heights) - 2), area[3])
            canvas.fill(bar, colour)
        return

    def paint(draw: ImageDraw.ImageDraw, px: int) -> None:
        points = [(x * px, y * px) for x, y in zip(places.tolist(), heights.tolist(), strict=True)]
        if kind == 1:
            for x, y in points:
                draw.ellipse((x - 2 * px, y - 2 * px, x + 2 * px, y + 2 * px), 255)
        else:
            draw.line(points, 255, line * px)

    canvas.smooth(area, colour, paint)


def _legend(canvas: Canvas, xy: tuple[int, int], theme: Theme, size: int) -> None:
    """A framed list of the curves' names."""
    x, y = xy
    box = (x, y, x + 5 * size, y + int(2.8 * size))
    canvas.fill(box, theme.paper)
    canvas.outline(box, theme.faint)
    font = canvas.fonts.choose(canvas.random, "latin")
    for index, accent in enumerate(theme.accents[:2]):
        row = y + 2 + int(index * 1.3 * size)
        canvas.fill((x + 3, row + size // 2, x + 3 + size, row + size // 2 + 1), accent)
        canvas.text((x + 6 + size, row), one_of(canvas.random, ("ours", "LR", "all", "sum")), font,
                    size, theme.ink)  # fmt: skip


def _picture(canvas: Canvas, box: Box, theme: Theme) -> None:
    """A gradient or clouds of noise, like a photograph out of focus, with a caption on it."""
    random = canvas.random
    clouds = np.zeros((64, 64, 3))
    for octave in (2, 4, 8, 16, 32)[: int(random.integers(1, 6))]:
        coarse = Image.fromarray(random.integers(0, 256, (octave, octave, 3), np.uint8))
        clouds += np.asarray(coarse.resize((64, 64), Image.Resampling.BICUBIC)) / octave
    clouds *= 255 / clouds.max()
    place = inset(box, int(random.integers(0, 12)))
    canvas.picture(place, clouds.astype(np.uint8))
    font, size = canvas.fonts.choose(random, "latin"), one_of(random, _FONT_SIZES)
    colour = one_of(random, [theme.paper, theme.ink])
    label = _random_label(canvas, "latin")
    canvas.text((place[0] + 5, place[3] - 1.5 * size), label, font, size, colour)


def _text_size(random: np.random.Generator) -> int:
    """Small more often than not: that is what is hard to read when enlarged."""
    return one_of(random, _SMALL_SIZES if random.random() < 0.6 else _FONT_SIZES)


def _random_label(canvas: Canvas, script: str) -> str:
    """One word or two."""
    words = random_words(canvas.random, script, int(canvas.random.integers(1, 3)))
    return " ".join(words).strip(",.")


def _mixed(paper: Colour, faint: Colour) -> Colour:
    """A colour between two, nearer to the first."""
    red, green, blue = ((3 * a + b) // 4 for a, b in zip(paper, faint, strict=True))
    return red, green, blue


_PAINTERS = (_column, _interface, _table, _code, _plot, _picture)
_PAINTER_SHARES = (0.34, 0.24, 0.1, 0.12, 0.14, 0.06)
