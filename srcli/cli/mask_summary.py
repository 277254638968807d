"""The numbers of explained images, as a table on stdout."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from srcli.cli.console import printable
from srcli.viz.map_types import percent
from srcli.viz.sheet import headline
from srcli.viz.stats import MaskStats

__all__ = ["print_mask_summary"]


def print_mask_summary(explained: Sequence[tuple[Path, MaskStats]]) -> None:
    """Print for each image what halted in which layer, and what that saved."""
    console = Console()
    for path, figures in explained:
        line = f"{printable(path.name)}:  {headline(figures)}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
        if not figures.halted_windows:
            continue
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column()
        for _ in figures.halted_windows:
            table.add_column(justify="right")
        numbers = range(1, len(figures.halted_windows) + 1)
        table.add_row("halted before layer", *map(str, numbers))
        table.add_row("  windows", *map(percent, figures.halted_windows))
        table.add_row("  pixels", *map(percent, figures.halted_pixels))
        console.print(table, markup=False, highlight=False)
