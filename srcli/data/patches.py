"""Random aligned training patches, the same for the same seed and step."""

import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srcli.data.degradation import DegradationRanges, HRRegion, random_degradations
from srcli.data.images import ImageStore, TrainingImage
from srcli.data.patch_draws import Draws, Share
from srcli.data.reduction_kernels import region_around
from srcli.data.targets import TargetImages
from srcli.errors import UnreadableImage, UsageError

__all__ = [
    "PatchBatch",
    "PatchLoader",
    "PatchSampler",
    "turned_patch",
]

_Pixel = TypeVar("_Pixel", bound=np.generic)


@dataclass(frozen=True)
class PatchBatch:
    """Patches of one step, uint8, channels last.

    Args:
        step: Its number.
        lr: (b, 3, p, p).
        hr: (b, 3, s·p, s·p).
        teacher: A teacher's output for each, as `hr`; None without a teacher.
        own_size: How many of them, the last ones, are of HR images taken as LR: there is no
            original for these, and `hr` is the teacher's output too.
    """

    step: int
    lr: Tensor
    hr: Tensor
    teacher: Tensor | None = None
    own_size: int = 0


class PatchSampler:
    """Cuts the batch of any step, depending on nothing but the seed and the step.

    An image is drawn in proportion to the square root of its area: large photographs have more
    to show than small ones, but also more that is flat.

    Args:
        store: Where the images come from.
        scale: HR px per LR px.
        patch: Side of a patch, LR px.
        batch: Patches a step, over all processes.
        seed: Of the whole run.
        share: Which of them are wanted here.
        warn: Takes a line about each image that turns out to be unreadable.
        teacher: A teacher's outputs for the images; with own-size ones, these are the targets
            of the second half of every batch, the smaller one.

    Raises:
        UsageError: The processes cannot share such a batch.
    """

    def __init__(
        self,
        store: ImageStore,
        *,
        scale: int,
        patch: int,
        batch: int,
        seed: int,
        share: Share,
        warn: Callable[[str], None],
        teacher: TargetImages | None = None,
    ) -> None:
        if batch % share.of:
            raise UsageError(f"a batch of {batch} cannot be shared by {share.of} processes")
        paired = batch - batch // 2 if teacher and teacher.own_size else batch
        if paired < share.of:
            raise UsageError(
                f"a batch of {batch}, half of it of own size, leaves some of {share.of} processes "
                f"no original: hint: data.batch = {2 * share.of}"
            )
        self.store, self.scale, self.patch, self.teacher = store, scale, patch, teacher
        self._warn = warn
        weight = np.array([(s.height * s.width) ** 0.5 for s in store.sources])
        self.draws = Draws(weight / weight.sum(), batch, paired, seed, share)
        self._unreadable: set[int] = set()

    def cut(self, step: int) -> PatchBatch:
        """Cut the patches of step `step`.

        Raises:
            UsageError: No image can be read.
        """
        drawn = self.draws.of_step(step)
        first_own = len(drawn.sources) - drawn.own_size
        cuts = [
            self._own_size(int(number), place) if i >= first_own else self._pair(int(number), place)
            for i, (number, place) in enumerate(zip(drawn.sources, drawn.places, strict=True))
        ]
        lr, hr, *taught = (
            torch.as_tensor(
                np.stack(
                    [
                        turned_patch(one, int(turn))
                        for one, turn in zip(some, drawn.turns, strict=True)
                    ]
                )
            ).permute(0, 3, 1, 2)
            for some in zip(*cuts, strict=True)
        )
        return PatchBatch(step, lr, hr, taught[0] if taught else None, drawn.own_size)

    def hr_regions(self, step: int) -> list[HRRegion | None]:
        """The HR pixels of each patch of step `step`; None for those of own size."""
        drawn = self.draws.of_step(step)
        first_own = len(drawn.sources) - drawn.own_size
        each = zip(drawn.sources.tolist(), drawn.places, drawn.turns.tolist(), strict=True)
        return [
            None if i >= first_own else HRRegion(partial(self._region, *patch), self.scale)
            for i, patch in enumerate(each)
        ]

    def _region(self, number: int, place: NDArray[np.float64], turn: int) -> NDArray[np.uint8]:
        _, image = self._readable(number)
        corner = self._corner(image.lr, place)
        return turned_patch(region_around(image.hr, corner, self.patch, self.scale), turn)

    def skip(self, number: int, error: UnreadableImage) -> None:
        """Say, once, that source `number` cannot be decoded."""
        if number not in self._unreadable:
            self._unreadable.add(number)
            self._warn(f"skipped {error}")

    def _pair(self, number: int, place: NDArray[np.float64]) -> tuple[NDArray[np.uint8], ...]:
        """The patch at `place` (0..1, 0..1) of an image.

        lr (p, p, 3), hr (s·p, s·p, 3), and the teacher's output, as hr, if there is a teacher.
        """
        number, image = self._readable(number)
        p, s = self.patch, self.scale
        y, x = self._corner(image.lr, place)
        lr = image.lr[y : y + p, x : x + p]
        hr = image.hr[s * y : s * (y + p), s * x : s * (x + p)]
        if self.teacher is None:
            return lr, hr
        return lr, hr, self.teacher.patch(number, s * y, s * x, s * p)

    def _own_size(self, number: int, place: NDArray[np.float64]) -> tuple[NDArray[np.uint8], ...]:
        """A patch of the HR image as LR (p, p, 3); the teacher's output (s·p, s·p, 3), twice."""
        assert self.teacher is not None
        number, _ = self.teacher.own_size[number]
        number, image = self._readable(number)
        whole, _ = self.teacher.own_size[number]
        if whole != number:  # in place of an unreadable one came a reduction
            number, image = whole, self.store.get(whole)
        p, s = self.patch, self.scale
        y, x = self._corner(image.hr, place)
        taught = self.teacher.own_size_patch(number, s * y, s * x, s * p)
        return image.hr[y : y + p, x : x + p], taught, taught

    def _corner(self, image: NDArray[np.uint8], place: NDArray[np.float64]) -> tuple[int, int]:
        """The upper left corner of the LR patch at `place` (0..1, 0..1) of (h, w, 3)."""
        room = np.array(image.shape[:2]) - self.patch + 1
        y, x = (int(v) for v in place * room)
        return y, x

    def _readable(self, number: int) -> tuple[int, TrainingImage]:
        """Source `number`, or the next one that can be decoded, and its number."""
        for following in range(len(self.store.sources)):
            tried = (number + following) % len(self.store.sources)
            try:
                return tried, self.store.get(tried)
            except UnreadableImage as error:
                self.skip(tried, error)
        raise UsageError("none of the training images can be read")


