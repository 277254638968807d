"""A run as a table: the same cells for the terminal and for Markdown."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from srcli.benchmark.published import published
from srcli.benchmark.results import Run, Summary, summaries

__all__ = [
    "Table",
    "compare_table",
    "image_table",
    "markdown",
    "sparsity_table",
    "summary_tables",
]


@dataclass(frozen=True)
class Table:
    """A title, headers and cells; the first `keys` columns name a row, all others are numbers."""

    title: str
    headers: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    keys: int = 1


@dataclass(frozen=True)
class _Column:
    header: str
    cell: Callable[[Summary], str]


def summary_tables(run: Run) -> list[Table]:
    """A line for each contender: quality, time, and work; what is empty throughout is left out."""
    scale, protocol = int(run.settings["scale"]), run.settings["protocol"]
    whole = bool(run.settings.get("whole_set")) and not run.failed and not run.untried
    found = summaries(run)

    def beside(one: Summary) -> str:
        known = published(one.contender, run.dataset, scale, protocol) if whole else None
        return "" if known is None else f"{known.psnr:.2f}{_ssim(known.ssim)} ({known.source})"

    def of_peak(one: Summary) -> float | None:
        if one.gflops is None:
            return None
        return one.gflops * one.per_second / run.machine.peak_gflops

    quality = (
        _Column("PSNR dB", lambda one: _decibels(one.psnr, one.identical)),
        _Column("SSIM", lambda one: _figure(one.ssim, ".4f")),
        _Column("identical, not in mean PSNR", lambda one: str(one.identical or "")),
        _Column("published, not measured here", beside),
    )
    time = (
        _Column("median s", lambda one: _figure(one.median, ".4g")),
        _Column("p95 s", lambda one: _figure(one.p95, ".4g")),
        _Column("spread", lambda one: f"{one.spread:.0%}"),
        _Column("to first", lambda one: f"{one.ratio:.3f}"),
        _Column("to full", lambda one: _figure(one.to_full, ".3f")),
        _Column("images/s", lambda one: _figure(one.per_second, ".3g")),
        _Column("Mpx/s out", lambda one: _figure(one.megapixels, ".3g")),
    )
    work = (
        _Column("executed", lambda one: _figure(one.gflops, ".4g")),
        _Column("dense", lambda one: _figure(one.dense_gflops, ".4g")),
        _Column("of the machine's peak", lambda one: _figure(of_peak(one), ".0%")),
        _Column("peak memory GB", lambda one: _figure(_giga(one.peak_bytes), ".2f")),
    )
    title = f"{run.dataset} x{scale}, {_over(run, found)}"
    where = ", ".join(filter(None, (run.machine.device, str(run.settings["precision"]))))
    titled = (
        (f"{title}: quality, protocol {protocol}", quality),
        (f"{title}: forward pass, {where}", time),
        (f"{title}: GFLOPs (a multiply-add counts twice), {_peak(run)}", work),
    )
    tables = [_table(name, columns, found) for name, columns in titled]
    return [table for table in tables if len(table.headers) > 1]


def _peak(run: Run) -> str:
    return f"peak {run.machine.peak_gflops:.0f} GFLOP/s"


def _over(run: Run, found: Sequence[Summary]) -> str:
    """Over how many images the means are."""
    measured = max((one.pictures for one in found), default=0)
    asked = measured + len(run.failed) + run.untried
    return f"{measured} images" if measured == asked else f"{measured} of {asked} images"


def _table(title: str, columns: Sequence[_Column], found: Sequence[Summary]) -> Table:
    shown = [c for c in columns if any(c.cell(one) for one in found)]
    return Table(
        title=title,
        headers=("model", *(column.header for column in shown)),
        cells=tuple((one.contender, *(column.cell(one) for column in shown)) for one in found),
    )


def sparsity_table(run: Run) -> Table | None:
    """The share halted by layer, windows / tokens, and of pure pixels; None without either."""
    found = [one for one in summaries(run) if one.halted_windows or one.pure is not None]
    if not found:
        return None
    layers = [_Column(f"layer {n + 1}", _halted(n)) for n in range(_most_layers(found))]
    halting = ["halted before each layer: windows (local) / tokens (global)"] if layers else []
    pure = ["pure pixels: exempt from category attention"] if _any_pure(found) else []
    columns = [*layers, _Column("pure pixels", lambda one: _figure(one.pure, ".1%"))]
    return _table("; ".join([*halting, *pure]), columns, found)


def _most_layers(found: Sequence[Summary]) -> int:
    return max(len(one.halted_windows) for one in found)


def _any_pure(found: Sequence[Summary]) -> bool:
    return any(one.pure is not None for one in found)


def _halted(layer: int) -> Callable[[Summary], str]:
    """The cell of a layer, counted from 0; empty for a network of fewer layers."""

    def cell(one: Summary) -> str:
        if layer >= len(one.halted_windows):
            return ""
        return f"{one.halted_windows[layer]:.0%} / {one.halted_tokens[layer]:.0%}"

    return cell


def image_table(run: Run) -> Table:
    """A line for each image and contender."""
    return Table(
        title="by image",
        headers=("image", "model", "LR px", "PSNR dB", "SSIM", "median s", "GFLOPs"),
        cells=tuple(
            (
                row.picture,
                row.contender,
                f"{row.width}x{row.height}",
                _decibels(row.psnr, row.identical),
                _figure(row.ssim, ".4f"),
                _figure(statistics.median(row.seconds), ".4g"),
                _figure(row.gflops, ".4g"),
            )
            for row in run.rows
        ),
        keys=2,
    )


def compare_table(before: Run, after: Run) -> Table:
    """Differences between two runs beyond the spread of either.

    Quality has no spread: any difference that shows is listed.
    """
    old = {one.contender: one for one in summaries(before)}
    cells: list[tuple[str, ...]] = []
    for new in summaries(after):
        if new.contender not in old:
            continue
        was = old[new.contender]
        noise = max(new.spread, was.spread)
        if abs(new.median / was.median - 1) > noise:
            change = f"{new.median / was.median - 1:+.0%}"
            cells.append(
                (new.contender, "median s", f"{was.median:.4g}", f"{new.median:.4g}", change)
            )
        for name, a, b, form in (
            ("PSNR dB", was.psnr, new.psnr, ".3f"),
            ("SSIM", was.ssim, new.ssim, ".4f"),
            ("GFLOPs", was.gflops, new.gflops, ".4g"),
            ("pure pixels", was.pure, new.pure, ".1%"),
            ("identical images", was.identical, new.identical, "d"),
        ):
            if a is not None and b is not None and f"{a:{form}}" != f"{b:{form}}":
                cells.append(
                    (new.contender, name, f"{a:{form}}", f"{b:{form}}", f"{b - a:+{form}}")
                )
    return Table(
        title=f"{before.dataset} x{before.settings['scale']} against "
        f"{after.dataset} x{after.settings['scale']}: what moved beyond the spread",
        headers=("model", "figure", "before", "after", "change"),
        cells=tuple(cells),
        keys=2,
    )


def markdown(tables: Sequence[Table]) -> str:
    """Tables as GitHub writes them."""
    parts: list[str] = []
    for table in tables:
        lines = [f"**{table.title}**", ""]
        lines.append("| " + " | ".join(table.headers) + " |")
        lines.append("| --- |" + " ---: |" * (len(table.headers) - 1))
        lines += ["| " + " | ".join(row) + " |" for row in table.cells]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _decibels(psnr: float | None, identical: int) -> str:
    """PSNR; infinite where nothing but identical images was compared."""
    return "∞" if psnr is None and identical else _figure(psnr, ".3f")


def _ssim(value: float | None) -> str:
    return "" if value is None else f" / {value:.4f}"


def _giga(value: int | None) -> float | None:
    return None if value is None else value / 1e9
