"""Types of option values, beyond those that click has."""

import functools
import math
import os
import re
from fractions import Fraction
from pathlib import Path

import click

from srcli.errors import UsageError
from srcli.url_paths import UrlPath, is_url, path_of

__all__ = [
    "BoxSize",
    "ByteCount",
    "FormatName",
    "FrameRate",
    "Number",
    "PathOrUrl",
    "ScaleFactor",
    "Seconds",
    "TileSize",
    "WholeScale",
    "split_names",
]

_BROADCAST = Fraction(1000, 1001)  # 23.976 a second are 24 of these
_NEAR = 1e-6  # of a rate: what digits that were cut off may have moved it
_MOST_PARTS = 10**5  # of a second that a rate's denominator may count
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Number(click.FloatRange):
    """A number in a range; nan is in none."""

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse a number."""
        number = float(super().convert(value, param, ctx))  # pyright: ignore[reportArgumentType]
        if math.isnan(number):
            self.fail(f"{value} is not a number", param, ctx)
        return number


class PathOrUrl(click.Path):
    """A path of a file or a folder, or a URL of storage elsewhere."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        """Parse a `Path`."""
        if isinstance(value, str) and is_url(value):
            try:
                return path_of(value)
            except UsageError as error:
                self.fail(str(error), param, ctx)
        return value if isinstance(value, UrlPath) else super().convert(value, param, ctx)


class ScaleFactor(click.ParamType[float]):
    """A scale factor: `2`, `1.5`, and as people write it `2x` or `x2`."""

    name = "float"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse SR px per LR px to a side."""
        try:
            return float(_without_x(str(value)))
        except ValueError:
            self.fail(f"{value!r} is not a number; hint: -s 3", param, ctx)


class WholeScale(click.IntRange):
    """A whole scale factor in a range; `3x` and `x3` too."""

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Parse SR px per LR px to a side."""
        return super().convert(_without_x(str(value)), param, ctx)  # pyright: ignore[reportArgumentType]


def _without_x(typed: str) -> str:
    """The number in `3x`, `x3` or `3×`.

    >>> [_without_x(typed) for typed in ("3x", "X3", "1.5×", "xx")]
    ['3', '3', '1.5', 'xx']
    """
    found = re.fullmatch(r"[x\u00d7]?(\d[\d.]*)[x\u00d7]?", typed.strip().lower())
    return found[1] if found else typed


class FormatName(click.Choice[str]):
    """A format by its name or by any suffix of its files, in any case: `jpeg`, `.tif`, `JPG`."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Find the name that the option has for the format."""
        typed = value.strip().lower().removeprefix(".")
        if typed in self.choices:
            return typed
        from srcli.media import FORMATS  # heavy: `--help` does without

        for format in FORMATS.values():
            if f".{typed}" in format.suffixes and format.option in self.choices:
                return format.option
        return super().convert(value, param, ctx)


class TileSize(click.ParamType[int | None]):
    """`auto`, or a whole number of pixels."""

    name = "auto|0|N"

    def convert(
        self, value: str | int | None, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Parse None (auto) or px."""
        if value is None or value == "auto":
            return None
        try:
            size = int(value)
        except ValueError:
            size = -1
        if size < 0:
            self.fail(f"{value!r} is neither auto nor 0 (whole image) nor a number of px")
        return size


class BoxSize(click.ParamType[tuple[int, int]]):
    """`WxH` in pixels."""

    name = "WxH"

    def convert(
        self,
        value: str | tuple[int, int],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, int]:
        """Parse (width, height)."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"([1-9]\d{0,8})[x\u00d7]([1-9]\d{0,8})", value.strip().lower())
        if found is None:
            self.fail(f"{value!r} is not a size; hint: WxH in px, for example 3840x2160")
        return int(found[1]), int(found[2])


class ByteCount(click.ParamType[int]):
    """A number of bytes, with K, M, G or T for powers of 1024."""

    name = "SIZE"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Parse bytes."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", value.strip(), re.IGNORECASE)
        if found is None or float(found[1]) <= 0:
            self.fail(f"{value!r} is not a number of bytes; hint: for example 500M or 8G")
        return int(float(found[1]) * _UNITS[found[2].upper()])


class FrameRate(click.ParamType[Fraction]):
    """`24`, `23.976` or `24000/1001`.

    >>> FrameRate().convert("29.97002997", None, None)
    Fraction(30000, 1001)
    """

    name = "rate"

    def convert(
        self, value: str | Fraction, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        """Parse frames a second."""
        try:
            rate = Fraction(value)
        except (ValueError, ZeroDivisionError):
            rate = Fraction(0)
        if not Fraction(1, 1000) <= rate <= 1000:
            self.fail(
                f"{value!r} is not a frame rate; hint: 24, 23.976 or 24000/1001, at most 1000"
            )
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
        """Parse seconds."""
        if isinstance(value, Fraction):
            return value
        try:
            parts = [Fraction(part) for part in value.split(":")]
        except (ValueError, ZeroDivisionError):
            parts = []
        if not 1 <= len(parts) <= 3 or any(part < 0 for part in parts):
            self.fail(
                f"{value!r} is not a time; hint: seconds (1.5) or hours:minutes:seconds (1:02:03.5)"
            )
        return functools.reduce(lambda total, part: total * 60 + part, parts, Fraction(0))


def split_names(words: str | None) -> list[str]:
    """Names of an option that takes several with commas between them; none for None.

    >>> split_names("adaformer, pp-atd-light,")
    ['adaformer', 'pp-atd-light']
    """
    return [word.strip() for word in (words or "").split(",") if word.strip()]
