"""`srcli upscale`: folders and files of images, larger."""

import click

from srcli.cli.clip_options import ClipOptions, clip_options
from srcli.cli.limit_options import Limits, limit_options
from srcli.cli.upscale_options import (
    Engine,
    Handling,
    Result,
    Selection,
    engine_options,
    handling_options,
    result_options,
    selection_options,
)
from srcli.errors import ExitCode

__all__ = ["upscale"]


@click.command()
@selection_options
@result_options
@engine_options
@handling_options
@limit_options
@clip_options
def upscale(
    selection: Selection,
    result: Result,
    engine: Engine,
    handling: Handling,
    limits: Limits,
    clips: ClipOptions,
) -> ExitCode:
    """Upscale images and clips: files, and folders with everything in them.

    Of several inputs a journal is kept in the output folder: the same command again does what is
    not done yet, what has changed, and what was made with other settings. Results are written
    under a temporary name and renamed when whole. The first Ctrl-C finishes the present file.
    """
    from srcli.cli.upscale_run import run

    return run(selection, result, engine, handling, limits, clips)
