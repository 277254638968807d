"""Limits for a result's size: of network, user and format, with remedies that go together."""

import math
from dataclasses import dataclass
from pathlib import Path

from srcli.errors import ImageTooLarge
from srcli.jobs.target_size import scale_needed
from srcli.media import FORMATS

__all__ = ["SizeLimits"]


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
        size, pixels = f"{new[0]}x{new[1]}", new[0] * new[1]
        needed, limit = scale_needed(old, new), FORMATS[image_format].max_side
        beyond_limits = pixels > self.max_output_megapixels * 1e6 or max(new) > limit
        if needed > self.largest_scale:
            made = old[0] * self.largest_scale, old[1] * self.largest_scale
            most = self._shrunk(*made, limit)
            growth = max(new[0] / old[0], new[1] / old[1])
            again = "" if beyond_limits else ", or upscale the result again"
            raise ImageTooLarge(
                f"{source}: {old[0]}x{old[1]} to {size} needs x{growth:.3g}; {self.model} makes "
                f"x{self.largest_scale} at most ({made[0]}x{made[1]}); hint: ask for "
                f"{most[0]}x{most[1]} or less{again}"
            )
        if not beyond_limits:
            return
        reasons: list[str] = []
        remedies: list[str] = []
        if max(new) > limit:
            reasons.append(f"is beyond the {limit} px a side of {image_format.upper()}")
            remedies.append("--format png or tiff")
        if pixels > self.max_output_megapixels * 1e6:
            reasons.append(
                f"has {pixels / 1e6:.4g} megapixels; the limit is {self.max_output_megapixels:g}"
            )
            remedies.append(f"--max-output-megapixels {_above(pixels / 1e6)}")
        raise ImageTooLarge(
            f"{source}: the result, {size}, {', and '.join(reasons)}; hint: "
            f"{' with '.join(remedies)}, or ask for a smaller size"
        )

    def _shrunk(self, width: int, height: int, longest: int) -> tuple[int, int]:
        """The size, reduced to what the limits of the user and of a format's sides allow."""
        pixels = width * height
        share = min(
            1.0,
            longest / max(width, height),
            math.sqrt(self.max_output_megapixels * 1e6 / pixels),
        )
        return max(1, math.floor(width * share)), max(1, math.floor(height * share))


def _above(megapixels: float) -> str:
    """A limit that lets a result through, in as few digits as do.

    >>> _above(0.2), _above(4096.0001)
    ('0.2', '4097')
    """
    return f"{megapixels:.6g}" if megapixels < 1 else f"{math.ceil(megapixels)}"
