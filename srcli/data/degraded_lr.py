"""Degraded LR patches for images that lie on a device, made ahead on the host by processes.

Compression is Pillow's and takes a quarter of a millisecond a patch and more, so that one process
cannot feed a GPU. Each process maps one file of all LR images; nothing but finished patches passes
between them.
"""

import itertools
import signal
import tempfile
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from srcli.data.degradation import DegradationRanges, random_degradations
from srcli.data.patches import Draws, turned_patch

__all__ = ["DegradedLR", "PlacedImages", "patch_corners"]

_AHEAD = 4  # batches that each process has ready


@dataclass(frozen=True)
class PlacedImages:
    """Places of images side by side in one array of pixels (n, 3), row after row.

    Args:
        first: (images,) int64, where each begins.
        height: (images,) int64, 0 for an image that is not there.
        width: Likewise.
    """

    first: NDArray[np.int64]
    height: NDArray[np.int64]
    width: NDArray[np.int64]


@dataclass(frozen=True)
class DegradedLR(Dataset[Tensor]):
    """The degraded LR patches (b, 3, p, p), uint8, of every step; by the step's number.

    Args:
        pixels: (n, 3) uint8, all LR images.
        places: Where each image lies in it.
        instead: (images,) int64, for each image itself, or the one taken for it.
        draws: The patches of each step, none of own size.
        patch: Side of a patch, LR px.
        ranges: Their degradations.
    """

    pixels: NDArray[np.uint8]
    places: PlacedImages
    instead: NDArray[np.int64]
    draws: Draws
    patch: int
    ranges: DegradationRanges

    def __getitem__(self, step: int) -> Tensor:
        """Make the patches of step `step`."""
        drawn, side = self.draws.of_step(step), self.patch
        number = self.instead[drawn.sources]
        top, left = patch_corners(self.places, number, drawn.places, side).T
        width = self.places.width[number]
        begin = self.places.first[number] + top * width + left
        inside = np.arange(side)
        clean = [
            turned_patch(self.pixels[b + inside[:, None] * w + inside], int(turn))
            for b, w, turn in zip(begin, width, drawn.turns, strict=True)
        ]
        degraded = random_degradations(clean, self.ranges, self.draws.random_numbers(step))
        return torch.from_numpy(degraded).permute(0, 3, 1, 2)

    def from_step(self, first: int, workers: int, *, pinned: bool) -> Generator[Tensor]:
        """The patches of step `first` and all after it, without end; close it to stop.

        Args:
            first: Number of a step.
            workers: Processes that make them ahead; with 0 they are made when asked for.
            pinned: In memory that a GPU copies from without waiting.
        """
        with tempfile.TemporaryDirectory(prefix="srcli-lr-") as folder:
            file = Path(folder) / "lr.npy"
            if workers:
                np.save(file, self.pixels)
            loader = DataLoader(
                _Mapped(self, file) if workers else self,
                batch_size=None,
                sampler=itertools.count(first),
                num_workers=workers,
                prefetch_factor=_AHEAD if workers else None,
                multiprocessing_context="spawn" if workers else None,
                worker_init_fn=_ignore_interrupt,
                pin_memory=pinned,
            )
            yield from loader


class _Mapped(Dataset[Tensor]):
    """Degraded patches whose pixels a process maps from a file when it makes the first."""

    def __init__(self, patches: DegradedLR, file: Path) -> None:
        self._patches, self._file = replace(patches, pixels=patches.pixels[:0]), file

    def __getitem__(self, step: int) -> Tensor:
        """Make the patches of step `step`."""
        if not len(self._patches.pixels):
            pixels = cast("NDArray[np.uint8]", np.load(self._file, mmap_mode="r"))
            self._patches = replace(self._patches, pixels=pixels)
        return self._patches[step]


def patch_corners(
    images: PlacedImages, number: NDArray[np.int64], places: NDArray[np.float64], side: int
) -> NDArray[np.int64]:
    """Upper left corners (b, 2) of patches at `places` (0..1, 0..1), as the sampler rounds them."""
    room = np.stack([images.height[number], images.width[number]], 1) - side + 1
    return (places * room).astype(np.int64)


def _ignore_interrupt(_: int) -> None:
    """Leave Ctrl-C, which the terminal sends to every process, to the run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
