"""`srcli train`: weights of one's own."""

import os
import sys
from pathlib import Path

import click

from srcli.cli.console import echo_line
from srcli.errors import ExitCode, UsageError
from srcli.heartbeat import Heartbeat

__all__ = ["train"]


@click.command(short_help="Train a network.")
@click.argument("config", metavar="CONFIG.toml", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for checkpoint, log and weights.  [default: training/NAME, NAME as in CONFIG]",
)
@click.option(
    "--data",
    multiple=True,
    metavar="FOLDER",
    help="Training images, instead of CONFIG's. Repeatable.",
)
@click.option(
    "--sets",
    multiple=True,
    metavar="FOLDER",
    help="Validation sets, instead of CONFIG's. Repeatable.",
)
@click.option("--resume", is_flag=True, help="Continue from the checkpoint in that folder.")
@click.option(
    "--init",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Weights to start from; if they are of another scale, a new upsampler is fitted.",
)
@click.option(
    "--steps", type=click.IntRange(1), help="Length of the run in steps, instead of CONFIG's."
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help="Length of the run in minutes; with --steps, whichever ends first.",
)
@click.pass_context
def train(
    context: click.Context,
    config: Path,
    out: Path | None,
    data: tuple[str, ...],
    sets: tuple[str, ...],
    init: Path | None,
    steps: int | None,
    minutes: float | None,
    *,
    resume: bool,
) -> None:
    """Train a network and print the path of its weights.

    CONFIG.toml says how. An interrupted run writes a checkpoint; --resume continues from it, with
    the same data in the same order. Under torchrun several processes train together.
    """
    if config.is_dir() or not config.exists():
        what = "is a folder" if config.exists() else "does not exist"
        raise UsageError(f"{config} {what}; hint: check the name")
    leads = os.environ.get("RANK", "0") == "0"  # torchrun's first process shows progress
    with Heartbeat(echo_line if leads else _nothing, f"training with {config}") as heartbeat:
        from srcli.training.config_file import read_config
        from srcli.training.folder import RunFolder
        from srcli.training.loggers import JsonLogger, LineLogger
        from srcli.training.loop import RunOptions, train
        from srcli.training.process import process_began

        told = read_config(config)
        folder = RunFolder(out or Path("training") / told.weights.name)
        began = process_began()
        options = RunOptions(folder.path, resume, init, steps, minutes, data, sets, began)
        try:
            if leads and sys.stderr.isatty():
                from rich.console import Console

                from srcli.cli.train_progress import TrainingBar

                heartbeat.stop()
                with TrainingBar(Console(stderr=True), told.run.log_every) as bar:
                    path = train(told, options, [bar, JsonLogger(folder.log, bar.warn)])
                    bar.finish()
            else:
                lines = LineLogger(sys.stderr, heartbeat.heard)
                path = train(told, options, [lines, JsonLogger(folder.log, lines.warn)])
        except KeyboardInterrupt:
            echo_line(folder.how_to_go_on())
            context.exit(ExitCode.INTERRUPTED)
    if path is not None:
        click.echo(path)


def _nothing(_: str) -> None:
    """Say nothing."""
