"""Explain the images of `visualize-mask`: settings, existing masks, progress and summary."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from srcli.cli.console import echo_line, open_file, printable
from srcli.cli.existing_outputs import ask_or_default, can_ask
from srcli.cli.progress import reporter_for
from srcli.cli.reporter import BatchReporter
from srcli.inference.upscaler import Upscaler
from srcli.jobs.identity import identity_of
from srcli.jobs.job import Finished, Job, State, reason_of
from srcli.jobs.preflight import require_writable
from srcli.jobs.settings import difference
from srcli.masks import SHEET, is_mask_folder, request_of_masks
from srcli.pipeline import StageResult
from srcli.viz.choice import choose_layers
from srcli.viz.files import REPORT, MaskFiles
from srcli.viz.map_types import MapType, percent
from srcli.viz.run import Drawn, MaskJob, explain_images
from srcli.viz.sheet import headline
from srcli.viz.stats import DenseBaseline, MaskStats
from srcli.weights import clean_model

__all__ = [
    "DrawOptions",
    "MaskSettings",
    "Results",
    "choose",
    "explain_all",
    "open_result",
    "print_mask_summary",
]


_EXTRAS = ("html", "npz")  # files beside the masks


@dataclass(frozen=True)
class MaskSettings:
    """Options for upscaling; see `Upscaler`."""

    model: str
    scale: float
    device: str
    precision: str
    effort: str
    tile: int | None

    def upscaler(self) -> Upscaler:
        """The upscaler with these settings."""
        return Upscaler(
            self.model, self.scale, self.device, self.precision, effort=self.effort, tile=self.tile
        )

    def baseline(self, model: str) -> DenseBaseline:
        """The dense upscaler of a network to compare with: it halts nothing."""
        exact = Upscaler(model, self.scale, self.device, self.precision, effort="exact", tile=0)
        return DenseBaseline(exact)


@dataclass(frozen=True)
class DrawOptions:
    """Options for drawing; see `MaskFiles`. `layers` as typed."""

    kinds: Sequence[MapType]
    layers: str
    image_format: str
    npz: bool
    html: bool

    def request(self, settings: MaskSettings) -> dict[str, object]:
        """Everything that changes what is in a folder of masks, for its summary."""
        drawn = {"what": [kind.name for kind in self.kinds], "layers": self.layers}
        files = {"format": self.image_format, "npz": self.npz, "html": self.html}
        return {**asdict(settings), **drawn, **files}


@dataclass
class Results:
    """Ends of the jobs, and statistics of the explained images."""

    finished: list[Finished] = field(default_factory=list[Finished])
    stats: list[tuple[Path, MaskStats]] = field(default_factory=list[tuple[Path, MaskStats]])
    interrupted: bool = False


def choose(
    jobs: Sequence[MaskJob], request: Mapping[str, object], *, overwrite: bool
) -> tuple[list[MaskJob], list[Finished]]:
    """Split the jobs into those to run and those skipped because the same masks exist.

    Masks made with other settings, or of an input that has changed, are made again; on a terminal
    after a question.

    Args:
        jobs: Images and their folders.
        request: Settings of this run, as the summary keeps them.
        overwrite: Make everything again.
    """
    todo: list[MaskJob] = []
    skipped: list[Finished] = []
    for job in jobs:
        wanted = {**request, "input": _input_of(job.source)}
        named = replace(job, request=wanted)
        made = None if overwrite else request_of_masks(job.target)
        if overwrite or not is_mask_folder(job.target):
            todo.append(named)
        elif made is None or _holds(made, wanted):
            reason = "its masks exist, made with the same settings" if made else "its masks exist"
            remedy = "; hint: --overwrite makes them again"
            skipped.append(Finished(_as_job(job), State.SKIPPED, reason + remedy))
        elif _makes_again(job, made, wanted):
            todo.append(named)
        else:
            skipped.append(Finished(_as_job(job), State.SKIPPED, "kept as it was"))
    return todo, skipped


def _holds(made: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    """True if masks are as asked for; a report or arrays beside them do no harm."""
    kept = {name: value for name, value in wanted.items() if value or name not in _EXTRAS}
    return kept == {name: value for name, value in made.items() if name in kept} and (
        made.keys() == wanted.keys()
    )


def _input_of(path: Path) -> str:
    found = identity_of(path)
    return "" if found is None else f"{found.size} bytes, changed {found.mtime_ns}"


def _makes_again(job: MaskJob, made: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    """Ask on a terminal about masks that differ; without one they are made again."""
    if made.get("input") != wanted["input"]:
        reason = "the input has changed since"
    else:
        reason = f"made with other settings ({difference(json.dumps(made), json.dumps(wanted))})"
    line = f"{printable(job.target)}: {reason}"
    if not can_ask():
        echo_line(f"{line}; made again")
    return ask_or_default(f"{line}. Make the masks again?", default=True)


def explain_all(
    todo: Sequence[MaskJob], settings: MaskSettings, drawing: DrawOptions, *, overwrite: bool
) -> Results:
    """Explain images, showing progress.

    Raises:
        UsageError: What is asked for cannot be, or an output folder cannot be written.
    """
    results = Results()
    if not todo:
        return results
    require_writable([_as_job(job) for job in todo])
    upscaler = settings.upscaler()
    baselines = {upscaler.network.spec.name: settings.baseline(clean_model(settings.model))}

    def baseline(chosen: Upscaler) -> DenseBaseline:
        name = chosen.network.spec.name
        if name not in baselines:
            baselines[name] = settings.baseline(chosen.model)
        return baselines[name]

    layers = baselines[upscaler.network.spec.name].layers
    wanted = MaskFiles(
        drawing.kinds,
        choose_layers(drawing.layers, layers),
        drawing.image_format,
        npz=drawing.npz,
        html=drawing.html,
    )
    with reporter_for(len(todo)) as reporter:
        ends = explain_images(
            todo,
            upscaler,
            baseline,
            wanted,
            effort=settings.effort,
            overwrite=overwrite or any(is_mask_folder(job.target) for job in todo),
            on_progress=lambda job, share: reporter.progress(_as_job(job), share),
        )
        try:
            for outcome in ends:
                _note(outcome, results, reporter)
        except KeyboardInterrupt:
            results.interrupted = True
            reporter.note("interrupted; run the same command again to continue")
    return results


def open_result(jobs: Sequence[MaskJob], *, html: bool) -> None:
    """Open the first image's report, or contact sheet, with what the desktop has for it."""
    names = (REPORT, SHEET) if html else (SHEET,)
    for job in jobs:
        for name in names:
            if (job.target / name).is_file():
                open_file(job.target / name)
                return


