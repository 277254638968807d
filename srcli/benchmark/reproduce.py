"""Run what this machine has data and weights for of a paper's table; say what is missing."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from srcli.benchmark.exits import Spread, equal_sparsity, learned, run_exits
from srcli.benchmark.inputs import BenchmarkInputs, loaded
from srcli.benchmark.machine import Machine, describe_machine
from srcli.benchmark.measure import MeasureSettings, measure
from srcli.benchmark.methods import Image8, Method, MethodOutput, Network
from srcli.benchmark.paper_tables import PaperFigure, PaperRow, PaperTable
from srcli.benchmark.results import Run, Summary, summaries
from srcli.errors import MissingDataSet, SrcliError, UsageError
from srcli.inference.network import LoadedNetwork
from srcli.metrics.protocols import protocol_named
from srcli.models import model_names, model_spec
from srcli.models.adaformer import AdaFormer
from srcli.models.spec import EXACT, Halting, SROutput
from srcli.weights import best_scale, how_to_get, network_of
from srcli.weights.local_files import is_here
from srcli.weights.manifest_file import COMMUNITY

__all__ = ["ReproduceOptions", "ReproducedRow", "Reproduction", "reproduce"]

SCALE = 4
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
    """

    device: torch.device
    sets: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    data_root: Path | None = None
    limit: int | None = None
    repeats: int = 3
    effort: str = "balanced"
    random_weights: bool = False


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


@dataclass
class _Missing:
    """Lines about what is missing, each once."""

    lines: list[str] = field(default_factory=list[str])

    def add(self, line: str) -> None:
        if line not in self.lines:
            self.lines.append(line)


def reproduce(
    table: PaperTable, options: ReproduceOptions, on_image: Callable[[str], None]
) -> Reproduction:
    """Measure every row on every set of a table that this machine has the data and weights for.

    Args:
        table: The paper's.
        options: How.
        on_image: Told each image that is done.

    Raises:
        UsageError: A set or row does not belong to the table, or an effort to no network.
    """
    rows = _chosen(table.rows, options.rows, lambda row: (row.name, row.model), "row", table)
    sets = _chosen(table.sets, options.sets, lambda name: (name,), "set", table)
    missing, left_out = _Missing(), list[str]()
    methods: dict[str, Method] = {}
    for row in rows:
        if method := _method(row, options, missing):
            methods[row.name] = method
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
    missing: _Missing,
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


def _method(row: PaperRow, options: ReproduceOptions, missing: _Missing) -> Method | None:
    """The method of a row; None, and a line about it, where it cannot be run here."""
    if not row.model:
        missing.add(f"{row.name}: {row.remark}")
        return None
    network = _network(row, options, missing)
    if network is None:
        return None
    efforts = {"exact": EXACT} if network.spec.name not in model_names() else network.spec.efforts
    halting = efforts.get(options.effort, list(efforts.values())[-1])
    if row.kind == "network":
        return Network(row.name, network, lambda lr: network(lr, halting),
                       lambda lr: network(lr, efforts["exact"]))  # fmt: skip
    if halting.eps is None:
        raise UsageError(
            f"--effort {options.effort} halts nothing, and {row.name} is about what halts; hint: "
            f"--effort {', '.join(name for name, one in efforts.items() if one.eps is not None)}"
        )
    return ExitMethod(row.name, network, row.kind, halting)


def _network(row: PaperRow, options: ReproduceOptions, missing: _Missing) -> LoadedNetwork | None:
    """A row's network with its weights, or random ones where that is asked for."""
    name, fp32 = row.model, torch.float32
    try:
        entry = best_scale(name, SCALE)
        if is_here(entry):
            return LoadedNetwork(entry, options.device, fp32)
        missing.add(f"{row.name}: {how_to_get(entry)}")
    except SrcliError as error:
        known = network_of(name) in (*model_names(), COMMUNITY)
        what = f"no weights of {name} are here: {error}" if known else f"{name} is not here"
        missing.add(f"{row.name}: {what}")
    if not options.random_weights or name not in model_names():
        return None
    return LoadedNetwork.untrained(model_spec(name), SCALE, options.device, fp32)


class ExitMethod(Method):
    """AdaFormer with another rule for exits; the rule is made ready before the clock runs.

    Args:
        name: As in the table.
        network: An AdaFormer.
        kind: unmasked, local, learned, uniform or random.
        halting: How much halts by the learned rule, whose sparsity the last two copy.
    """

    def __init__(self, name: str, network: LoadedNetwork, kind: str, halting: Halting) -> None:
        super().__init__(name, network.fingerprint)
        assert isinstance(network.module, AdaFormer), "exits are AdaFormer's"
        self._adaformer, self._kind, self._halting = network.module, kind, halting
        own = partial(network, halting=EXACT)
        self._own = Network(name, network, own, own)

    @torch.inference_mode()
    def prepare(self, lr: Image8) -> tuple[Tensor, Callable[[], SROutput]]:
        """Bring the image to the device, and make its rule."""
        image = self._own.prepare(lr)
        if self._kind in list(Spread):
            layers = self._adaformer(image, self._halting).layers
            rule, estimates = equal_sparsity(layers, Spread(self._kind)), False
        else:
            masks = {"unmasked": (False, False), "local": (True, False), "learned": (True, True)}
            local, shared = masks[self._kind]
            rule = learned(self._halting.threshold, local=local, shared=shared)
            estimates = local
        return image, partial(run_exits, self._adaformer, image, rule, estimates=estimates)

    @torch.inference_mode()
    def forward(self, prepared: tuple[Tensor, Callable[[], SROutput]]) -> SROutput:
        """Upscale by the rule."""
        return prepared[1]()

    def dense(self, prepared: tuple[Tensor, Callable[[], SROutput]]) -> SROutput:
        """Upscale with nothing spared."""
        return self._own.dense(prepared[0])

    def finish(self, raw: SROutput) -> MethodOutput:
        """Clamp, round, bring to the CPU."""
        return self._own.finish(raw)
