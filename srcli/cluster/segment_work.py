"""Segments of clips, made by a cluster's workers."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from srcli.cluster.handout import MOST_LOSSES, Handout, as_named, sent_job, unseen_result
from srcli.cluster.messages import SegmentResult
from srcli.cluster.worker_pool import PooledWorker, WorkerPool
from srcli.errors import InputError
from srcli.jobs.clip_tasks import MadeSegment, SegmentMaker, SegmentTask
from srcli.jobs.job import reason_of
from srcli.jobs.resume import absolute

__all__ = ["segments_on_workers"]

_AT_ONCE = 2  # segments that a worker has: one is made, the next waits


def segments_on_workers(
    pool: WorkerPool, stopping: threading.Event, tell: Callable[[str], None]
) -> SegmentMaker:
    """A maker of segments that hands them to workers.

    Args:
        pool: The workers.
        stopping: Once it is set no more are made; those that are begun are given up.
        tell: Told, in a line, of a segment that is left to the caller.
    """
    work = _SegmentWork(tell)

    def make(tasks: Sequence[SegmentTask]) -> Iterator[MadeSegment]:
        return Handout(tasks, pool, work, _AT_ONCE).run(stopping, finish=False)

    return make


class _SegmentWork:
    """Segments as a worker's items; see `Work`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def give(self, worker: PooledWorker, item: SegmentTask) -> Any:  # noqa: ANN401 Ray's reference
        """See `Work`."""
        sent = replace(item, job=sent_job(item.job), path=absolute(item.path))
        return worker.actor.make_segment.remote(sent)

    def settle(
        self, worker: PooledWorker, item: SegmentTask, answer: SegmentResult
    ) -> MadeSegment | None:
        """See `Work`.

        Raises:
            InputError: The segment cannot be made.
        """
        del worker
        if answer.reason:
            raise InputError(as_named(answer.reason, item.job))
        if answer.report is None:
            self._tell(
                f"{item.job.source}: a worker that began at frame {item.done} did not find the "
                "frames that follow there; this machine does"
            )
            return None
        if not item.path.exists():
            raise InputError(unseen_result(item.job, item.path))
        return MadeSegment(item, answer.report, answer.lossy)

    def failed(self, item: SegmentTask, error: Exception) -> MadeSegment:
        """See `Work`.

        Raises:
            InputError: Always.
        """
        raise InputError(reason_of(item.job, error)) from error

    def given_up(self, item: SegmentTask, error: Exception) -> MadeSegment:
        """See `Work`.

        Raises:
            InputError: Always.
        """
        raise InputError(
            f"{item.job.source}: the frames from {item.done} on lost {MOST_LOSSES} workers "
            f"({type(error).__name__}); those that are done are kept. hint: more memory for a "
            "worker, or upscale it without --cluster"
        ) from error

    def folder(self, item: SegmentTask) -> Path:
        """See `Work`."""
        return absolute(item.path).parent
