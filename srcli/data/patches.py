"""Random aligned training patches, the same for the same seed and step."""

import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srcli.data.pictures import Picture, PictureStore
from srcli.data.targets import TargetImages
from srcli.errors import UnreadableImage, UsageError

__all__ = ["PatchBatch", "PatchLoader", "PatchSampler", "Share"]


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


@dataclass(frozen=True)
class Share:
    """The part of every batch that one of several processes takes: number `rank` of `of`."""

    rank: int = 0
    of: int = 1


class PatchSampler:
    """Cuts the batch of any step, depending on nothing but the seed and the step.

    A picture is drawn in proportion to the square root of its area: large photographs have more
    to show than small ones, but also more that is flat.

    Args:
        store: Where the pictures come from.
        scale: HR px per LR px.
        patch: Side of a patch, LR px.
        batch: Patches a step, over all processes.
        seed: Of the whole run.
        share: Which of them are wanted here.
        warn: Takes a line about each picture that turns out to be unreadable.
        teacher: A teacher's outputs for the pictures; with own-size ones, these are the targets
            of the second half of every batch, the smaller one.

    Raises:
        UsageError: The processes cannot share such a batch.
    """

    def __init__(
        self,
        store: PictureStore,
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
        self._teacher = teacher
        self._paired = batch - batch // 2 if teacher and teacher.own_size else batch
        if self._paired < share.of:
            raise UsageError(
                f"a batch of {batch}, half of it of own size, leaves some of {share.of} processes "
                f"no original: hint: data.batch = {2 * share.of}"
            )
        self._store = store
        self._scale, self._patch, self._batch = scale, patch, batch
        self._seed, self._share, self._warn = seed, share, warn
        weight = np.array([(s.height * s.width) ** 0.5 for s in store.sources])
        self._chance = weight / weight.sum()
        self._unreadable: set[int] = set()

    def cut(self, step: int) -> PatchBatch:
        """Cut the patches of step `step`.

        Raises:
            UsageError: No picture can be read.
        """
        numbers = np.random.default_rng((self._seed, step))
        pictures = numbers.choice(len(self._chance), self._batch, p=self._chance)
        places = numbers.random((self._batch, 2))
        turns = numbers.integers(0, 8, self._batch)
        mine = range(self._share.rank, self._batch, self._share.of)
        cuts = [
            self._own_size(int(pictures[i]), places[i])
            if i >= self._paired
            else self._pair(int(pictures[i]), places[i])
            for i in mine
        ]
        lr, hr, *taught = (
            torch.as_tensor(
                np.stack(
                    [_turned(patch, int(turns[i])) for patch, i in zip(one, mine, strict=True)]
                )
            ).permute(0, 3, 1, 2)
            for one in zip(*cuts, strict=True)
        )
        own_size = sum(i >= self._paired for i in mine)
        return PatchBatch(step, lr, hr, taught[0] if taught else None, own_size)

    def _pair(self, number: int, place: NDArray[np.float64]) -> tuple[NDArray[np.uint8], ...]:
        """The patch at `place` (0..1, 0..1) of a picture.

        lr (p, p, 3), hr (s·p, s·p, 3), and the teacher's output, as hr, if there is a teacher.
        """
        number, picture = self._readable(number)
        p, s = self._patch, self._scale
        y, x = self._corner(picture.lr, place)
        lr = picture.lr[y : y + p, x : x + p]
        hr = picture.hr[s * y : s * (y + p), s * x : s * (x + p)]
        if self._teacher is None:
            return lr, hr
        return lr, hr, self._teacher.patch(number, s * y, s * x, s * p)

    def _own_size(self, number: int, place: NDArray[np.float64]) -> tuple[NDArray[np.uint8], ...]:
        """A patch of the HR picture as LR (p, p, 3); the teacher's output (s·p, s·p, 3), twice."""
        assert self._teacher is not None
        number, _ = self._teacher.own_size[number]
        number, picture = self._readable(number)
        whole, _ = self._teacher.own_size[number]
        if whole != number:  # in place of an unreadable one came a reduction
            number, picture = whole, self._store.get(whole)
        p, s = self._patch, self._scale
        y, x = self._corner(picture.hr, place)
        taught = self._teacher.own_size_patch(number, s * y, s * x, s * p)
        return picture.hr[y : y + p, x : x + p], taught, taught

    def _corner(self, image: NDArray[np.uint8], place: NDArray[np.float64]) -> tuple[int, int]:
        """The upper left corner of the LR patch at `place` (0..1, 0..1) of (h, w, 3)."""
        room = np.array(image.shape[:2]) - self._patch + 1
        y, x = (int(v) for v in place * room)
        return y, x

    def _readable(self, number: int) -> tuple[int, Picture]:
        """Source `number`, or the next one that can be decoded, and its number."""
        for following in range(len(self._chance)):
            tried = (number + following) % len(self._chance)
            try:
                return tried, self._store.get(tried)
            except UnreadableImage as error:
                if tried not in self._unreadable:
                    self._unreadable.add(tried)
                    self._warn(f"skipped {error}")
        raise UsageError("none of the training pictures can be read")


def _turned(patch: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """One of the eight ways to lay down a square: quarter turns, mirrored from 4 on."""
    patch = np.rot90(patch, turn % 4)
    return np.ascontiguousarray(patch[:, ::-1] if turn >= 4 else patch)


class PatchLoader:
    """Cuts batches ahead of time in a pool of threads.

    Args:
        sampler: What cuts them.
        workers: Threads.
        ahead: Batches prepared before they are asked for.
    """

    def __init__(self, sampler: PatchSampler, *, workers: int, ahead: int) -> None:
        self._sampler = sampler
        self._workers = workers
        self._ahead = ahead
        self.waited = 0.0  # seconds that the consumer has waited for data, in all

    def batches(self, first: int) -> Generator[PatchBatch]:
        """The batches of step `first` and all after it, without end; close it to stop."""
        pending: deque[Future[PatchBatch]] = deque()
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="patches")
        try:
            step = first
            while True:
                while len(pending) < self._ahead:
                    pending.append(pool.submit(self._sampler.cut, step))
                    step += 1
                asked = time.perf_counter()
                batch = pending.popleft().result()
                self.waited += time.perf_counter() - asked
                yield batch
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
