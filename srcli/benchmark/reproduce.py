"""Run what this machine has data and weights for of a paper's table; say what is missing."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from srcli.benchmark.inputs import BenchmarkInputs, loaded
from srcli.benchmark.machine import Machine, describe_machine
from srcli.benchmark.measure import MeasureSettings, measure
from srcli.benchmark.methods import Method
from srcli.benchmark.paper_tables import PaperFigure, PaperRow, PaperTable
from srcli.benchmark.results import Run, Summary, summaries
from srcli.benchmark.row_methods import SCALE, Missing, RowMethods
from srcli.errors import MissingDataSet, UsageError
from srcli.metrics.protocols import protocol_named

__all__ = ["ReproduceOptions", "ReproducedRow", "Reproduction", "reproduce"]

_PROTOCOL = "basicsr-y"  # of the small sets, and of ours on the large ones


@dataclass(frozen=True)
class ReproduceOptions:
    """Options of a run of a table.

    Args:
        device: Where.
        sets: Only these; (): all of the table.
        rows: Only these, by the paper's name or srcli's; (): all.
        data_root: Where sets lie, instead of `SRCLI_DATA`.
        limit: Only that many images of a set.
        repeats: Timed runs of each image.
        effort: Of networks in which tokens halt; and of the exits.
        random_weights: Time networks without weights with random ones.
        ablations: Folder of the ablations' trained weights: each row is a network of its own.
    """

    device: torch.device
    sets: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    data_root: Path | None = None
    limit: int | None = None
    repeats: int = 3
    effort: str = "balanced"
    random_weights: bool = False
    ablations: Path | None = None


@dataclass(frozen=True)
class ReproducedRow:
    """A row on one set: the paper's figures and ours.

    Args:
        dataset: The set.
        row: Of the paper's table.
        paper: Its figures there.
        ours: What was measured; None where it could not be. Without PSNR if weights are random.
    """

    dataset: str
    row: PaperRow
    paper: PaperFigure
    ours: Summary | None


@dataclass(frozen=True)
class Reproduction:
    """A table as run here.

    Args:
        table: The paper's.
        effort: Of networks in which tokens halt.
        machine: Where.
        rows: By set, in the paper's order.
        missing: What is missing, and how to get it.
        left_out: Images that could not be measured, and why.
        interrupted: It was stopped early; the rows are over the images done by then.
    """

    table: PaperTable
    effort: str
    machine: Machine
    rows: tuple[ReproducedRow, ...]
    missing: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks on rows, a line each."""
        told = {row.row.name: row.row.remark for row in self.rows if row.row.model}
        return tuple(f"{name}: {remark}" for name, remark in told.items() if remark)

    def as_data(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return asdict(self)


def reproduce(
    table: PaperTable, options: ReproduceOptions, on_image: Callable[[str], None]
) -> Reproduction:
    """Measure every row on every set of a table that this machine has the data and weights for.

    Args:
        table: The paper's.
        options: How.
        on_image: Told each image that is done.

    Raises:
        UsageError: A set or row does not belong to the table, an effort to no network, or the
            table has no ablations, or their folder is not there.
    """
    if options.ablations is not None:
        table = table.of_ablations()
        if not options.ablations.is_dir():
            raise UsageError(
                f"{options.ablations} is not a folder; hint: name the one that ablations were "
                f"trained into, or see the commands: srcli reproduce {table.name}"
            )
    rows = _chosen(table.rows, options.rows, lambda row: (row.name, row.model), "row", table)
    sets = _chosen(table.sets, options.sets, lambda name: (name,), "set", table)
    missing, left_out = Missing(), list[str]()
    maker = RowMethods(table, options.device, options.effort, options.random_weights,
                       options.ablations, missing)  # fmt: skip
    methods = {row.name: method for row in rows if (method := maker.method(row)) is not None}
    done: list[ReproducedRow] = []
    interrupted = False
    for name in sets:
        found: dict[str, Summary] = {}
        if methods and not interrupted:
            found, interrupted = _measured(name, methods, options, missing, left_out, on_image)
        for row in rows:
            paper = row.figures.get(name, PaperFigure())
            done.append(ReproducedRow(name, row, paper, found.get(row.name)))
    machine = describe_machine(options.device, torch.float32)
    return Reproduction(table, options.effort, machine, tuple(done), tuple(missing.lines),
                        tuple(left_out), interrupted)  # fmt: skip


def _chosen(
    everything: Sequence[Any],
    asked: Sequence[str],
    names_of: Callable[[Any], tuple[str, ...]],
    kind: str,
    table: PaperTable,
) -> list[Any]:
    """Those asked for by one of their names, whatever the case; all if none is.

    Raises:
        UsageError: One is not there.
    """
    wanted = {name.casefold() for name in asked}
    chosen = [one for one in everything if wanted & {n.casefold() for n in names_of(one)}]
    known = {name.casefold() for one in everything for name in names_of(one)}
    if unknown := [name for name in asked if name.casefold() not in known]:
        have = ", ".join(names_of(one)[0] for one in everything)
        raise UsageError(f"{table.name} has no {kind} {', '.join(unknown)} (have {have})")
    return chosen if asked else list(everything)


def _measured(
    dataset: str,
    methods: dict[str, Method],
    options: ReproduceOptions,
    missing: Missing,
    left_out: list[str],
    on_image: Callable[[str], None],
) -> tuple[dict[str, Summary], bool]:
    """Measure each row on a set; and True if someone stopped it."""
    inputs = BenchmarkInputs(dataset, None, None, None, None, options.data_root, options.limit)
    try:
        name, pairs = inputs.find(SCALE)
    except MissingDataSet as error:
        missing.add(f"{error}; hint: {error.hint}" if error.hint else str(error))
        return {}, False
    protocol = protocol_named(_PROTOCOL)
    samples = loaded(pairs, SCALE, protocol.smallest(SCALE), lambda _, why: left_out.append(why))
    settings = MeasureSettings(SCALE, protocol, options.repeats, options.device)
    ordered = list(methods.values())
    measured = measure(ordered, samples, settings, lambda picture: on_image(f"{name} {picture}"),
                       lambda _, why: left_out.append(why))  # fmt: skip
    run = Run(name, {"scale": SCALE}, describe_machine(options.device, torch.float32), {},
              measured.rows, {})  # fmt: skip
    return {one.contender: one for one in summaries(run)}, measured.interrupted
