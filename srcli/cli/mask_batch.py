"""Explain the images of `visualize-mask`, and show progress on the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from srcli.cli.progress import BatchProgress, progress_for
from srcli.inference.upscaler import Upscaler
from srcli.jobs.job import Finished, Job, State, reason_of
from srcli.jobs.preflight import require_writable
from srcli.masks import SHEET, is_mask_folder
from srcli.pipeline import StageResult
from srcli.viz.choice import choose_layers
from srcli.viz.files import REPORT, MaskFiles
from srcli.viz.map_types import MapType
from srcli.viz.run import Drawn, MaskJob, explain_images
from srcli.viz.stats import DenseBaseline, MaskStats

__all__ = ["Drawing", "MaskSettings", "Results", "explain_all", "open_result", "set_aside"]


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
        """Upscales as asked for."""
        return Upscaler(
            self.model, self.scale, self.device, self.precision, effort=self.effort, tile=self.tile
        )

    def baseline(self) -> DenseBaseline:
        """Computes everything, for comparison."""
        exact = Upscaler(
            self.model, self.scale, self.device, self.precision, effort="exact", tile=0
        )
        return DenseBaseline(exact)


@dataclass(frozen=True)
class Drawing:
    """Options for drawing; see `MaskFiles`. `layers` as typed."""

    kinds: Sequence[MapType]
    layers: str
    image_format: str
    npz: bool
    html: bool


@dataclass
class Results:
    """Ends of the jobs."""

    finished: list[Finished] = field(default_factory=list[Finished])
    figures: list[tuple[Path, MaskStats]] = field(default_factory=list[tuple[Path, MaskStats]])
    interrupted: bool = False


def set_aside(jobs: Sequence[MaskJob], *, overwrite: bool) -> tuple[list[MaskJob], list[Finished]]:
    """Part the jobs into those to run and those skipped because their folder is there."""
    if overwrite:
        return list(jobs), []
    there = [job for job in jobs if is_mask_folder(job.target)]
    reason = "its masks exist; --overwrite replaces them"
    return (
        [job for job in jobs if job not in there],
        [Finished(_as_job(job), State.SKIPPED, reason) for job in there],
    )


def explain_all(
    todo: Sequence[MaskJob], settings: MaskSettings, drawing: Drawing, *, overwrite: bool
) -> Results:
    """Explain images, showing progress.

    Raises:
        UsageError: What is asked for cannot be, or an output folder cannot be written.
    """
    results = Results()
    if not todo:
        return results
    require_writable([_as_job(job) for job in todo])
    upscaler, baseline = settings.upscaler(), settings.baseline()
    wanted = MaskFiles(
        drawing.kinds,
        choose_layers(drawing.layers, baseline.layers),
        drawing.image_format,
        npz=drawing.npz,
        html=drawing.html,
    )
    with progress_for(len(todo)) as progress:
        ends = explain_images(
            todo,
            upscaler,
            baseline,
            wanted,
            effort=settings.effort,
            overwrite=overwrite,
            on_tile=lambda job, done, total: progress.tile(_as_job(job), done, total),
        )
        try:
            for outcome in ends:
                _note(outcome, results, progress)
        except KeyboardInterrupt:
            results.interrupted = True
            progress.note("interrupted; the same command goes on where this one stopped")
    return results


def open_result(jobs: Sequence[MaskJob], *, html: bool) -> None:
    """Open the first image's report, or contact sheet, with what the desktop has for it."""
    names = (REPORT, SHEET) if html else (SHEET,)
    for job in jobs:
        for name in names:
            if (job.target / name).is_file():
                click.launch(str(job.target / name))
                return


def _note(outcome: StageResult[MaskJob, Drawn], results: Results, progress: BatchProgress) -> None:
    """Keep how a job ended, and show it."""
    job, drawn = _as_job(outcome.item), outcome.stored
    if drawn is None:
        end = Finished(job, State.FAILED, reason_of(job, outcome.error))
    else:
        end = Finished(job, State.DONE, losses=_left_out(drawn, job), report=drawn.report)
        results.figures.append((job.source, drawn.figures))
    results.finished.append(end)
    progress.finished(end)


def _left_out(drawn: Drawn, job: Job) -> tuple[str, ...]:
    if not drawn.left_out:
        return ()
    what = f"{drawn.left_out} more pages or frames left out: only the first is explained"
    return (f"{job.source}: {what}",)


def _as_job(job: MaskJob) -> Job:
    return Job(job.source, job.target, "png")
