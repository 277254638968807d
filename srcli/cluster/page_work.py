"""Pages of large documents, upscaled by a cluster's workers and joined by the driver."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from srcli.cluster.handout import MOST_LOSSES, Further, Handout, as_named, sent_job, unseen_result
from srcli.cluster.messages import PageResult
from srcli.cluster.worker_pool import PooledWorker, WorkerPool
from srcli.errors import InputError, UnreadableImage
from srcli.jobs.job import reason_of
from srcli.jobs.page_tasks import MadePage, PageMaker, PageTask
from srcli.jobs.resume import absolute

__all__ = ["pages_on_workers"]


def pages_on_workers(pool: WorkerPool, stopping: threading.Event) -> PageMaker:
    """A maker of pages that hands them to workers.

    No page is handed out while the caller writes one, so few wait on the disk.

    Args:
        pool: The workers.
        stopping: Once it is set no more are made; those that are begun are given up.
    """

    def make(tasks: Sequence[PageTask]) -> Iterator[MadePage]:
        return Handout(tasks, pool, _PageWork(), pool.callers).run(stopping, finish=False)

    return make


class _PageWork:
    """Pages as a worker's items; see `Work`."""

    def give(self, worker: PooledWorker, item: PageTask) -> Any:  # noqa: ANN401 Ray's reference
        """See `Work`."""
        return worker.actor.make_page.remote(replace(item, job=sent_job(item.job)))

    def settle(
        self, worker: PooledWorker, item: PageTask, answer: PageResult
    ) -> MadePage | Further | None:
        """See `Work`."""
        del worker
        if not answer.begun:
            return None
        if answer.reason:
            kind = UnreadableImage if answer.unreadable else InputError
            return MadePage(item.number, error=kind(as_named(answer.reason, item.job)))
        assert answer.pixels is not None
        if not answer.pixels.exists():
            error = InputError(unseen_result(item.job, answer.pixels))
            return MadePage(item.number, error=error)
        return MadePage(item.number, answer.image, answer.pixels, answer.report)

    def failed(self, item: PageTask, error: Exception) -> MadePage:
        """See `Work`."""
        return MadePage(item.number, error=InputError(reason_of(item.job, error)))

    def given_up(self, item: PageTask, error: Exception) -> MadePage:
        """See `Work`."""
        told = InputError(
            f"{item.job.source}: page {item.number + 1} lost {MOST_LOSSES} workers "
            f"({type(error).__name__}); hint: more memory for a worker, or upscale it without "
            "--cluster"
        )
        return MadePage(item.number, error=told)

    def folder(self, item: PageTask) -> Path:
        """See `Work`."""
        return absolute(item.job.target).parent
