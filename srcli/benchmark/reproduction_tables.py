"""A reproduction as tables: the paper's figures beside ours, for the terminal and Markdown."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from srcli.benchmark.paper_tables import PaperFigure
from srcli.benchmark.reproduce import ReproducedRow, Reproduction
from srcli.benchmark.results import Summary
from srcli.benchmark.tables import Table

__all__ = ["reproduction_tables"]


@dataclass(frozen=True)
class _Base:
    """The row that others are relative to.

    Args:
        paper: Milliseconds in the paper.
        ours: Seconds here.
        paper_psnr: dB in the paper, on the set of these rows or the only one it has.
        our_psnr: dB here.
    """

    paper: float | None
    ours: float | None
    paper_psnr: float | None = None
    our_psnr: float | None = None


_Cell = Callable[[ReproducedRow, _Base], str]


def reproduction_tables(done: Reproduction) -> list[Table]:
    """A table for each set: a line for each row, without the columns that are empty."""
    sets = dict.fromkeys(row.dataset for row in done.rows)
    return [_of_set(done, name, [r for r in done.rows if r.dataset == name]) for name in sets]


def _of_set(done: Reproduction, name: str, rows: Sequence[ReproducedRow]) -> Table:
    base = _base(done, rows)
    elsewhere = _only_set(done)
    columns = [*_COLUMNS]
    if elsewhere:
        columns = [*_ablation_columns(elsewhere), *columns[2:]]
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
    if ours is None:
        return _Base(paper, None, _psnr_elsewhere(rows, done.table.base))
    seconds = ours.pictures / ours.per_second
    return _Base(paper, seconds, _psnr_elsewhere(rows, done.table.base), ours.psnr)


def _only_set(done: Reproduction) -> str:
    """The set of a table of ablations, which the paper measured on one alone; "" for others."""
    sets = {name for row in done.table.rows for name in row.figures}
    return sets.pop() if done.table.ablations and len(sets) == 1 else ""


def _psnr_elsewhere(rows: Sequence[ReproducedRow], name: str) -> float | None:
    """The paper's PSNR of a row on the only set it has."""
    found = [figure.psnr for r in rows if r.row.name == name for figure in r.row.figures.values()]
    return found[0] if found else None


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


def _ablation_columns(dataset: str) -> list[tuple[str, _Cell]]:
    """PSNR of ablations: the paper's is of `dataset`, whichever set is measured here."""

    def paper(row: ReproducedRow) -> float | None:
        return row.row.figures.get(dataset, PaperFigure()).psnr

    def paper_to_base(row: ReproducedRow, base: _Base) -> str:
        psnr = paper(row)
        return "" if psnr is None or base.paper_psnr is None else f"{psnr - base.paper_psnr:+.2f}"

    def ours_to_base(row: ReproducedRow, base: _Base) -> str:
        psnr = row.ours and row.ours.psnr
        return "" if psnr is None or base.our_psnr is None else f"{psnr - base.our_psnr:+.3f}"

    return [
        (f"PSNR dB paper, {dataset}", lambda row, _: _figure(paper(row), ".2f")),
        _OUR_PSNR,
        ("to base paper", paper_to_base),
        ("to base here", ours_to_base),
        ("halted windows / tokens", _mean_halted),
    ]


def _mean_halted(row: ReproducedRow, _: _Base) -> str:
    """The shares halted, in the mean over layers."""
    if row.ours is None or not row.ours.halted_windows:
        return ""
    windows, tokens = (statistics.mean(shares) for shares in
                       (row.ours.halted_windows, row.ours.halted_tokens))  # fmt: skip
    return f"{windows:.1%} / {tokens:.1%}"


def _halted(layer: int) -> _Cell:
    """The shares halted before a layer, counted from 0."""

    def cell(row: ReproducedRow, _: _Base) -> str:
        if row.ours is None or layer >= len(row.ours.halted_windows):
            return ""
        return f"{row.ours.halted_windows[layer]:.0%} / {row.ours.halted_tokens[layer]:.0%}"

    return cell


_OUR_PSNR = ("PSNR dB here", _ours(lambda one: one.psnr, ".3f"))
_COLUMNS: tuple[tuple[str, _Cell], ...] = (
    ("PSNR dB paper", _paper(lambda one: one.psnr, ".2f")),
    _OUR_PSNR,
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
