"""`srcli upscale`: folders and files of pictures, larger."""

import os
import time
from itertools import chain
from pathlib import Path

import click

from srcli.cli.clip_options import ClipOptions, clip_options
from srcli.errors import ExitCode, NothingToDo

__all__ = ["upscale"]

_FORMATS = {"same": None, "png": "png", "jpg": "jpeg", "webp": "webp", "tiff": "tiff"}


class TileSize(click.ParamType[int | None]):
    """`auto`, or a whole number of pixels."""

    name = "auto|0|N"

    def convert(
        self, value: str | int | None, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Turn what was typed into None (auto) or px."""
        if value is None or value == "auto":
            return None
        try:
            size = int(value)
        except ValueError:
            size = -1
        if size < 0:
            self.fail(f"{value!r} is neither auto nor 0 (whole picture) nor a number of px")
        return size


@click.command()
@click.argument(
    "inputs", nargs=-1, required=True, metavar="INPUT...", type=click.Path(path_type=Path)
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where results go: a folder, or a picture's name for a single file."
    "  [default: NAME_x4/ beside a folder, STEM_x4.EXT beside a file]",
)
@click.option(
    "-s", "--scale", type=float, default=4, show_default=True, help="How many times as wide."
)
@click.option("-m", "--model", default="adaformer", show_default=True, help="Network.")
@click.option(
    "--effort",
    type=click.Choice(["exact", "balanced", "fast"]),
    default="balanced",
    show_default=True,
    help="exact computes everything; the others stop where the picture is restored.",
)
@click.option(
    "--halt-eps",
    type=click.FloatRange(0, 1),
    metavar="FLOAT",
    help="Instead of --effort, for experts: 0 to 1, the larger the more is stopped (ε of the "
    "paper; balanced is 0.05, fast 0.9).",
)
@click.option(
    "--tile",
    type=TileSize(),
    default="auto",
    show_default=True,
    help="Largest piece in px of the input; 0 takes pictures whole.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
    default="auto",
    show_default=True,
    help="auto is bf16 where the device computes it natively.",
)
@click.option(
    "--format",
    "image_format",
    type=click.Choice(list(_FORMATS)),
    default="same",
    show_default=True,
    help="Format of the results.",
)
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    default=95,
    show_default=True,
    help="Of JPEG and lossy WebP.",
)
@click.option(
    "--compile",
    "compiled",
    is_flag=True,
    help="Compile the network first: minutes once, then faster on a GPU. Kept for later runs.",
)
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
@clip_options
def upscale(
    inputs: tuple[Path, ...],
    output: Path | None,
    scale: float,
    model: str,
    effort: str,
    halt_eps: float | None,
    tile: int | None,
    device: str,
    precision: str,
    image_format: str,
    quality: int,
    *,
    compiled: bool,
    overwrite: bool,
    clip_options: ClipOptions,
) -> ExitCode:
    """Upscale pictures and clips: files, and folders with everything in them.

    Existing outputs are kept and counted as skipped. Results are written under a temporary name
    and renamed when whole.
    """
    from srcli.cli.progress import progress_for
    from srcli.cli.summary import exit_code, print_summary
    from srcli.jobs.discover import discover
    from srcli.jobs.outcome import set_aside
    from srcli.jobs.plan import frames_job, is_moving, plan_jobs

    sources = discover(inputs, exclude=output, clips=True)
    if clip_options.frames_dir is None:
        jobs = plan_jobs(sources, output, scale=scale, image_format=_FORMATS[image_format])
    else:
        jobs = [frames_job(sources, clip_options.frames_dir)]
    if not jobs:
        where = ", ".join(map(str, inputs))
        raise NothingToDo(
            f"no pictures in {where} (srcli reads PNG, JPEG, WebP, TIFF, BMP and clips)"
        )
    settings = clip_options.settings(
        {
            "model": model,
            "effort": str(effort if halt_eps is None else halt_eps),
            "tile": str(tile),
            "device": device,
            "precision": precision,
        }
    )
    todo, finished = set_aside(jobs, overwrite=overwrite)
    interrupted = False
    started = time.monotonic()
    if todo:
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # to PyTorch: fewer page faults
        from srcli.inference.upscaler import Upscaler
        from srcli.jobs.batch import run_batch, run_clips

        clips = [job for job in todo if is_moving(job)]
        pictures = [job for job in todo if not is_moving(job)]

        upscaler = Upscaler(
            model,
            scale,
            device,
            precision,
            effort=effort if halt_eps is None else halt_eps,
            tile=tile,
            compiled=compiled,
        )
        with progress_for(len(todo)) as progress:
            if upscaler.reduces:
                progress.note(
                    f"{model} has no x{scale:g} weights: upscaling "
                    f"x{upscaler.network.scale} and reducing to x{scale:g}"
                )
            try:
                for end in chain(
                    run_batch(pictures, upscaler, quality=quality, on_tile=progress.tile),
                    run_clips(clips, upscaler, settings, on_frame=progress.frame),
                ):
                    finished.append(end)
                    progress.finished(end)
            except KeyboardInterrupt:
                interrupted = True
                progress.note("interrupted; the same command goes on where this one stopped")
    print_summary(finished, seconds=time.monotonic() - started)
    return exit_code(finished, interrupted=interrupted)
