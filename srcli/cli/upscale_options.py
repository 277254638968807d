"""The options of `srcli upscale`, by what they are about."""

from dataclasses import dataclass
from pathlib import Path

import click

from srcli.cli.download_options import offline_option, trust_first_option, yes_option
from srcli.cli.grouping import Decorator, grouped
from srcli.cli.option_types import BoxSize, FormatName, TileSize
from srcli.defaults import AUTO, HALT_EPS, LARGEST_SCALE, MODEL, PHOTO_MODEL, QUALITY, SCALE
from srcli.jobs.target_size import TargetSize

__all__ = [
    "FORMAT_OPTIONS",
    "Engine",
    "Handling",
    "Result",
    "Selection",
    "engine_options",
    "handling_options",
    "result_options",
    "selection_options",
]

# As `Format.option` of each format has them, held by a test; help cannot load the formats.
FORMAT_OPTIONS = ("same", "png", "jpg", "webp", "tiff", "avif", "heic", "jxl")


@dataclass(frozen=True)
class Selection:
    """Options that select images, and name their results."""

    inputs: tuple[str, ...]
    files_from: Path | None
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    follow_links: bool
    output: Path | None
    name: str | None


selection_options: Decorator = grouped(
    "selection",
    Selection,
    click.argument("inputs", nargs=-1, metavar="INPUT...", type=click.Path()),
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        help="Folder for the results, or the file name of a single result."
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
class Result:
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

    def size(self) -> TargetSize:
        """Size of the results; x4 if nothing is said.

        Raises:
            UsageError: Two sizes are asked for.
        """
        wishes = (self.width, self.height, self.fit, self.megapixels)
        scale = float(SCALE) if self.scale is None and not any(wishes) else self.scale
        return TargetSize(scale, self.width, self.height, self.fit, self.megapixels)

    @property
    def format(self) -> str | None:
        """Of all results; None: as the inputs."""
        from srcli.media import FORMATS  # heavy: `--help` does without

        names = {format.option: format.name for format in FORMATS.values()}
        return names.get(self.image_format)


result_options: Decorator = grouped(
    "result",
    Result,
    click.option(
        "-s",
        "--scale",
        type=float,
        help=f"Scale factor: above 1, up to {LARGEST_SCALE}; fractions too.  [default: {SCALE}]",
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
class Engine:
    """Options of the computation."""

    model: str
    effort: str
    halt_eps: float | None
    tile: int | None
    device: str
    precision: str
    compiled: bool
    yes: bool
    offline: bool
    trust_first: bool = False

    @property
    def asked_effort(self) -> str | float:
        """By name, or as ε, which goes before; as `Upscaler` takes it."""
        return self.effort if self.halt_eps is None else self.halt_eps

    @property
    def effort_label(self) -> str:
        """The effort in words, for names and records."""
        return self.effort if self.halt_eps is None else f"{self.halt_eps:g}"


engine_options: Decorator = grouped(
    "engine",
    Engine,
    click.option(
        "-m",
        "--model",
        default=AUTO,
        show_default=True,
        help=f"Network or weights: srcli weights list. {AUTO} takes {MODEL}, or "
        f"{PHOTO_MODEL} for inputs that compression has damaged.",
    ),
    click.option(
        "--effort",
        type=click.Choice(["exact", "balanced", "fast"]),
        default="balanced",
        show_default=True,
        help="exact computes everything; balanced and fast stop early where the network is sure.",
    ),
    click.option(
        "--halt-eps",
        type=click.FloatRange(0, 1),
        metavar="FLOAT",
        help="Instead of --effort, for experts: 0 to 1, larger stops earlier (ε of the "
        f"paper; of {MODEL} balanced is {HALT_EPS['balanced']:g}, fast {HALT_EPS['fast']:g}).",
    ),
    click.option(
        "--tile",
        type=TileSize(),
        default="auto",
        show_default=True,
        help="Largest tile in px of the input; 0 computes the whole image at once.",
    ),
    click.option(
        "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps."
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
        default="auto",
        show_default=True,
        help="Number format in the network; auto is bf16 on devices that compute it natively.",
    ),
    click.option(
        "--compile",
        "compiled",
        is_flag=True,
        help="Compile the network first: minutes once, then faster on a GPU; kept for later runs.",
    ),
    yes_option,
    trust_first_option,
    offline_option,
)


@dataclass(frozen=True)
class Handling:
    """Options for existing outputs, and for messages."""

    overwrite: bool
    on_mismatch: str
    wait: bool
    dry_run: bool
    disk_check: bool
    json: bool
    quiet: bool
    verbose: bool


handling_options: Decorator = grouped(
    "handling",
    Handling,
    click.option(
        "--overwrite", is_flag=True, help="Make all results again, and replace those that exist."
    ),
    click.option(
        "--on-mismatch",
        type=click.Choice(["ask", "redo", "keep", "fail"]),
        default="ask",
        show_default=True,
        help="What to do with results that were made with other settings or from an input that has "
        "changed, or that were altered since. Without a terminal to ask on, altered ones are "
        "kept and the others are made again.",
    ),
    click.option("--wait", is_flag=True, help="Wait for another run in the same folder to end."),
    click.option(
        "--dry-run", is_flag=True, help="Show what would be done, with sizes, and do nothing."
    ),
    click.option(
        "--disk-check/--no-disk-check",
        default=True,
        show_default=True,
        help="Stop before any work if the results would hardly fit on the disk.",
    ),
    click.option(
        "--json", is_flag=True, help="Print events as JSON lines on stdout, for programs."
    ),
    click.option("-q", "--quiet", is_flag=True, help="Show failures only."),
    click.option(
        "-v", "--verbose", is_flag=True, help="Show details: every skipped input, shares by layer."
    ),
)
