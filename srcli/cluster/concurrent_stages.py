"""Stages of image jobs for callers in several threads: while one is computed others load or store.

Overlaps them as `srcli.pipeline.stream` does, for jobs that come one by one from elsewhere.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Protocol, TypeVar, runtime_checkable

from srcli.inference.report import Report
from srcli.jobs.image_stages import AGAIN_ALONE, ComputedResult
from srcli.jobs.job import Job
from srcli.media import Decoded
from srcli.pipeline import RoomLimit

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

    def store(self, job: Job, result: ComputedResult, /) -> tuple[tuple[str, ...], Report]:
        """Write the result."""
        ...


class ConcurrentStages:
    """Runs jobs that several threads bring; one thread computes, always the same.

    Args:
        encoders: Results stored at once.
        most_bytes: Of all results being stored; a larger one is stored alone.
    """

    def __init__(self, encoders: int, most_bytes: float) -> None:
        self._network = ThreadPoolExecutor(1, "srcli-network")
        self._ahead = threading.BoundedSemaphore(AHEAD)
        self._storing = RoomLimit(encoders, most_bytes)
        self._numbers = count()
        self._stopping = threading.Event()

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
            self._storing.give_back(number)

    def _computed(self, stages: Stages, job: Job, read: Decoded) -> tuple[ComputedResult, int]:
        """Compute, and wait until there is room for storing the result; its number there."""
        if self._stopping.is_set():
            raise NotBegun
        try:
            result = stages.compute(job, read)
        except AGAIN_ALONE:
            if not self._storing.wait_until_empty():
                raise
            result = stages.compute(job, read)
        number = next(self._numbers)
        self._storing.take(number, result.nbytes)
        return result, number
