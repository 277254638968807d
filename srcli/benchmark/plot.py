"""A run as an image: quality against latency, and what halted by layer."""

import math
from collections.abc import Mapping, Sequence
from typing import IO

from PIL import Image, ImageDraw, ImageFont

from srcli.benchmark.results import Run, Summary, summaries

__all__ = ["draw_run"]

_WIDTH, _HEIGHT, _MARGIN = 900, 620, 90
_INK, _GRID, _PAPER = "#1b1b1b", "#d9d9d9", "#ffffff"
# Okabe and Ito's colours, which colour-blind people can tell apart.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8a7f00", "#555555")


def draw_run(run: Run, file: IO[bytes]) -> None:
    """Write a PNG: PSNR against latency, bubbles as large as GFLOPs; below, halted shares.

    Without quality the first panel shows latency alone; without halting there is no second. What
    equals the original has no place on the axis: identical images are not in the mean.
    """
    found = summaries(run)
    colours = {one.contender: _COLOURS[n % len(_COLOURS)] for n, one in enumerate(found)}
    with_quality = [one for one in found if one.psnr is not None]
    with_layers = [one for one in found if any(one.halted_windows)]
    first = _quality_panel(with_quality, run, colours) if with_quality else None
    panels = [first or _latency_panel(found, run, colours)]
    if with_layers:
        panels.append(_sparsity_panel(with_layers, colours))
    sheet = Image.new("RGB", (_WIDTH, _HEIGHT * len(panels)), _PAPER)
    for number, panel in enumerate(panels):
        sheet.paste(panel.image, (0, number * _HEIGHT))
    sheet.save(file, format="PNG")


class _Panel:
    """Axes with a grid, in data units."""

    def __init__(
        self, title: str, x: tuple[str, list[float]], y: tuple[str, list[float]], decimals: int
    ) -> None:
        self.image = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self._x, self._y = x[1], y[1]
        self.text((_MARGIN, 24), title, 22)
        self.text((_WIDTH // 2, _HEIGHT - 24), x[0], 16, "mm")
        self.text((_MARGIN, _MARGIN - 20), y[0], 16, "lm")
        for tick in self._x:
            left, _ = self.place(tick, self._y[0])
            self.draw.line([(left, _MARGIN), (left, _HEIGHT - _MARGIN)], _GRID)
            self.text((left, _HEIGHT - _MARGIN + 16), f"{tick:g}", 14, "mm")
        for tick in self._y:
            _, top = self.place(self._x[0], tick)
            self.draw.line([(_MARGIN, top), (_WIDTH - _MARGIN, top)], _GRID)
            self.text((_MARGIN - 10, top), f"{tick:.{decimals}f}", 14, "rm")

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Data units to pixels."""
        across = (x - self._x[0]) / (self._x[-1] - self._x[0])
        up = (y - self._y[0]) / (self._y[-1] - self._y[0])
        return (
            _MARGIN + across * (_WIDTH - 2 * _MARGIN),
            _HEIGHT - _MARGIN - up * (_HEIGHT - 2 * _MARGIN),
        )

    def legend(self, entries: Mapping[str, str], left: float, top: float) -> None:
        """Colours and what they stand for, from `left`, `top` downwards."""
        for number, (words, colour) in enumerate(entries.items()):
            y = top + 22 * number
            self.draw.rectangle((left, y - 6, left + 12, y + 6), fill=colour)
            self.text((left + 20, y), words, 15)

    def text(self, where: tuple[float, float], words: str, size: int, anchor: str = "lm") -> None:
        """Write, `anchor` as Pillow names it."""
        font = ImageFont.load_default(size)
        self.draw.text(where, words, _INK, font=font, anchor=anchor)


def _quality_panel(found: Sequence[Summary], run: Run, colours: Mapping[str, str]) -> _Panel:
    seconds = [one.median for one in found]
    psnr = [one.psnr for one in found if one.psnr is not None]
    panel = _Panel(
        f"{run.dataset} x{run.settings['scale']}: quality against latency",
        ("median seconds an image", _ticks(0, max(seconds))),
        (f"PSNR dB ({run.settings['protocol']})", _ticks(min(psnr), max(psnr))), 2,
    )  # fmt: skip
    most = max((one.gflops or 0 for one in found), default=0) or 1
    for one in found:
        assert one.psnr is not None
        x, y = panel.place(one.median, one.psnr)
        radius = 6 + 28 * math.sqrt((one.gflops or 0) / most)
        box = (x - radius, y - radius, x + radius, y + radius)
        panel.draw.ellipse(box, outline=colours[one.contender], width=4)
    words = {_described(one): colours[one.contender] for one in found}
    panel.legend(words, _WIDTH - _MARGIN - 400, _HEIGHT - _MARGIN - 22 * len(words))
    without = ", PSNR without identical images" if any(one.identical for one in found) else ""
    panel.text((_WIDTH - _MARGIN, 60), f"bubble: GFLOPs executed{without}", 13, "rm")
    return panel


def _described(one: Summary) -> str:
    gflops = "" if one.gflops is None else f", {one.gflops:.4g} GFLOPs"
    return f"{one.contender}: {one.psnr:.2f} dB, {one.median:.3g} s{gflops}"


def _sparsity_panel(found: Sequence[Summary], colours: Mapping[str, str]) -> _Panel:
    layers = max(len(one.halted_windows) for one in found)
    panel = _Panel(
        "halted before each layer", ("layer", [float(n) for n in range(1, layers + 1)]),
        ("share of windows (line) and tokens (dots)", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]), 1,
    )  # fmt: skip
    for one in found:
        colour = colours[one.contender]
        windows = [panel.place(n, share) for n, share in enumerate(one.halted_windows, 1)]
        panel.draw.line(windows, colour, width=4)
        for n, share in enumerate(one.halted_tokens, 1):
            x, y = panel.place(n, share)
            panel.draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=colour)
    panel.legend(
        {one.contender: colours[one.contender] for one in found}, _MARGIN + 12, _MARGIN + 18
    )
    return panel


def _latency_panel(found: Sequence[Summary], run: Run, colours: Mapping[str, str]) -> _Panel:
    panel = _Panel(
        f"{run.dataset} x{run.settings['scale']}: latency",
        ("median seconds an image", _ticks(0, max(one.median for one in found))),
        ("", [float(n) for n in range(len(found) + 1)]), 0,
    )  # fmt: skip
    for number, one in enumerate(found):
        left, top = panel.place(0, number + 0.8)
        right, bottom = panel.place(one.median, number + 0.2)
        panel.draw.rectangle((left, top, right, bottom), fill=colours[one.contender])
        panel.text((left + 8, (top + bottom) / 2), f"{one.contender}: {one.median:.4g} s", 15)
    return panel


def _ticks(low: float, high: float) -> list[float]:
    """About five round values from below `low` to above `high`."""
    span = max(high - low, abs(high) * 1e-3, 1e-6)
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 5)
    first = math.floor(low / step)
    last = max(math.ceil(high / step), first + 1)
    return [round(n * step, 10) for n in range(first, last + 1)]
