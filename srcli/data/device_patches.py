"""Training patches of images that lie on the device: a batch is gathered by index, all at once."""

import itertools
import os
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srcli.data.degradation import DegradationRanges
from srcli.data.degraded_lr import DegradedLR, HostImages, PlacedImages, patch_corners
from srcli.data.patches import PatchBatch, PatchSampler, turned_patch
from srcli.errors import UnreadableImage, UsageError

__all__ = ["DegradedInput", "DevicePatches"]


@dataclass(frozen=True)
class _Images:
    """Images side by side on the device: pixels (n, 3), uint8, and where each lies."""

    pixels: Tensor
    places: PlacedImages


@dataclass(frozen=True)
class DegradedInput:
    """Degradations of LR patches, and how they are made.

    Args:
        ranges: Their degradations; targets stay those of the clean ones.
        workers: Processes that make them ahead.
    """

    ranges: DegradationRanges
    workers: int


class DevicePatches:
    """Batches cut on a device, bit for bit those that the sampler cuts on the CPU.

    All images are decoded, reduced and moved to the device before the first batch.

    Args:
        sampler: Says what to cut, and from which images; with `degraded` none of own size.
        device: Where images and patches lie.
        degraded: None: LR patches are clean.

    Raises:
        UsageError: No image can be read.
    """

    def __init__(
        self, sampler: PatchSampler, device: torch.device, degraded: DegradedInput | None = None
    ) -> None:
        self._sampler, self._device = sampler, device
        self.waited = 0.0  # seconds waited for degraded patches, in all
        scale, count = sampler.scale, len(sampler.store.sources)
        height, width = (
            np.array([getattr(s, side) for s in sampler.store.sources], np.int64)
            for side in ("height", "width")
        )
        readable = np.ones(count, bool)
        self._hr = _room(height, width, device)
        self._lr = _room(height // scale, width // scale, device)
        for number, image in sampler.store.all_readable(os.cpu_count() or 1):
            if isinstance(image, UnreadableImage):
                sampler.skip(number, image)
                readable[number] = False
            else:
                _put(self._hr, number, image.hr)
                _put(self._lr, number, image.lr)
        self._instead = _next_readable(readable)
        self._take_targets(readable)
        sides = {sampler.patch, sampler.patch * scale}
        self._turned = {side: _turned_places(side).to(device) for side in sides}
        self._degraded, self._workers = None, degraded.workers if degraded else 0
        if degraded is not None:
            hr = self._hr.pixels if degraded.ranges.kernel else self._hr.pixels[:0]
            self._degraded = DegradedLR(
                HostImages(self._lr.pixels.cpu().numpy(), self._lr.places),
                HostImages(hr.cpu().numpy(), self._hr.places),
                scale,
                self._instead,
                sampler.draws,
                sampler.patch,
                degraded.ranges,
            )

    def _take_targets(self, readable: NDArray[np.bool_]) -> None:
        """Move the teacher's outputs to the device, where there is one."""
        teacher, scale = self._sampler.teacher, self._sampler.scale
        if teacher is None:
            return
        numbers = [int(n) for n in np.flatnonzero(readable)]
        places = self._hr.places
        self._taught = _room(places.height, places.width, self._device)
        for number in numbers:
            _put(self._taught, number, teacher.whole(number))
        if not teacher.own_size:
            return
        self._whole = np.array([number for number, _ in teacher.own_size], np.int64)
        own = np.zeros(len(readable), np.int64)
        own[self._whole[numbers]] = scale
        self._own = _room(own * places.height, own * places.width, self._device)
        for number in np.flatnonzero(own):
            _put(self._own, int(number), teacher.own_size_whole(int(number)))

    def batches(self, first: int) -> Generator[PatchBatch]:
        """The batches of step `first` and all after it, without end."""
        degraded = self._degraded
        if degraded is None:
            for step in itertools.count(first):
                yield self.cut(step)
            return
        pinned = self._device.type == "cuda"
        with closing(degraded.from_step(first, self._workers, pinned=pinned)) as made:
            for step in itertools.count(first):
                asked = time.perf_counter()
                lr = next(made)
                self.waited += time.perf_counter() - asked
                yield replace(self._cut_clean(step), lr=lr.to(self._device, non_blocking=True))

    def cut(self, step: int) -> PatchBatch:
        """Cut the patches of step `step`, now."""
        batch = self._cut_clean(step)
        if self._degraded is None:
            return batch
        return replace(batch, lr=self._degraded[step].to(self._device))

    def _cut_clean(self, step: int) -> PatchBatch:
        """Cut the patches of step `step`, not degraded."""
        drawn, s, p = self._sampler.draws.of_step(step), self._sampler.scale, self._sampler.patch
        paired = len(drawn.sources) - drawn.own_size
        number = self._instead[drawn.sources[:paired]]
        corner = patch_corners(self._lr.places, number, drawn.places[:paired], p)
        turn = drawn.turns[:paired]
        lr = [self._gather(self._lr, number, corner, turn, p)]
        hr = [self._gather(self._hr, number, s * corner, turn, s * p)]
        if self._sampler.teacher is None:
            return PatchBatch(step, lr[0], hr[0])
        taught = [self._gather(self._taught, number, s * corner, turn, s * p)]
        if drawn.own_size:
            number = self._whole[self._instead[self._whole[drawn.sources[paired:]]]]
            corner = patch_corners(self._hr.places, number, drawn.places[paired:], p)
            turn = drawn.turns[paired:]
            lr.append(self._gather(self._hr, number, corner, turn, p))
            taught.append(self._gather(self._own, number, s * corner, turn, s * p))
            hr.append(taught[1])
        return PatchBatch(step, _joined(lr), _joined(hr), _joined(taught), drawn.own_size)

    def _gather(
        self,
        images: _Images,
        number: NDArray[np.int64],
        corner: NDArray[np.int64],
        turn: NDArray[np.int64],
        side: int,
    ) -> Tensor:
        """Gather patches (b, 3, side, side), channels last, each turned as `turn` says."""
        width = images.places.width[number]
        first = images.places.first[number] + corner[:, 0] * width + corner[:, 1]
        told = torch.from_numpy(np.stack([first, width, turn]))
        if self._device.type == "cuda":
            told = told.pin_memory()
        begin, stride, way = told.to(self._device, non_blocking=True)[..., None, None]  # (b, 1, 1)
        rows, columns = self._turned[side][:, way.flatten()]  # (b, side, side)
        place = begin + rows * stride + columns
        pixels = images.pixels.index_select(0, place.flatten())
        return pixels.view(-1, side, side, 3).permute(0, 3, 1, 2)


def _room(height: NDArray[np.int64], width: NDArray[np.int64], device: torch.device) -> _Images:
    """Room for images of these sizes."""
    ends = np.cumsum(height * width)
    try:
        pixels = torch.empty(int(ends[-1]), 3, dtype=torch.uint8, device=device)
    except torch.OutOfMemoryError as error:
        raise UsageError(
            f"the training images take {3 * int(ends[-1]) / 1e9:.1f} GB on {device}, more than is "
            "free; hint: data.images = 'host', distillation.own_size = false or fewer images"
        ) from error
    return _Images(pixels, PlacedImages(ends - height * width, height, width))


def _put(images: _Images, number: int, image: NDArray[np.uint8]) -> None:
    """Move (h, w, 3) to its place."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).view(-1, 3)
    first = int(images.places.first[number])
    images.pixels[first : first + len(pixels)].copy_(pixels)


def _joined(parts: list[Tensor]) -> Tensor:
    """Patches of pairs, then those of own size, channels last."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _next_readable(readable: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each source itself, or the next that is readable; the sampler looks on likewise."""
    if not readable.any():
        raise UsageError("none of the training images can be read")
    there = np.flatnonzero(readable)
    following = np.searchsorted(there, np.arange(len(readable)))
    return there[following % len(there)]


def _turned_places(side: int) -> Tensor:
    """Where the pixels of a turned patch come from: rows and columns, (2, 8, side, side) int64."""
    places = np.mgrid[:side, :side].transpose(1, 2, 0)  # (side, side, 2)
    eight = np.stack([turned_patch(places, turn) for turn in range(8)]).astype(np.int64)
    return torch.from_numpy(eight).permute(3, 0, 1, 2).contiguous()
