"""Options of how a command runs: network, downloads, existing outputs, messages and limits."""

from dataclasses import dataclass
from pathlib import Path

import click

from srcli.cli.click_classes import Decorator, grouped
from srcli.cli.option_types import ByteCount, Number, TileSize
from srcli.defaults import AUTO, HALT_EPS, MODEL, PRECISIONS

__all__ = [
    "DownloadOptions",
    "LimitOptions",
    "NetworkOptions",
    "RunOptions",
    "download_options",
    "limit_options",
    "network_options",
    "offline_option",
    "precision_option",
    "run_options",
    "trust_first_option",
    "yes_option",
]

yes_option: Decorator = click.option(
    "-y", "--yes", is_flag=True, help="Download missing weights without asking."
)
trust_first_option: Decorator = click.option(
    "--trust-first",
    is_flag=True,
    help="Also download weights without a published hash, if their structure is right; the hash "
    "of the first download counts from then on (or SRCLI_TRUST_FIRST=1).",
)
precision_option: Decorator = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="Number format in the network; auto is bf16 on devices that compute it natively, fp16 "
    "on other NVIDIA cards, int8 on other CPUs with AVX512-VNNI, else fp32.",
)
offline_option: Decorator = click.option(
    "--offline", is_flag=True, help="Do not use the internet (or SRCLI_OFFLINE=1)."
)


@dataclass(frozen=True)
class DownloadOptions:
    """Options about downloading weights that are missing."""

    yes: bool
    trust_first: bool
    offline: bool


download_options: Decorator = grouped(
    "downloads", DownloadOptions, yes_option, trust_first_option, offline_option
)


@dataclass(frozen=True)
class NetworkOptions:
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
    def effort_or_eps(self) -> str | float:
        """The argument for `Upscaler`: ε if one is given, else the effort's name."""
        return self.effort if self.halt_eps is None else self.halt_eps

    @property
    def effort_label(self) -> str:
        """Text of the effort, for names and records."""
        return self.effort if self.halt_eps is None else f"{self.halt_eps:g}"


network_options: Decorator = grouped(
    "network",
    NetworkOptions,
    click.option(
        "-m",
        "--model",
        default=AUTO,
        show_default=True,
        help=f"Network or weights: srcli weights list. {AUTO} takes {MODEL}, and for inputs that "
        f"compression has damaged {MODEL}-photo if it is there.",
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
        help="Instead of --effort, for experts: 0 to 1, larger stops earlier. For "
        f"{MODEL}, balanced means {HALT_EPS['balanced']:g} and fast means {HALT_EPS['fast']:g}.",
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
    precision_option,
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
class RunOptions:
    """Options for existing outputs, and for messages."""

    overwrite: bool
    on_mismatch: str
    wait: bool
    dry_run: bool
    disk_check: bool
    journal: Path | None
    json: bool
    quiet: bool
    verbose: bool


run_options: Decorator = grouped(
    "run",
    RunOptions,
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
        "--journal",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="File for the journal.  [default: in the output folder; of URLs in your data folder]",
    ),
    click.option(
        "--json", is_flag=True, help="Print events as JSON lines on stdout, for programs."
    ),
    click.option("-q", "--quiet", is_flag=True, help="Show failures only."),
    click.option(
        "-v", "--verbose", is_flag=True, help="Show details: every skipped input, shares by layer."
    ),
)


@dataclass(frozen=True)
class LimitOptions:
    """Limits for one input and its result."""

    max_megapixels: float
    max_output_megapixels: float
    max_file_size: int
    max_memory: int
    max_seconds: float


_ABOVE_ZERO = Number(0, min_open=True)

limit_options: Decorator = grouped(
    "limits",
    LimitOptions,
    click.option(
        "--max-megapixels",
        type=_ABOVE_ZERO,
        default=512,
        show_default=True,
        help="Largest input, in millions of pixels.",
    ),
    click.option(
        "--max-output-megapixels",
        type=_ABOVE_ZERO,
        default=4096,
        show_default=True,
        help="Largest result, in millions of pixels.",
    ),
    click.option(
        "--max-file-size",
        type=ByteCount(),
        default="4G",
        show_default=True,
        help="Largest input file.",
    ),
    click.option(
        "--max-memory",
        type=ByteCount(),
        default="8G",
        show_default=True,
        help="Memory of the decoder process (Linux).",
    ),
    click.option(
        "--max-seconds",
        type=_ABOVE_ZERO,
        default=120,
        show_default=True,
        help="Longest time for decoding one file, in seconds.",
    ),
)
