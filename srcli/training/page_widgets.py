"""Widgets in the interfaces of training pages: buttons, boxes to tick, sliders, icons."""

import numpy as np
from PIL import ImageDraw

from srcli.training.page_canvas import Box, Canvas, Colour, Theme, inset

__all__ = ["button", "icon", "slider", "tick_box"]


def button(canvas: Canvas, box: Box, theme: Theme, colour: Colour) -> None:
    """A box with a 1-px edge, its corners round or not."""
    if canvas.random.random() < 0.5:
        canvas.fill(box, colour)
        canvas.outline(box, theme.faint)
        return
    radius = int(canvas.random.integers(2, 8))
    for edge, painted in ((0, theme.faint), (1, colour)):
        width, height = box[2] - box[0] - 2 * edge, box[3] - box[1] - 2 * edge

        def rounded(draw: ImageDraw.ImageDraw, px: int, w: int = width, h: int = height) -> None:
            draw.rounded_rectangle((0, 0, w * px - 1, h * px - 1), radius * px, fill=255)

        canvas.smooth(inset(box, edge), painted, rounded)


def tick_box(canvas: Canvas, box: Box, theme: Theme, accent: Colour) -> None:
    """A square or a ring, ticked or not."""
    side = box[3] - box[1]
    ticked = canvas.random.random() < 0.5
    if canvas.random.random() < 0.6:
        canvas.outline(box, theme.ink)
        points = [(0.2, 0.5), (0.42, 0.75), (0.8, 0.25)]
        if ticked:
            canvas.smooth(box, accent, lambda draw, px: draw.line(
                [(x * side * px, y * side * px) for x, y in points], 255, 2 * px
            ))  # fmt: skip
        return
    whole = side - 1
    canvas.smooth(box, theme.ink, lambda draw, px: draw.ellipse(
        (0, 0, whole * px, whole * px), outline=255, width=px
    ))  # fmt: skip
    if ticked:
        canvas.smooth(box, accent, lambda draw, px: draw.ellipse(
            (3 * px, 3 * px, (whole - 3) * px, (whole - 3) * px), fill=255
        ))  # fmt: skip


def slider(canvas: Canvas, box: Box, theme: Theme, accent: Colour) -> None:
    """A line with a knob on it, or a bar of progress."""
    left, top, right, bottom = box
    middle, at = (top + bottom) // 2, int(canvas.random.integers(left, right))
    if canvas.random.random() < 0.5:
        canvas.fill((left, middle - 2, right, middle + 3), theme.faint)
        canvas.fill((left, middle - 2, at, middle + 3), accent)
        return
    canvas.fill((left, middle, right, middle + 1), theme.ink)
    knob = min(at, right - 9)
    canvas.smooth((knob, middle - 4, knob + 9, middle + 5), accent, lambda draw, px: draw.ellipse(
        (0, 0, 9 * px - 1, 9 * px - 1), fill=255
    ))  # fmt: skip


def icon(canvas: Canvas, box: Box, colour: Colour) -> None:
    """A mirrored pattern of squares, a lens, a cross, bars, an arrow or a ring."""
    random = canvas.random
    side = min(box[2] - box[0], box[3] - box[1])
    kind = int(random.integers(6))
    bits = random.random((5, 3)) < 0.55
    width = int(random.integers(1, 3))

    def paint(draw: ImageDraw.ImageDraw, px: int) -> None:
        full, line = side * px, width * px
        low, middle, high = 0.2 * full, 0.5 * full, 0.8 * full
        if kind == 0:
            for row, column in np.argwhere(np.hstack([bits, bits[:, 1::-1]])):
                corner = (float(column) * full / 5, float(row) * full / 5)
                draw.rectangle((*corner, corner[0] + full / 5 - 1, corner[1] + full / 5 - 1), 255)
        elif kind == 1:
            draw.ellipse((low, low, 0.65 * full, 0.65 * full), outline=255, width=line)
            draw.line((0.6 * full, 0.6 * full, high, high), 255, line)
        elif kind == 2:
            draw.line((low, low, high, high), 255, line)
            draw.line((high, low, low, high), 255, line)
        elif kind == 3:
            for y in (low, middle, high):
                draw.rectangle((low, y, high, y + line - 1), 255)
        elif kind == 4:
            draw.polygon([(low, low), (high, middle), (low, high)], 255)
        else:
            draw.arc((low, low, high, high), 40, 320, 255, line)

    canvas.smooth((box[0], box[1], box[0] + side, box[1] + side), colour, paint)
