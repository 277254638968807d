"""Stages of image jobs for callers in several threads: while one is computed others load or store.

The same order and the same limits as `srcli.pipeline.stream` with a `StorePool`, for jobs that
come one by one from elsewhere.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

from srcli.inference.report import Report
from srcli.jobs.image_stages import AGAIN_ALONE, ComputedResult
from srcli.jobs.job import Job
from srcli.media import Decoded

__all__ = ["AHEAD", "ConcurrentStages", "NotBegun", "Stages"]

AHEAD = 2
"""Images in memory before they are stored: one being computed, and the next."""
Result = TypeVar("Result")


class NotBegun(Exception):
    """The worker is to stop, and this job has not been computed."""


@runtime_checkable
class Stages(Protocol):
    """Interface of `ImageStages`."""

    def load(self, job: Job) -> Decoded:
        """Decode the input."""
        ...

    def compute(self, job: Job, read: Decoded) -> ComputedResult:
        """Upscale it."""
        ...

    def store(self, _: Job, result: ComputedResult) -> tuple[tuple[str, ...], Report]:
        """Write the result."""
        ...


class ConcurrentStages:
    """Runs jobs that several threads bring; one thread computes, always the same.

    Args:
        encoders: Results stored at once.
        most_bytes: Of all results being stored; a larger one is stored alone.
    """

    def __init__(self, encoders: int, most_bytes: float) -> None:
        self._encoders, self._most_bytes = encoders, most_bytes
        self._network = ThreadPoolExecutor(1, "srcli-network")
        self._ahead = threading.BoundedSemaphore(AHEAD)
        self._storing: dict[int, int] = {}  # bytes of each, by a number of its own
        self._stored = threading.Condition()
        self._stopping = threading.Event()
        self._numbers = 0

    def in_network_thread(self, work: Callable[[], Result]) -> Result:
        """Do something in the thread that computes."""
        return self._network.submit(work).result()

    def stop(self) -> None:
        """Compute nothing more after the present job."""
        self._stopping.set()

    def run(self, stages: Stages, job: Job) -> tuple[tuple[str, ...], Report]:
        """Take a job through its stages; see `ImageStages`.

        Raises:
            NotBegun: See `stop`.
        """
        with self._ahead:
            if self._stopping.is_set():
                raise NotBegun
            read = stages.load(job)
            result, number = self.in_network_thread(partial(self._computed, stages, job, read))
            del read
        try:
            return stages.store(job, result)
        finally:
            with self._stored:
                del self._storing[number]
                self._stored.notify_all()

    def _computed(self, stages: Stages, job: Job, read: Decoded) -> tuple[ComputedResult, int]:
        """Compute, and wait until there is room for storing the result; its number there."""
        if self._stopping.is_set():
            raise NotBegun
        try:
            result = stages.compute(job, read)
        except AGAIN_ALONE:
            if not self._others_stored():
                raise
            result = stages.compute(job, read)
        with self._stored:
            self._stored.wait_for(lambda: self._has_room(result.nbytes))
            self._numbers += 1
            self._storing[self._numbers] = result.nbytes
            return result, self._numbers

    def _others_stored(self) -> bool:
        """Wait until nothing is being stored; False if nothing was."""
        with self._stored:
            waited = bool(self._storing)
            self._stored.wait_for(lambda: not self._storing)
        return waited

    def _has_room(self, size: int) -> bool:
        held = self._storing.values()
        return not held or (len(held) < self._encoders and sum(held) + size <= self._most_bytes)
