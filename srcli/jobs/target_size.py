"""Size of the result: the size asked for, resolved for one image."""

import math
from dataclasses import dataclass
from fractions import Fraction

from srcli.errors import UsageError
from srcli.geometry import scaled_size

__all__ = ["TargetSize", "scale_needed"]


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
                "more than one size is asked for; hint: use one of --scale, --width, --height, "
                "--fit, --megapixels (--fit WxH for a box)"
            )
        sides = (self.width, self.height, *(self.fit or ()))
        if any(side is not None and side < 1 for side in sides):
            raise UsageError("a size is out of range; hint: use 1 px and up")
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
