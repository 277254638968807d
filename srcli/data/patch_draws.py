"""Random draws of training patches, the same for the same seed and step."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Draws", "PatchDraw", "Share"]


@dataclass(frozen=True)
class Share:
    """The part of every batch that one of several processes takes: number `rank` of `of`."""

    rank: int = 0
    of: int = 1


@dataclass(frozen=True)
class PatchDraw:
    """Sources, places and turns drawn for one process's patches of one step.

    Args:
        sources: (b,) int64, the number of each patch's source.
        places: (b, 2) in [0, 1), where in the image it lies, rows first.
        turns: (b,) in 0..7, how it is laid down.
        own_size: How many of them, the last ones, take the HR image as LR.
    """

    sources: NDArray[np.int64]
    places: NDArray[np.float64]
    turns: NDArray[np.int64]
    own_size: int


@dataclass(frozen=True)
class Draws:
    """The patches of every step, drawn by seed and step, for one of several processes.

    Args:
        chance: (images,) of each image, in sum 1.
        batch: Patches a step, over all processes.
        paired: How many of these, the first ones, have an original.
        seed: Of the whole run.
        share: Which of them are wanted here.
    """

    chance: NDArray[np.float64]
    batch: int
    paired: int
    seed: int
    share: Share

    def of_step(self, step: int) -> PatchDraw:
        """Draw the patches of step `step`."""
        rng = np.random.default_rng((self.seed, step))
        images = rng.choice(len(self.chance), self.batch, p=self.chance)
        places = rng.random((self.batch, 2))
        turns = rng.integers(0, 8, self.batch)
        mine = np.arange(self.share.rank, self.batch, self.share.of)
        own_size = int((mine >= self.paired).sum())
        return PatchDraw(images[mine], places[mine], turns[mine], own_size)

    def patch_rngs(self, step: int) -> list[np.random.Generator]:
        """Random generators of each of this process's patches of one step, for its degradation."""
        numbers = range(self.share.rank, self.batch, self.share.of)
        return [np.random.default_rng((self.seed, step, number)) for number in numbers]
