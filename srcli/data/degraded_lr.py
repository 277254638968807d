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
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from srcli.data.degradation import DegradationRanges, HRRegion, random_degradations
from srcli.data.patch_draws import Draws
from srcli.data.patches import turned_patch
from srcli.data.reduction_kernels import region_around

__all__ = ["DegradedLR", "HostImages", "PlacedImages", "patch_corners"]

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
class HostImages:
    """Images side by side in the host's memory: pixels (n, 3) uint8, and where each lies."""

    pixels: NDArray[np.uint8]
    places: PlacedImages

    def image(self, number: int) -> NDArray[np.uint8]:
        """View an image (h, w, 3)."""
        height, width = int(self.places.height[number]), int(self.places.width[number])
        first = int(self.places.first[number])
        return self.pixels[first : first + height * width].reshape(height, width, 3)


@dataclass(frozen=True)
class DegradedLR(Dataset[Tensor]):
    """The degraded LR patches (b, 3, p, p), uint8, of every step; by the step's number.

    Args:
        lr: All LR images.
        hr: All HR images, from which other kernels reduce; without pixels where none does.
        scale: HR px per LR px.
        instead: (images,) int64, for each image itself, or the one taken for it.
        draws: The patches of each step, none of own size.
        patch: Side of a patch, LR px.
        ranges: Their degradations.
    """

    lr: HostImages
    hr: HostImages
    scale: int
    instead: NDArray[np.int64]
    draws: Draws
    patch: int
    ranges: DegradationRanges

    def __getitem__(self, step: int) -> Tensor:
        """Make the patches of step `step`."""
        drawn, side = self.draws.of_step(step), self.patch
        number = self.instead[drawn.sources]
        corners = patch_corners(self.lr.places, number, drawn.places, side)
        clean: list[NDArray[np.uint8]] = []
        regions: list[HRRegion | None] = []
        each = zip(number.tolist(), corners.tolist(), drawn.turns.tolist(), strict=True)
        for image, (top, left), turn in each:
            lr = self.lr.image(image)[top : top + side, left : left + side]
            clean.append(turned_patch(lr, turn))
            regions.append(HRRegion(partial(self._region, image, (top, left), turn), self.scale))
        rngs = self.draws.patch_rngs(step)
        degraded = random_degradations(clean, self.ranges, rngs, regions)
        return torch.from_numpy(degraded).permute(0, 3, 1, 2)

    def _region(self, image: int, corner: tuple[int, int], turn: int) -> NDArray[np.uint8]:
        return turned_patch(
            region_around(self.hr.image(image), corner, self.patch, self.scale), turn
        )

    def from_step(self, first: int, workers: int, *, pinned: bool) -> Generator[Tensor]:
        """The patches of step `first` and all after it, without end; close it to stop.

        Args:
            first: Number of a step.
            workers: Processes that make them ahead; with 0 they are made when asked for.
            pinned: In memory that a GPU copies from without waiting.
        """
        with tempfile.TemporaryDirectory(prefix="srcli-lr-") as folder:
            files = Path(folder) / "lr.npy", Path(folder) / "hr.npy"
            if workers:
                for file, images in zip(files, (self.lr, self.hr), strict=True):
                    np.save(file, images.pixels)
            loader = DataLoader(
                _Mapped(self, files) if workers else self,
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
    """Degraded patches whose pixels a process maps from files when it makes the first."""

    def __init__(self, patches: DegradedLR, files: tuple[Path, Path]) -> None:
        lr, hr = (replace(images, pixels=images.pixels[:0]) for images in (patches.lr, patches.hr))
        self._patches, self._files, self._is_mapped = replace(patches, lr=lr, hr=hr), files, False

    def __getitem__(self, step: int) -> Tensor:
        """Make the patches of step `step`."""
        if not self._is_mapped:
            lr, hr = (cast("NDArray[np.uint8]", np.load(f, mmap_mode="r")) for f in self._files)
            patches = self._patches
            self._patches = replace(
                patches, lr=replace(patches.lr, pixels=lr), hr=replace(patches.hr, pixels=hr)
            )
            self._is_mapped = True
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