def turned_patch(patch: NDArray[_Pixel], turn: int) -> NDArray[_Pixel]:
    """One of the eight ways to lay down a square (p, p, c): quarter turns, mirrored from 4 on."""
    patch = np.rot90(patch, turn % 4)
    return np.ascontiguousarray(patch[:, ::-1] if turn >= 4 else patch)


class PatchLoader:
    """Cuts batches ahead of time in a pool of threads.

    Args:
        sampler: What cuts them.
        workers: Threads.
        ahead: Batches prepared before they are asked for.
        degradation: Degradations of LR patches; their targets stay those of the clean ones. None:
            nothing.
    """

    def __init__(
        self,
        sampler: PatchSampler,
        *,
        workers: int,
        ahead: int,
        degradation: DegradationRanges | None = None,
    ) -> None:
        self._sampler = sampler
        self._degradation = degradation
        self._workers = workers
        self._ahead = ahead
        self.waited = 0.0  # seconds that the consumer has waited for data, in all

    def cut(self, step: int) -> PatchBatch:
        """Cut the batch of one step, now."""
        batch, ranges = self._sampler.cut(step), self._degradation
        if ranges is None:
            return batch
        patches = np.ascontiguousarray(batch.lr.permute(0, 2, 3, 1).numpy())
        rngs = self._sampler.draws.patch_rngs(step)
        regions = self._sampler.hr_regions(step)
        degraded = random_degradations(list(patches), ranges, rngs, regions)
        return replace(batch, lr=torch.as_tensor(degraded).permute(0, 3, 1, 2))

    def batches(self, first: int) -> Generator[PatchBatch]:
        """The batches of step `first` and all after it, without end; close it to stop."""
        pending: deque[Future[PatchBatch]] = deque()
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="patches")
        try:
            step = first
            while True:
                while len(pending) < self._ahead:
                    pending.append(pool.submit(self.cut, step))
                    step += 1
                asked = time.perf_counter()
                batch = pending.popleft().result()
                self.waited += time.perf_counter() - asked
                yield batch
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
