"""`srcli train`: weights of one's own."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srcli.errors import ExitCode

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from srcli.training.reports import StepReport, ValidationReport

__all__ = ["train"]


@click.command()
@click.argument("config", metavar="CONFIG.toml", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for checkpoint, log and weights.  [default: training/NAME, NAME as in CONFIG]",
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in that folder.")
@click.option(
    "--init",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Start from these weights; of another scale: with a new upsampler, fitted to them.",
)
@click.option("--steps", type=click.IntRange(1), help="Length of the run, instead of CONFIG's.")
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help="Likewise; with --steps, whichever ends first.",
)
@click.pass_context
def train(
    context: click.Context,
    config: Path,
    out: Path | None,
    init: Path | None,
    steps: int | None,
    minutes: float | None,
    *,
    resume: bool,
) -> None:
    """Train a network as CONFIG.toml says, and print the path of the finished weights.

    Several processes train together under torchrun. An interrupted run writes a checkpoint first;
    --resume goes on from it, with the same data in the same order.
    """
    from srcli.training.config_file import read_config
    from srcli.training.folder import RunFolder
    from srcli.training.loop import RunOptions, train
    from srcli.training.watchers import JsonLog, Lines

    told = read_config(config)
    folder = RunFolder(out or Path("training") / told.weights.name)
    options = RunOptions(folder.path, resume=resume, init=init, steps=steps, minutes=minutes)
    try:
        if not sys.stderr.isatty():
            lines = Lines(sys.stderr)
            path = train(told, options, [lines, JsonLog(folder.log, lines.warn)])
        else:
            with _progress() as progress:
                bar = _Bar(progress)
                path = train(told, options, [bar, JsonLog(folder.log, bar.warn)])
    except KeyboardInterrupt:
        click.echo(f"srcli: {folder.how_to_go_on()}", err=True)
        context.exit(ExitCode.INTERRUPTED)
    if path is not None:
        click.echo(path)


def _progress() -> "Progress":
    """A bar on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("training"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
    )


class _Bar:
    """Shows how far a run is, and its figures beside it."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def on_step(self, report: "StepReport") -> None:
        """Move the bar."""
        from srcli.training.watchers import describe_figures

        if self._task is None:
            self._task = self._progress.add_task("", total=1.0)
        figures = describe_figures(report)
        self._progress.update(self._task, completed=report.done, description=figures)

    def on_validation(self, report: "ValidationReport") -> None:
        """Say the PSNR of each set above the bar."""
        from srcli.training.watchers import describe_validation

        self.warn(describe_validation(report))

    def warn(self, line: str) -> None:
        """Say something above the bar."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
