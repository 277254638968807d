"""A whole run: what was measured, on what, with which settings; as data and as files."""

import csv
import io
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, cast

from srcli.benchmark.machine import Machine
from srcli.benchmark.measure import Row
from srcli.benchmark.savings import Without
from srcli.errors import UsageError

__all__ = ["Run", "Summary", "read_run", "summaries", "to_csv", "to_json"]


@dataclass(frozen=True)
class Run:
    """One `srcli bench`.

    Args:
        dataset: Name of the set, or the folder or sizes measured instead.
        settings: Every setting that bears on a figure, by name.
        machine: Where.
        weights: sha256 by contender; "random" or "" where there are none.
        rows: One for each image and contender.
        failed: Images that could not be measured, with the reason.
        untried: Number of images not reached before it was interrupted.
        switched_off: By contender, the saving that it does without, and the contender with it.
    """

    dataset: str
    settings: Mapping[str, Any]
    machine: Machine
    weights: Mapping[str, str]
    rows: tuple[Row, ...]
    failed: Mapping[str, str]
    untried: int = 0
    switched_off: Mapping[str, Without] = field(default_factory=dict[str, Without])


@dataclass(frozen=True)
class Summary:
    """One contender over all images.

    Args:
        contender: Its name.
        pictures: How many the means are over.
        psnr: Mean, dB, without identical images; None without originals or trained weights.
        ssim: Mean.
        median: Seconds; the median over images of each image's median run.
        p95: Seconds; the 95th percentile over images of their medians.
        spread: Of the runs of one image, (slowest - fastest) / median; the median over images.
        per_second: Images a second, from the medians.
        megapixels: Output Mpx a second, from the medians.
        ratio: Time against the first contender, from sums of medians.
        gflops: Mean executed, a multiply-add counting twice.
        dense_gflops: Mean had nothing been spared.
        peak_bytes: Greatest.
        halted_windows: By layer, mean share.
        halted_tokens: By layer, mean share.
        pure: Mean share of px exempt from category attention; None where none can be.
        identical: Images equal to the original: of infinite PSNR, and not in its mean.
        without: The saving that is switched off; "" for none.
        to_full: Time against the same with the saving, from sums of medians; 1 for that one; None
            for a contender of which nothing is switched off.
    """

    contender: str
    pictures: int
    psnr: float | None
    ssim: float | None
    median: float
    p95: float
    spread: float
    per_second: float
    megapixels: float
    ratio: float
    gflops: float | None
    dense_gflops: float | None
    peak_bytes: int | None
    halted_windows: tuple[float, ...]
    halted_tokens: tuple[float, ...]
    pure: float | None
    identical: int
    without: str = ""
    to_full: float | None = None


def summaries(run: Run) -> list[Summary]:
    """Each contender over all images, in the order of the run."""
    by_contender: dict[str, list[Row]] = {}
    for row in run.rows:
        by_contender.setdefault(row.contender, []).append(row)
    first = by_contender[run.rows[0].contender] if run.rows else []
    base = sum(statistics.median(row.seconds) for row in first)
    scale = int(run.settings["scale"])
    found = [_summary(name, rows, base, scale) for name, rows in by_contender.items()]
    return [_beside_full(one, found, run.switched_off) for one in found]


def _beside_full(
    one: Summary, found: Sequence[Summary], switched_off: Mapping[str, Without]
) -> Summary:
    """A summary that tells what a saving is worth, if its contender is there for that."""
    off = switched_off.get(one.contender)
    if off is None:
        is_full = any(other.full == one.contender for other in switched_off.values())
        return replace(one, to_full=1.0) if is_full else one
    (full,) = (other for other in found if other.contender == off.full)
    return replace(one, without=off.saving, to_full=one.ratio / full.ratio)


def _summary(name: str, rows: Sequence[Row], base: float, scale: int) -> Summary:
    medians = [statistics.median(row.seconds) for row in rows]
    spreads = [
        (max(row.seconds) - min(row.seconds)) / statistics.median(row.seconds) for row in rows
    ]
    output = sum(row.width * row.height * scale**2 for row in rows) / 1e6
    peaks = [row.peak_bytes for row in rows if row.peak_bytes is not None]
    return Summary(
        contender=name,
        pictures=len(rows),
        psnr=_mean([row.psnr for row in rows]),
        ssim=_mean([row.ssim for row in rows]),
        median=statistics.median(medians),
        p95=_percentile(medians, 0.95),
        spread=statistics.median(spreads),
        per_second=len(rows) / sum(medians),
        megapixels=output / sum(medians),
        ratio=sum(medians) / base,
        gflops=_mean([row.gflops for row in rows]),
        dense_gflops=_mean([row.dense_gflops for row in rows]),
        peak_bytes=max(peaks) if peaks else None,
        halted_windows=_by_layer([row.halted_windows for row in rows]),
        halted_tokens=_by_layer([row.halted_tokens for row in rows]),
        pure=_mean([row.pure for row in rows]),
        identical=sum(row.identical for row in rows),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


def _by_layer(shares: Sequence[Sequence[float]]) -> tuple[float, ...]:
    return tuple(sum(layer) / len(layer) for layer in zip(*shares, strict=True))


def _percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed, interpolated."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def to_json(run: Run) -> str:
    """The run with its summaries, for machines and for `--compare`; no infinity is in it."""
    whole = asdict(run) | {"summaries": [asdict(one) for one in summaries(run)]}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(run: Run) -> str:
    """One line for each image and contender; lists are separated by blanks, PSNR may be inf."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [one.name for one in fields(Row)]
    writer.writerow(names)
    for row in run.rows:
        cells = asdict(replace(row, psnr=math.inf) if row.identical else row)
        writer.writerow([_cell(cells[name]) for name in names])
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, tuple):
        return " ".join(f"{part:.6g}" for part in cast("tuple[float, ...]", value))
    return "" if value is None else value


def read_run(text: str, where: str) -> Run:
    """Read what `to_json` wrote.

    Raises:
        UsageError: It is something else.
    """
    try:
        data = json.loads(text)
        rows = tuple(_row(row) for row in data["rows"])
        return Run(
            dataset=data["dataset"],
            settings=data["settings"],
            machine=Machine(**data["machine"]),
            weights=data["weights"],
            rows=rows,
            failed=data["failed"],
            untried=data.get("untried", 0),
            switched_off={
                name: Without(**one) for name, one in data.get("switched_off", {}).items()
            },
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{where} is not a result of srcli bench --json ({error})") from error


def _row(data: Mapping[str, Any]) -> Row:
    lists = {key: tuple(data[key]) for key in ("seconds", "halted_windows", "halted_tokens")}
    whole: dict[str, Any] = {**data, **lists}
    return Row(**whole)
