"""Hands jobs to a cluster's workers; every job ends as done or failed, whatever becomes of them."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from srcli.atomic import give_name
from srcli.cluster.handout import (
    MOST_LOSSES,
    Further,
    Handout,
    as_named,
    sent_job,
    unseen_result,
)
from srcli.cluster.messages import JobResult, UploadResult
from srcli.cluster.page_work import pages_on_workers
from srcli.cluster.worker_pool import PooledWorker, WorkerPool
from srcli.errors import ClusterError
from srcli.jobs.identity import Identity
from srcli.jobs.job import BatchObserver, Finished, Job, State, reason_of
from srcli.jobs.multipage import ImageContext
from srcli.jobs.page_tasks import PageMaker, RunStopped, join_pages
from srcli.jobs.resume import absolute
from srcli.jobs.run_journal import RunJournal
from srcli.media import DecoderPool
from srcli.url_paths import UrlPath

__all__ = ["run_on_workers"]


def run_on_workers(
    jobs: Sequence[Job],
    pool: WorkerPool,
    *,
    run_journal: RunJournal,
    stopping: threading.Event,
    observer: BatchObserver,
    decoder: DecoderPool,
) -> Iterator[Finished]:
    """Have every job done; see `run_batch`. Jobs in flight are bounded by what the workers take.

    Large documents come last, page by page.

    Args:
        jobs: What to do; existing outputs are replaced.
        pool: Does it.
        run_journal: Records what is complete, done and failed.
        stopping: Once it is set, jobs being computed are finished and no others are begun.
        observer: Told of jobs that are handed out.
        decoder: Reads the first pages of large documents.

    Yields:
        Each job's end, as it comes; none for those not begun.

    Raises:
        ClusterError: No worker is left.
    """
    work = _ImageWork(run_journal, observer)
    yield from Handout(jobs, pool, work, pool.callers).run(stopping)
    context = ImageContext(decoder, run_journal, observer)
    for job in work.documents:
        if stopping.is_set():
            return
        end = work.join(job, context, pages_on_workers(pool, stopping))
        if end is not None:
            yield end


class _ImageWork:
    """Images as a worker's items; see `Work`. Arguments as of `run_on_workers`."""

    def __init__(self, run_journal: RunJournal, observer: BatchObserver) -> None:
        self._journal, self._observer = run_journal, observer
        self._uploading: dict[Job, JobResult] = {}
        self.documents: list[Job] = []
        """Those of so many pages that they are done page by page."""

    def give(self, worker: PooledWorker, item: Job) -> Any:  # noqa: ANN401 Ray's reference
        """See `Work`."""
        self._observer.begun(item)
        return worker.actor.upscale.remote(sent_job(item))

    def settle(
        self, worker: PooledWorker, item: Job, answer: JobResult | UploadResult
    ) -> Finished | Further | None:
        """See `Work`."""
        if answer.reason:
            return self._failed(item, as_named(answer.reason, item))
        if isinstance(answer, UploadResult):
            return self._uploaded(item, answer)
        if not answer.begun:
            return None
        if answer.many_pages:
            self.documents.append(item)
            return None
        if isinstance(item.target, UrlPath):
            return self._have_uploaded(worker, item, answer)
        return self._name(item, answer)

    def failed(self, item: Job, error: Exception) -> Finished:
        """See `Work`."""
        return self._failed(item, reason_of(item, error))

    def given_up(self, item: Job, error: Exception) -> Finished:
        """See `Work`."""
        return self._failed(
            item,
            f"{item.source}: its worker was lost {MOST_LOSSES} times ({type(error).__name__}); "
            "hint: more memory for a worker, or upscale it without --cluster",
        )

    def folder(self, item: Job) -> Path:
        """See `Work`."""
        return absolute(item.target).parent

    def join(self, job: Job, context: ImageContext, maker: PageMaker) -> Finished | None:
        """Have the pages of a document made and join them; None if the run is to stop."""
        try:
            losses, report = join_pages(job, context.decoder.read(job.source), context, maker)
        except RunStopped:
            return None
        except ClusterError:  # no document can be done any more
            raise
        except Exception as error:  # noqa: BLE001 one bad document must not end the others
            return self._failed(job, reason_of(job, error))
        return Finished(job, State.DONE, losses=losses, report=report)

    def _have_uploaded(
        self, worker: PooledWorker, job: Job, result: JobResult
    ) -> Finished | Further:
        """Have a worker upload its result, once the journal knows of it."""
        assert result.temporary is not None
        assert result.made is not None
        try:
            self._journal.writing(job, result.made, Identity(result.made.size, 0))
        except OSError as error:
            return self._failed(job, reason_of(job, error))
        self._uploading[job] = result
        return Further(worker.actor.upload.remote(sent_job(job), result.temporary))

    def _uploaded(self, job: Job, said: UploadResult) -> Finished:
        """A result is in storage."""
        assert said.found is not None
        self._journal.uploaded(job, said.found)
        return self._done(job, self._uploading.pop(job))

    def _name(self, job: Job, result: JobResult) -> Finished:
        """Give a result its name, once the journal knows of it."""
        temporary = result.temporary
        assert temporary is not None
        assert result.made is not None
        if not temporary.exists():
            return self._failed(
                job,
                unseen_result(job, temporary),
            )
        try:
            self._journal.before_rename(job, result.made)(temporary)
            give_name(temporary, job.target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            return self._failed(job, reason_of(job, error))
        return self._done(job, result)

    def _done(self, job: Job, result: JobResult) -> Finished:
        self._journal.done(job)
        losses = tuple(as_named(line, job) for line in result.losses)
        return Finished(job, State.DONE, losses=losses, report=result.report)

    def _failed(self, job: Job, reason: str) -> Finished:
        self._journal.failed(job, reason)
        return Finished(job, State.FAILED, reason)
