"""`srcli visualize-mask`: see where the network looked, and where it stopped."""

import time
from pathlib import Path

import click

from srcli.cli.console import echo_line, loading
from srcli.cli.option_types import FormatName, ScaleFactor, TileSize
from srcli.cli.run_options import DownloadOptions, download_options, precision_option
from srcli.defaults import AUTO, LARGEST_SCALE, SCALE
from srcli.errors import ExitCode, NothingToDo

__all__ = ["WHAT", "visualize_mask"]

WHAT = ("all", "confidence", "score", "local", "global", "depth", "pure")


class MapTypes(click.ParamType[tuple[str, ...]]):
    """Kinds of maps, one or several."""

    name = "map"

    def convert(
        self,
        value: str | tuple[str, ...],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, ...]:
        """Turn what was typed into names."""
        if isinstance(value, tuple):
            return value
        names = tuple(value.split(","))
        for name in names:
            if name not in WHAT:
                self.fail(f"{name!r} is not a map (have {', '.join(WHAT)})")
        return names


@click.command("visualize-mask", short_help="Draw where a network computed and where it stopped.")
@click.argument(
    "inputs", nargs=-1, required=True, metavar="INPUT...", type=click.Path(path_type=Path)
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder for the masks of all images.  [default: STEM_masks/ beside each image]",
)
@click.option(
    "-m",
    "--model",
    default=AUTO,
    show_default=True,
    help="Network or weights: srcli weights list; auto chooses as upscale does.",
)
@click.option(
    "-s",
    "--scale",
    type=ScaleFactor(),
    default=SCALE,
    show_default=True,
    help=f"Scale factor: above 1, up to {LARGEST_SCALE}.",
)
@click.option(
    "--effort",
    type=click.Choice(["exact", "balanced", "fast"]),
    default="balanced",
    show_default=True,
    help="exact computes everything (nothing halts, confidence is shown); balanced and fast stop "
    "early where the network is sure.",
)
@click.option(
    "--tile",
    type=TileSize(),
    default="auto",
    show_default=True,
    help="Largest tile in px of the input; 0 computes the whole image at once.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@precision_option
@click.option(
    "--layers",
    default="all",
    show_default=True,
    metavar="all|1,3,6",
    help="Layers to draw maps of.",
)
@click.option(
    "--what",
    type=MapTypes(),
    metavar="|".join(WHAT),
    default="all",
    show_default=True,
    help="Maps to draw, separated by commas; contact sheet and chart are always written.",
)
@click.option(
    "--format",
    "image_format",
    type=FormatName(["png", "webp"]),
    default="png",
    show_default=True,
    help="Format of the maps; the contact sheet is always PNG.",
)
@click.option("--npz", is_flag=True, help="Also write all maps as NumPy arrays.")
@click.option("--html", is_flag=True, help="Also write an interactive report, one HTML file.")
@click.option(
    "--open", "show", is_flag=True, help="Open the report of the first image, or its contact sheet."
)
@click.option("--overwrite", is_flag=True, help="Replace results that exist.")
@download_options
def visualize_mask(
    inputs: tuple[Path, ...],
    output: Path | None,
    model: str,
    scale: float,
    effort: str,
    tile: int | None,
    device: str,
    precision: str,
    layers: str,
    what: tuple[str, ...],
    image_format: str,
    downloads: DownloadOptions,
    *,
    npz: bool,
    html: bool,
    show: bool,
    overwrite: bool,
) -> ExitCode:
    """Draw where a network computed and where it stopped: confidence, halting masks, depth.

    Upscales every image as srcli upscale does, and writes a folder of maps of the result's size
    with a contact sheet. Masks that exist are made again only with other settings or with
    --overwrite. Missing weights are downloaded after a question.
    """
    with loading():
        from srcli.cli.fetching import fetch_before_use, known_model, policy_of
        from srcli.cli.mask_batch import (
            DrawOptions,
            MaskSettings,
            choose,
            explain_all,
            open_result,
            print_mask_summary,
        )
        from srcli.cli.summary import exit_code, print_summary
        from srcli.jobs.discover import discover
        from srcli.jobs.ignored import Ignored
        from srcli.jobs.job import Finished, Job, State
        from srcli.viz.choice import choose_layers, choose_map_types, layer_count
        from srcli.viz.run import plan_folders

    model = known_model(model, policy_of(downloads))
    ignored = Ignored()
    found = discover(inputs, exclude=output, ignored=ignored)
    images = [(source.path, source.root) for source in found if source.settled is None]
    jobs = plan_folders(images, output)
    settled = [
        Finished(Job(one.path, one.path, "png"), one.settled.state, one.settled.reason)
        for one in found
        if one.settled is not None
    ]
    if not found:
        where = ", ".join(map(str, inputs))
        raise NothingToDo(
            f"no images in {where} (srcli reads PNG, JPEG, WebP, TIFF, BMP, AVIF, HEIC and "
            "JPEG XL, and passes over folders of masks)"
        )
    kinds = choose_map_types(model, effort, what)
    if layers != "all":
        choose_layers(layers, layer_count(model))  # before anything is asked or made
    settings = MaskSettings(model, scale, device, precision, effort, tile)
    drawing = DrawOptions(kinds, layers, image_format, npz=npz, html=html)
    todo, skipped = choose(jobs, drawing.request(settings), overwrite=overwrite)
    if todo:
        fetch_before_use([(model, scale)], policy_of(downloads), yes=downloads.yes)
    for end in settled:
        echo_line(end.reason if end.state is State.FAILED else f"{end.job.source}: {end.reason}")
    started = time.monotonic()
    results = explain_all(todo, settings, drawing, overwrite=overwrite)
    finished = [*settled, *skipped, *results.finished]
    print_mask_summary(results.stats)
    print_summary(finished, seconds=time.monotonic() - started, ignored=ignored.lines())
    if show:
        open_result([job for job in jobs if job.target.exists()], html=html)
    return exit_code(finished, interrupted=results.interrupted)