def _note(outcome: StageResult[MaskJob, Drawn], results: Results, reporter: BatchReporter) -> None:
    """Record how a job ended, and show it."""
    job, drawn = _as_job(outcome.item), outcome.stored
    if drawn is None:
        end = Finished(job, State.FAILED, reason_of(job, outcome.error))
    else:
        end = Finished(job, State.DONE, losses=_left_out(drawn, job), report=drawn.report)
        results.stats.append((job.source, drawn.stats))
    results.finished.append(end)
    reporter.finished(end)


def _left_out(drawn: Drawn, job: Job) -> tuple[str, ...]:
    if not drawn.left_out:
        return ()
    what = f"{drawn.left_out} more pages or frames left out: only the first is explained"
    return (f"{job.source}: {what}",)


def _as_job(job: MaskJob) -> Job:
    return Job(job.source, job.target, "png")


def print_mask_summary(explained: Sequence[tuple[Path, MaskStats]]) -> None:
    """Print for each image what halted in which layer, and what that saved."""
    console = Console()
    for path, stats in explained:
        line = f"{printable(path.name)}:  {headline(stats)}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
        if not stats.halted_windows:
            continue
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column()
        for _ in stats.halted_windows:
            table.add_column(justify="right")
        numbers = range(1, len(stats.halted_windows) + 1)
        table.add_row("halted before layer", *map(str, numbers))
        table.add_row("  windows", *map(percent, stats.halted_windows))
        table.add_row("  pixels", *map(percent, stats.halted_pixels))
        console.print(table, markup=False, highlight=False)
