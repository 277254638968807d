"""A reproduction as tables: the paper's figures beside ours, for the terminal and Markdown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from srcli.benchmark.paper_tables import PaperFigure
from srcli.benchmark.reproduce import ReproducedRow, Reproduction
from srcli.benchmark.results import Summary
from srcli.benchmark.tables import Table

__all__ = ["reproduction_tables"]


@dataclass(frozen=True)
class _Base:
    """The row that times are relative to: milliseconds in the paper and seconds here."""

    paper: float | None
    ours: float | None


_Cell = Callable[[ReproducedRow, _Base], str]


def reproduction_tables(done: Reproduction) -> list[Table]:
    """A table for each set: a line for each row, without the columns that are empty."""
    sets = dict.fromkeys(row.dataset for row in done.rows)
    return [_of_set(done, name, [r for r in done.rows if r.dataset == name]) for name in sets]


def _of_set(done: Reproduction, name: str, rows: Sequence[ReproducedRow]) -> Table:
    base = _base(done, rows)
    columns = [*_COLUMNS]
    if done.table.sparsity:
        layers = max((len(r.ours.halted_windows) for r in rows if r.ours), default=0)
        columns = [(f"layer {n + 1} windows / tokens", _halted(n)) for n in range(layers)]
    columns = [(head, cell) for head, cell in columns if any(cell(row, base) for row in rows)]
    images = max((row.ours.pictures for row in rows if row.ours), default=0)
    measured = f"{images} images measured" if images else "not measured here"
    effort = f", effort {done.effort}" if images else ""
    return Table(
        title=f"{done.table.title}: {name}, {measured}{effort}",
        headers=("row", "here", *(head for head, _ in columns)),
        cells=tuple(
            (row.row.name, row.row.model or "-", *(cell(row, base) for _, cell in columns))
            for row in rows
        ),
        keys=2,
    )  # fmt: skip


def _base(done: Reproduction, rows: Sequence[ReproducedRow]) -> _Base:
    """The times that others are relative to; the paper's AdaFormer where ours has another name."""
    ours = next((r.ours for r in rows if r.row.name == done.table.base), None)
    named = [r.paper for r in rows if r.row.name.casefold() == done.table.base.casefold()]
    paper = next((one.milliseconds for one in named if one.milliseconds), None)
    return _Base(paper, None if ours is None else ours.pictures / ours.per_second)


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _paper(value: Callable[[PaperFigure], float | None], form: str) -> _Cell:
    return lambda row, _: _figure(value(row.paper), form)


def _ours(value: Callable[[Summary], float | None], form: str) -> _Cell:
    return lambda row, _: "" if row.ours is None else _figure(value(row.ours), form)


def _difference(row: ReproducedRow, base: _Base) -> str:
    if row.ours is None or row.ours.psnr is None or row.paper.psnr is None:
        return ""
    return f"{row.ours.psnr - row.paper.psnr:+.3f}"


def _paper_ratio(row: ReproducedRow, base: _Base) -> str:
    if row.paper.milliseconds is None or base.paper is None:
        return ""
    return f"{row.paper.milliseconds / base.paper:.2f}"


def _our_ratio(row: ReproducedRow, base: _Base) -> str:
    if row.ours is None or base.ours is None:
        return ""
    return f"{row.ours.pictures / row.ours.per_second / base.ours:.2f}"


def _halted(layer: int) -> _Cell:
    """The shares halted before a layer, counted from 0."""

    def cell(row: ReproducedRow, _: _Base) -> str:
        if row.ours is None or layer >= len(row.ours.halted_windows):
            return ""
        return f"{row.ours.halted_windows[layer]:.0%} / {row.ours.halted_tokens[layer]:.0%}"

    return cell


_COLUMNS: tuple[tuple[str, _Cell], ...] = (
    ("PSNR dB paper", _paper(lambda one: one.psnr, ".2f")),
    ("PSNR dB here", _ours(lambda one: one.psnr, ".3f")),
    ("difference", _difference),
    ("SSIM paper", _paper(lambda one: one.ssim, ".4f")),
    ("SSIM here", _ours(lambda one: one.ssim, ".4f")),
    ("ms paper", _paper(lambda one: one.milliseconds, ".1f")),
    ("ms here, median", _ours(lambda one: one.median * 1000, ".1f")),
    ("to AdaFormer paper", _paper_ratio),
    ("to adaformer here", _our_ratio),
    ("GFLOPs paper", _paper(lambda one: one.gflops, ".1f")),
    ("GFLOPs here, multiply-add 2", _ours(lambda one: one.gflops, ".4g")),
)
