"""Hands items to a cluster's workers; what a lost worker had is given to another."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from srcli.cluster.worker_pool import PooledWorker, WorkerPool
from srcli.jobs.job import Job
from srcli.jobs.resume import absolute

__all__ = [
    "MOST_LOSSES",
    "Further",
    "Handout",
    "Work",
    "as_named",
    "sent_job",
    "unseen_result",
]

MOST_LOSSES = 3
"""Lost workers after which an item is not given to another."""
_LOOK_SECONDS = 0.2  # between looks at whether the run is to stop
Item = TypeVar("Item")
End = TypeVar("End")
Given = TypeVar("Given", contravariant=True)
Ended = TypeVar("Ended", covariant=True)


@dataclass(frozen=True)
class Further:
    """More that a worker does for an item.

    Args:
        answer: Ray's reference to its answer, which is settled as the first.
    """

    answer: Any


@runtime_checkable
class Work(Protocol[Given, Ended]):
    """Interface of what is done with the items."""

    def give(self, worker: PooledWorker, item: Given) -> Any:  # noqa: ANN401 Ray's reference
        """Give an item to a worker; Ray's reference to its answer."""
        ...

    def settle(self, worker: PooledWorker, item: Given, answer: Any) -> "Ended | Further | None":  # noqa: ANN401
        """The end of an item by its worker's answer; None if there is nothing to tell."""
        ...

    def failed(self, item: Given, error: Exception) -> Ended:
        """The end of an item whose worker has failed with an error that it did not expect."""
        ...

    def given_up(self, item: Given, error: Exception) -> Ended:
        """The end of an item that has lost as many workers as it may."""
        ...

    def folder(self, item: Given) -> Path:
        """The folder in which a lost worker may have left something of the item."""
        ...


@dataclass
class _Task(Generic[Item]):
    """An item, and how many workers it has lost."""

    item: Item
    lost: int = 0


class Handout(Generic[Item, End]):
    """Items on their way through the workers.

    Args:
        items: What to do.
        pool: Does it.
        work: How items are given, and how they end.
        most: Items that a worker has at once.
    """

    def __init__(
        self, items: Iterable[Item], pool: WorkerPool, work: Work[Item, End], most: int
    ) -> None:
        self._todo, self._pool, self._work, self._most = iter(items), pool, work, most
        self._again: deque[_Task[Item]] = deque()  # that have lost a worker: each is done alone
        self._running: dict[Any, tuple[PooledWorker, _Task[Item]]] = {}
        self._stopping = False

    def run(self, stopping: threading.Event, *, finish: bool = True) -> Iterator[End]:
        """Have every item done; those in flight are bounded by what the workers take.

        Args:
            stopping: Once it is set no others are begun.
            finish: Those that are computed then are finished.

        Yields:
            Each item's end, as it comes; none for those not begun.

        Raises:
            ClusterError: No worker is left.
        """
        ray = self._pool.ray
        while True:
            if stopping.is_set() and not self._stopping:
                self._stopping = True
                self._pool.stop()
            if self._stopping and not finish:
                return
            if not self._stopping:
                self._hand_out()
            if not self._running and (self._stopping or not self._is_work_left()):
                return
            self._pool.require_some()
            answers = [*self._running, *self._pool.waiting]
            ready, _ = ray.wait(answers, num_returns=1, timeout=_LOOK_SECONDS)
            for answer in ready:
                if answer in self._running:
                    end = self._settle(answer)
                    if end is not None:
                        yield end
                else:
                    self._pool.take(answer)

    def _is_work_left(self) -> bool:
        if self._again:
            return True
        for item in self._todo:
            self._again.append(_Task(item))
            return True
        return False

    def _hand_out(self) -> None:
        """Give the least busy workers what they have room for.

        An item that has lost a worker may be the reason: it waits for a worker that is idle, and
        has it for itself.
        """
        takers: list[PooledWorker] = []
        claims = len(self._again)
        for worker in sorted(self._pool.ready, key=lambda worker: worker.running):
            if worker.alone:
                continue
            if claims:
                claims -= 1
                if not worker.running:
                    worker.alone = True
                    self._give(worker, self._again.popleft())
                continue
            takers.append(worker)
        while takers:
            worker = min(takers, key=lambda worker: worker.running)
            if worker.running >= self._most:
                return
            for item in self._todo:
                self._give(worker, _Task(item))
                break
            else:
                return

    def _give(self, worker: PooledWorker, task: _Task[Item]) -> None:
        worker.running += 1
        self._running[self._work.give(worker, task.item)] = worker, task

    def _settle(self, answer: Any) -> End | None:  # noqa: ANN401
        """The end of an item that a worker has answered for; None if it is to be done again."""
        worker, task = self._running.pop(answer)
        worker.running -= 1
        worker.alone = False
        exceptions = self._pool.ray.exceptions
        try:
            result = self._pool.ray.get(answer)
        except exceptions.RayTaskError as error:
            return self._work.failed(task.item, error)
        except exceptions.RayError as error:
            self._pool.replace(worker, self._work.folder(task.item))
            task.lost += 1
            if task.lost < MOST_LOSSES:
                self._again.append(task)
                return None
            return self._work.given_up(task.item, error)
        end = self._work.settle(worker, task.item, result)
        if not isinstance(end, Further):
            return end
        worker.running += 1
        self._running[end.answer] = worker, task
        return None


def sent_job(job: Job) -> Job:
    """A job as a worker gets it: the worker has another current folder."""
    return Job(absolute(job.source), absolute(job.target), job.image_format)


def as_named(text: str, job: Job) -> str:
    """A worker's line with the names as they were given to the driver."""
    for path in (job.source, job.target):
        text = text.replace(str(absolute(path)), str(path))
    return text


def unseen_result(job: Job, file: Path) -> str:
    """A line about a file that a worker wrote and the driver does not find."""
    return (
        f"{job.target}: a worker wrote {file}, which this machine does not see; hint: every node "
        "needs the folder of results under the same name"
    )
