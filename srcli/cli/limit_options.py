"""The options of `srcli upscale` that say what one input may take."""

from dataclasses import dataclass

import click

from srcli.cli.grouping import Decorator, grouped
from srcli.cli.option_types import ByteCount, Number

__all__ = ["Limits", "limit_options"]


@dataclass(frozen=True)
class Limits:
    """Limits for one input."""

    max_megapixels: float
    max_output_megapixels: float
    max_file_size: int
    max_memory: int
    max_seconds: float


_ABOVE_ZERO = Number(0, min_open=True)

limit_options: Decorator = grouped(
    "limits",
    Limits,
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
