"""Images of given sizes, to measure time where no data set is at hand."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srcli.data.benchmark_set import Pair
from srcli.data.resize import resize
from srcli.errors import UsageError

__all__ = ["MadeUp", "images_of_sizes"]


@dataclass(frozen=True)
class MadeUp(Pair):
    """An image made up: smooth on the left, ever finer texture to the right."""

    width: int = 0
    height: int = 0

    def load(self, scale: int) -> tuple[None, NDArray[np.uint8]]:
        """Draw it; the same in every run."""
        rng = np.random.default_rng(0)
        coarse = rng.integers(0, 256, (9, 13, 3), dtype=np.uint8)
        smooth = resize(coarse, self.height, self.width).astype(np.int16)
        texture = rng.integers(-60, 61, smooth.shape, dtype=np.int16)
        share = np.linspace(0, 1, self.width)[:, None] ** 2
        return None, np.clip(smooth + texture * share, 0, 255).astype(np.uint8)


def images_of_sizes(words: Sequence[str]) -> list[Pair]:
    """Sizes as WIDTHxHEIGHT (LR px), or image files used as LR.

    Raises:
        UsageError: A word is neither, or there is none.
    """
    if not words:
        raise UsageError("--latency needs a size as 512x341, or an image")
    return [_image(word) for word in words]


def _image(word: str) -> Pair:
    if size := re.fullmatch(r"(\d+)x(\d+)", word):
        width, height = int(size[1]), int(size[2])
        if min(width, height) < 1:
            raise UsageError(f"size {word}: both sides must be at least 1 px")
        return MadeUp(word, None, None, width, height)
    if not Path(word).is_file():
        raise UsageError(f"{word!r} is neither a size as 512x341 nor an image")
    return Pair(Path(word).stem, None, Path(word))
