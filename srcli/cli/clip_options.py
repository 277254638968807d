"""The options of `srcli upscale` that are about clips."""

import functools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import click

from srcli.cli.grouping import Decorator, grouped

__all__ = ["ClipOptions", "FrameRate", "Seconds", "clip_options"]

_BROADCAST = Fraction(1000, 1001)  # 23.976 a second are 24 of these
_NEAR = 1e-6  # of a rate: what digits that were cut off may have moved it
_MOST_PARTS = 10**5  # of a second that a rate's denominator may count


class FrameRate(click.ParamType[Fraction]):
    """`24`, `23.976` or `24000/1001`.

    >>> FrameRate().convert("29.97002997", None, None)
    Fraction(30000, 1001)
    """

    name = "rate"

    def convert(
        self, value: str | Fraction, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        """Turn what was typed into frames a second."""
        try:
            rate = Fraction(value)
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if not Fraction(1, 1000) <= rate <= 1000:
            self.fail(f"{value!r} is no frame rate: 24, 23.976 or 24000/1001, at most 1000")
        broadcast = round(rate / _BROADCAST) * _BROADCAST
        if abs(broadcast - rate) <= rate * _NEAR:
            return broadcast
        return rate.limit_denominator(_MOST_PARTS)


class Seconds(click.ParamType[Fraction]):
    """`90`, `1.5` or `1:02:03.5`."""

    name = "time"

    def convert(
        self, value: str | Fraction, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        """Turn what was typed into seconds."""
        if isinstance(value, Fraction):
            return value
        try:
            parts = [Fraction(part) for part in value.split(":")]
        except (ValueError, ZeroDivisionError):
            parts = []
        if not 1 <= len(parts) <= 3 or any(part < 0 for part in parts):
            self.fail(f"{value!r} is no time: seconds (1.5) or hours:minutes:seconds (1:02:03.5)")
        return functools.reduce(lambda total, part: total * 60 + part, parts, Fraction(0))


@dataclass(frozen=True)
class ClipOptions:
    """Options of clips; names as on the command line."""

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
)
