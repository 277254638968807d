"""`python -m srcli.training.pages OUT`: training images of text, interfaces and plots.

Each page is cut into panels, and each panel is painted as a column of text, code, a table, a user
interface, a plot or a picture, from random words and the fonts that are there. A page has a *unit*:
px to a layout px. At unit 4 a 1-px line of a screen is 4 px wide, so that the LR image of a ×4
network shows it as a screenshot does; at unit 1 it is lost in LR but for its trace.

The same seed, fonts and Pillow give the same pages.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from srcli.errors import ExitCode, UsageError
from srcli.training.page_canvas import (
    Box,
    Canvas,
    FontBook,
    Theme,
    random_theme,
)
from srcli.training.page_panels import paint_panel
from srcli.training.process import run_program

__all__ = ["paint_page", "write_pages"]

_UNITS, _UNIT_SHARES = (1, 2, 3, 4), (0.25, 0.3, 0.1, 0.35)
_LEAST_PANEL = 84  # layout px to a side
_SYSTEM_FONTS = (
    "/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "C:/Windows/Fonts",
)  # fmt: skip


def write_pages(
    out: Path, count: int, seed: int, size: tuple[int, int], fonts: FontBook
) -> list[Path]:
    """Write `page_0001.png` and so on into a folder, which is made.

    Args:
        out: The folder.
        count: How many pages.
        seed: A page depends on it and on its own number only.
        size: (width, height) of a page in px.
        fonts: What text is set in.

    Returns:
        The files.
    """
    out.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    for number in range(1, count + 1):
        files.append(out / f"page_{number:04}.png")
        page = paint_page(np.random.default_rng([seed, number]), size, fonts)
        page.save(files[-1], optimize=True)
    return files


def paint_page(
    random: np.random.Generator, size: tuple[int, int], fonts: FontBook, unit: int | None = None
) -> Image.Image:
    """Paint a page of (width, height) px; `unit` px to a layout px, drawn if None."""
    unit = unit or int(random.choice(_UNITS, p=_UNIT_SHARES))
    is_reduced = random.random() < 0.1  # a screenshot that somebody has scaled
    share = random.uniform(1.2, 2.0) if is_reduced else 1.0
    width, height = (-(-int(side * share) // unit) + 1 for side in size)
    canvas = Canvas(width, height, unit, random, fonts, crisp_text=bool(random.random() < 0.08))
    _fill_panels(canvas, canvas.box, random_theme(random))
    if is_reduced:
        return canvas.image.resize(size, Image.Resampling.LANCZOS)
    shift = int(random.integers(unit)) if random.random() < 0.3 else 0  # off the grid of LR px
    return canvas.image.crop((shift, shift, size[0] + shift, size[1] + shift))


def _fill_panels(canvas: Canvas, box: Box, theme: Theme) -> None:
    """Halve a box until its parts are small, or chance has it, and paint each of them."""
    random = canvas.random
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    longer = max(width, height)
    if longer >= 2 * _LEAST_PANEL and random.random() < min(0.95, longer / 450):
        at = int(longer * random.uniform(0.35, 0.65))
        upright = width > height
        parts = [
            (left, top, left + at, bottom) if upright else (left, top, right, top + at),
            (left + at, top, right, bottom) if upright else (left, top + at, right, bottom),
        ]
        for part in parts:
            _fill_panels(canvas, part, theme)
        return
    own = random_theme(random) if random.random() < 0.35 else theme
    paint_panel(canvas, box, own)
    if random.random() < 0.5:
        canvas.outline(box, own.faint)


def _main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m srcli.training.pages",
        description="Paint training images of text, interfaces and plots.",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write PNGs to")
    parser.add_argument("--count", type=int, default=60, help="how many pages (60)")
    parser.add_argument("--seed", type=int, default=1, help="other pages for another (1)")
    parser.add_argument("--size", default="800x800", metavar="WxH", help="px of a page (800x800)")
    parser.add_argument(
        "--fonts", type=Path, nargs="+", metavar="FOLDER", help="where fonts are (the system's)"
    )
    given = parser.parse_args(arguments)
    return run_program(lambda: _run(given))


def _run(given: argparse.Namespace) -> ExitCode:
    """Write the pages that the command line asks for."""
    size = _size(given.size)
    if given.count < 1 or given.seed < 0:
        raise UsageError(
            f"--count {given.count} --seed {given.seed}: it takes 1 page or more and a seed "
            "from 0; hint: --count 60 --seed 1"
        )
    files = write_pages(
        given.out,
        given.count,
        given.seed,
        size,
        FontBook.of_folders(given.fonts or _system_fonts()),
    )
    sys.stderr.write(f"srcli: {len(files)} pages in {given.out}\n")
    return ExitCode.ALL_DONE


def _size(text: str) -> tuple[int, int]:
    """Read WxH."""
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise UsageError(f"--size {text} is not WxH in px; hint: --size 800x800")
    if min(int(width), int(height)) < 64 or max(int(width), int(height)) > 4096:
        raise UsageError(f"--size {text}: each side takes 64 to 4096 px; hint: --size 800x800")
    return int(width), int(height)


def _system_fonts() -> list[Path]:
    return [folder for folder in map(Path, _SYSTEM_FONTS) if folder.is_dir()]


if __name__ == "__main__":
    sys.exit(_main())
