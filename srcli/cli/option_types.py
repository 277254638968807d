"""Values of options, beyond those that click knows."""

import math
import re

import click

__all__ = ["BoxSize", "ByteCount", "FormatName", "Number", "TileSize"]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Number(click.FloatRange):
    """A number in a range; nan is in none."""

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Turn what was typed into a number."""
        number = float(super().convert(value, param, ctx))  # pyright: ignore[reportArgumentType]
        if math.isnan(number):
            self.fail(f"{value} is not a number", param, ctx)
        return number


class FormatName(click.Choice[str]):
    """A format by its name or by any suffix of its files, in any case: `jpeg`, `.tif`, `JPG`."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Turn what was typed into the format's own name for the option."""
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
        """Turn what was typed into None (auto) or px."""
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
        """Turn what was typed into (width, height)."""
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
        """Turn what was typed into bytes."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", value.strip(), re.IGNORECASE)
        if found is None or float(found[1]) <= 0:
            self.fail(f"{value!r} is not a number of bytes; hint: for example 500M or 8G")
        return int(float(found[1]) * _UNITS[found[2].upper()])
