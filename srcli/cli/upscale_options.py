"""Options of `srcli upscale` alone: inputs, results, clips, and the page that compares."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import click

from srcli.cli.click_classes import Decorator, grouped
from srcli.cli.cluster_options import ClusterOptions
from srcli.cli.option_types import BoxSize, FormatName, FrameRate, PathOrUrl, ScaleFactor, Seconds
from srcli.cli.run_options import LimitOptions, NetworkOptions, RunOptions
from srcli.defaults import LARGEST_SCALE, QUALITY, SCALE, TEMPORAL, TEMPORAL_MODES
from srcli.jobs.target_size import TargetSize

__all__ = [
    "FORMAT_OPTIONS",
    "ClipOptions",
    "CompareOptions",
    "InputOptions",
    "OutputOptions",
    "UpscaleOptions",
    "clip_options",
    "compare_options",
    "input_options",
    "output_options",
]

# As `Format.option` of each format has them, held by a test; help cannot load the formats.
FORMAT_OPTIONS = ("same", "png", "jpg", "webp", "tiff", "avif", "heic", "jxl")


@dataclass(frozen=True)
class InputOptions:
    """Options that select inputs and name their results."""

    inputs: tuple[str, ...]
    files_from: Path | None
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    follow_links: bool
    output: Path | None
    name: str | None


input_options: Decorator = grouped(
    "selection",
    InputOptions,
    click.argument("inputs", nargs=-1, metavar="INPUT...", type=click.Path()),
    click.option(
        "-o",
        "--output",
        type=PathOrUrl(),
        help="Folder for the results (or s3://…), or the file name of a single result."
        "  [default: NAME_x4/ beside a folder, STEM_x4.EXT beside a file]",
    ),
    click.option(
        "--files-from",
        type=click.Path(path_type=Path, allow_dash=True),
        help="File that lists more inputs, one per line or separated by NUL; - is stdin.",
    ),
    click.option(
        "--include",
        multiple=True,
        metavar="PATTERN",
        help="In folders, take only files that match: '*.jpg', '2024/**'. Repeatable.",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="PATTERN",
        help="In folders, skip files that match. Repeatable; wins over --include.",
    ),
    click.option(
        "--follow-links/--no-follow-links",
        default=False,
        show_default=True,
        help="Also search linked folders, each once. Linked files are always taken.",
    ),
    click.option(
        "--name",
        metavar="PATTERN",
        help="Names of results, for example '{stem}_x{scale}.{ext}'; also {size}, {model}, "
        "{effort}.",
    ),
)


@dataclass(frozen=True)
class OutputOptions:
    """Options of the results."""

    scale: float | None
    width: int | None
    height: int | None
    fit: tuple[int, int] | None
    megapixels: float | None
    image_format: str
    quality: int
    strip_metadata: bool
    no_gps: bool
    keep_times: bool

    def size(self, default: float = SCALE) -> TargetSize:
        """Size of the results.

        Args:
            default: The scale where no size is asked for.

        Raises:
            UsageError: Two sizes are asked for.
        """
        exact_sizes = (self.width, self.height, self.fit, self.megapixels)
        scale = float(default) if self.scale is None and not any(exact_sizes) else self.scale
        return TargetSize(scale, self.width, self.height, self.fit, self.megapixels)

    @property
    def format(self) -> str | None:
        """Format of all results; None: that of each input."""
        from srcli.media import FORMATS  # heavy: `--help` does without

        names = {format.option: format.name for format in FORMATS.values()}
        return names.get(self.image_format)


output_options: Decorator = grouped(
    "results",
    OutputOptions,
    click.option(
        "-s",
        "--scale",
        type=ScaleFactor(),
        help=f"Scale factor: above 1, up to {LARGEST_SCALE}; fractions too.  "
        f"[default: {SCALE}, or what the model makes if that is less]",
    ),
    click.option(
        "--width",
        type=click.IntRange(1),
        metavar="PX",
        help="Exact width of the result instead of a scale.",
    ),
    click.option(
        "--height",
        type=click.IntRange(1),
        metavar="PX",
        help="Exact height of the result instead of a scale.",
    ),
    click.option(
        "--fit",
        type=BoxSize(),
        help="Largest size that fits into a box, instead of a scale: 3840x2160.",
    ),
    click.option(
        "--megapixels",
        type=click.FloatRange(0, min_open=True),
        metavar="FLOAT",
        help="Largest size up to so many million pixels, instead of a scale.",
    ),
    click.option(
        "--format",
        "image_format",
        type=FormatName(FORMAT_OPTIONS),
        default="same",
        show_default=True,
        help="Format of the results; same is that of each input.",
    ),
    click.option(
        "--quality",
        type=click.IntRange(1, 100),
        default=QUALITY,
        show_default=True,
        help="Quality of JPEG, lossy WebP, AVIF, HEIC and JPEG XL (there 100 is lossless).",
    ),
    click.option(
        "--strip-metadata", is_flag=True, help="Write no metadata except the colour profile."
    ),
    click.option("--no-gps", is_flag=True, help="Remove GPS positions from the metadata."),
    click.option("--keep-times", is_flag=True, help="Results get the times of their inputs."),
)


@dataclass(frozen=True)
class ClipOptions:
    """Options of video; names as on the command line."""

    codec: str
    crf: float | None
    preset: str
    pix_fmt: str
    start: Fraction
    duration: Fraction | None
    deinterlace: bool
    tonemap: bool
    force_sdr: bool
    fps: Fraction | None
    frames_dir: Path | None
    temporal: str


clip_options: Decorator = grouped(
    "clips",
    ClipOptions,
    click.option(
        "--codec",
        default="",
        metavar="NAME",
        help="Encoder: h264, hevc, av1, prores, ffv1, or a hardware encoder such as h264_nvenc."
        "  [default: h264; av1 for .webm]",
    ),
    click.option(
        "--crf",
        type=float,
        help="Quality of the encoder, lower is better.  [default: h264 18, hevc 20, av1 24]",
    ),
    click.option(
        "--preset",
        default="",
        metavar="NAME",
        help="Speed of the encoder, in its own words: fast, slow, …",
    ),
    click.option(
        "--pix-fmt",
        default="",
        metavar="NAME",
        help="Pixel format, such as yuv420p10le.  [default: 4:2:0 of the source's depth]",
    ),
    click.option(
        "--start", type=Seconds(), default="0", help="Time to start at: 1.5 or 1:02:03.5."
    ),
    click.option(
        "--duration", type=Seconds(), help="Length of the part to upscale: 10 or 0:01:30."
    ),
    click.option("--deinterlace", is_flag=True, help="Deinterlace every frame (bwdif)."),
    click.option("--tonemap", is_flag=True, help="Convert HDR (PQ, HLG) to SDR, BT.709."),
    click.option(
        "--force-sdr",
        is_flag=True,
        help="Treat HDR values as SDR; colours look flat.",
    ),
    click.option(
        "--fps",
        type=FrameRate(),
        help="Frame rate of numbered images: frames/%06d.png becomes a video.",
    ),
    click.option(
        "--frames-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Write frames as PNG files with times.txt into this folder instead of a clip.",
    ),
    click.option(
        "--temporal",
        type=click.Choice(TEMPORAL_MODES),
        default=TEMPORAL,
        show_default=True,
        help="Reuse of earlier frames' results: whole frames that repeat; with exact, also parts "
        "that no change reaches; with fast, also those that changed by coding noise alone.",
    ),
)


@dataclass(frozen=True)
class CompareOptions:
    """Options of the page that compares bicubic and result."""

    compare: bool
    show: bool

    @property
    def enabled(self) -> bool:
        """True if a page is asked for."""
        return self.compare or self.show


compare_options: Decorator = grouped(
    "comparison",
    CompareOptions,
    click.option(
        "--compare",
        is_flag=True,
        help="Write a page with a slider between bicubic and result for each image (20 at most), "
        "also of results that exist: compare.html in the output folder, or STEM_x4_compare.html.",
    ),
    click.option(
        "--open", "show", is_flag=True, help="Write that page and open it in the browser."
    ),
)


@dataclass(frozen=True)
class UpscaleOptions:
    """All options of `srcli upscale`."""

    inputs: InputOptions
    output: OutputOptions
    network: NetworkOptions
    run: RunOptions
    limits: LimitOptions
    clips: ClipOptions
    compare: CompareOptions
    cluster: ClusterOptions
