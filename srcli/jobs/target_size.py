"""Size of the result: the size asked for, resolved for one image."""

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from srcli.errors import ImageTooLarge, UsageError
from srcli.geometry import scaled_size
from srcli.media import FORMATS

__all__ = ["SizeLimits", "TargetSize", "scale_needed"]


@dataclass(frozen=True)
class TargetSize:
    """One of: a scale, a width, a height, a box to fit into, a number of megapixels.

    The image keeps its shape; the side that follows is rounded half up, so that it is off by
    half a pixel at most.

    Args:
        scale: SR px per LR px to a side, above 1.
        width: px.
        height: px.
        fit: (width, height) in px: the largest image that goes into this box.
        megapixels: The largest image with no more than this many million pixels.

    Raises:
        UsageError: Not exactly one is given, or it is out of range.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    fit: tuple[int, int] | None = None
    megapixels: float | None = None

    def __post_init__(self) -> None:
        wishes = (self.scale, self.width, self.height, self.fit, self.megapixels)
        if sum(target_size is not None for target_size in wishes) != 1:
            raise UsageError(
                "more than one size is asked for: use one of --scale, --width, --height, --fit, "
                "--megapixels (--fit WxH for a box)"
            )
        sides = (self.width, self.height, *(self.fit or ()))
        if any(side is not None and side < 1 for side in sides):
            raise UsageError("a size is out of range: use 1 px and up")
        if self.megapixels is not None and not 0 < self.megapixels < math.inf:
            raise UsageError(
                f"--megapixels must be above 0, got {self.megapixels:g}; hint: say --megapixels 24"
            )

    @property
    def label(self) -> str:
        """For names of folders and files.

        >>> TargetSize(scale=1.5).label, TargetSize(fit=(800, 600)).label
        ('x1.5', '800x600')
        >>> TargetSize(megapixels=24).label
        '24mp'
        """
        if self.scale is not None:
            return f"x{self.scale:g}"
        if self.fit is not None:
            return f"{self.fit[0]}x{self.fit[1]}"
        if self.megapixels is not None:
            return f"{self.megapixels:g}mp"
        return f"w{self.width}" if self.width is not None else f"h{self.height}"

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The (width, height) that an image of this size shall become.

        >>> TargetSize(width=1000).size(300, 200), TargetSize(fit=(100, 100)).size(300, 200)
        ((1000, 667), (100, 67))
        """
        if self.scale is not None:
            return scaled_size(width, self.scale), scaled_size(height, self.scale)
        if self.width is not None:
            return self.width, _share(height, self.width, width)
        if self.height is not None:
            return _share(width, self.height, height), self.height
        if self.fit is not None:
            wide, high = self.fit
            if Fraction(wide, width) <= Fraction(high, height):
                return wide, min(high, _share(height, wide, width))
            return min(wide, _share(width, high, height)), high
        assert self.megapixels is not None
        return _of_area(width, height, int(self.megapixels * 1_000_000))


def _share(length: int, numerator: int, denominator: int) -> int:
    """`length · numerator / denominator`, rounded half up, at least 1."""
    return max(1, (2 * length * numerator + denominator) // (2 * denominator))


def _of_area(width: int, height: int, pixels: int) -> tuple[int, int]:
    """The largest size of this shape with at most so many pixels."""
    wide = max(1, math.isqrt(pixels * width // height))
    while wide > 1 and wide * _share(height, wide, width) > pixels:
        wide -= 1
    while (wide + 1) * _share(height, wide + 1, width) <= pixels:
        wide += 1
    return wide, _share(height, wide, width)


def scale_needed(old: tuple[int, int], new: tuple[int, int]) -> int:
    """The whole scale whose result need only be reduced; 1 if the image does not grow.

    >>> scale_needed((100, 50), (250, 125))
    3
    """
    return max(-(-after // before) for before, after in zip(old, new, strict=True))


@dataclass(frozen=True)
class SizeLimits:
    """Limits for the size of a result, known before anything is computed.

    Args:
        model: The network.
        largest_scale: The largest scale that there are weights for.
        max_output_megapixels: Of a result, in millions.
    """

    model: str
    largest_scale: int
    max_output_megapixels: float

    def check(
        self, source: Path, old: tuple[int, int], new: tuple[int, int], image_format: str
    ) -> None:
        """Refuse a result that cannot be made or written.

        Args:
            source: The input, for the message.
            old: (width, height) of the input in px.
            new: (width, height) of the result in px.
            image_format: Of the result.

        Raises:
            ImageTooLarge: It is beyond the network, the user's limit or the format.
        """
        size = f"{new[0]}x{new[1]}"
        needed = scale_needed(old, new)
        if needed > self.largest_scale:
            most = f"{old[0] * self.largest_scale}x{old[1] * self.largest_scale}"
            raise ImageTooLarge(
                f"{source}: {old[0]}x{old[1]} to {size} needs x{needed}; {self.model} makes "
                f"x{self.largest_scale} at most ({most}); hint: ask for a smaller size, or "
                "upscale the result again"
            )
        if new[0] * new[1] > self.max_output_megapixels * 1e6:
            raise ImageTooLarge(
                f"{source}: the result, {size}, has {new[0] * new[1] / 1e6:.0f} megapixels; the "
                f"limit is {self.max_output_megapixels:g}; hint: --max-output-megapixels raises it"
            )
        limit = FORMATS[image_format].max_side
        if max(new) > limit:
            able = [name for name, kind in FORMATS.items() if kind.max_side >= max(new)]
            best = next(name for name in ("png", "tiff", "jxl") if name in able)
            raise ImageTooLarge(
                f"{source}: the result, {size}, is beyond the {limit} px a side of "
                f"{image_format.upper()}; hint: --format {best}, or a smaller size"
            )
