"""`srcli upscale`: folders and files of images, larger."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import click

from srcli.cli.click_classes import SectionedCommand
from srcli.cli.cluster_options import ClusterOptions, cluster_options
from srcli.cli.console import loading
from srcli.cli.run_options import (
    LimitOptions,
    NetworkOptions,
    RunOptions,
    limit_options,
    network_options,
    run_options,
)
from srcli.cli.upscale_options import (
    ClipOptions,
    CompareOptions,
    InputOptions,
    OutputOptions,
    UpscaleOptions,
    clip_options,
    compare_options,
    input_options,
    output_options,
)
from srcli.errors import ExitCode

__all__ = ["upscale"]


class UpscaleCommand(SectionedCommand):
    """`srcli upscale` with its options under headings."""

    sections: ClassVar[Mapping[str, Sequence[str]]] = {
        "Most used": (
            "output", "scale", "model", "effort", "image_format", "quality", "fit", "overwrite",
            "dry_run", "device",
        ),
        "Input and output": (
            "files_from", "include", "exclude", "follow_links", "name", "strip_metadata", "no_gps",
            "keep_times", "compare", "show",
        ),
        "Size": ("width", "height", "megapixels"),
        "Model and speed": (
            "halt_eps", "tile", "precision", "compiled", "yes", "trust_first", "offline",
        ),
        "Results that exist": ("on_mismatch", "journal", "wait", "disk_check"),
        "Video": (
            "codec", "crf", "preset", "pix_fmt", "start", "duration", "deinterlace", "tonemap",
            "force_sdr", "fps", "frames_dir", "temporal",
        ),
        "Limits": (
            "max_megapixels", "max_output_megapixels", "max_file_size", "max_memory", "max_seconds",
        ),
        "Several machines": ("address", "workers", "gpus_per_worker"),
        "Messages": ("json", "quiet", "verbose"),
    }  # fmt: skip


@click.command(cls=UpscaleCommand, short_help="Upscale images and video.")
@input_options
@output_options
@network_options
@run_options
@limit_options
@clip_options
@compare_options
@cluster_options
def upscale(
    selection: InputOptions,
    results: OutputOptions,
    network: NetworkOptions,
    run: RunOptions,
    limits: LimitOptions,
    clips: ClipOptions,
    comparison: CompareOptions,
    cluster: ClusterOptions,
) -> ExitCode:
    """Upscale images and video: files, folders with their subfolders, and URLs (s3://…).

    Run the same command again to continue: it does what is missing, what has changed, and what
    was made with other settings. Inputs are never replaced, and a result gets its name only when
    it is complete. The first Ctrl-C finishes the current file, the second stops at once.
    """
    with loading(quiet=run.quiet):
        from srcli.cli.upscale_run import run_upscale

    return run_upscale(
        UpscaleOptions(selection, results, network, run, limits, clips, comparison, cluster)
    )
