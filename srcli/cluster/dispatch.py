"""Hands jobs to a cluster's workers; every job ends as done or failed, whatever becomes of them."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from srcli.atomic import give_name
from srcli.cluster.messages import JobResult, UploadResult
from srcli.cluster.worker_pool import PooledWorker, WorkerPool
from srcli.jobs.identity import Identity
from srcli.jobs.job import BatchObserver, Finished, Job, State, reason_of
from srcli.jobs.resume import absolute
from srcli.jobs.run_journal import RunJournal
from srcli.url_paths import UrlPath

__all__ = ["MOST_LOSSES", "run_on_workers"]

MOST_LOSSES = 3
"""Lost workers after which a job fails."""
_LOOK_SECONDS = 0.2  # between looks at whether the run is to stop


def run_on_workers(
    jobs: Sequence[Job],
    pool: WorkerPool,
    *,
    run_journal: RunJournal,
    stopping: threading.Event,
    observer: BatchObserver,
) -> Iterator[Finished]:
    """Have every job done; see `run_batch`. Jobs in flight are bounded by what the workers take.

    Args:
        jobs: What to do; existing outputs are replaced.
        pool: Does it.
        run_journal: Records what is complete, done and failed.
        stopping: Once it is set, jobs being computed are finished and no others are begun.
        observer: Told of jobs that are handed out.

    Yields:
        Each job's end, as it comes; none for those not begun.

    Raises:
        ClusterError: No worker is left.
    """
    return _Dispatch(jobs, pool, run_journal, observer).run(stopping)


@dataclass
class _Task:
    """A job, how many workers it has lost, and its result that is being uploaded."""

    job: Job
    lost: int = 0
    result: JobResult | None = None


class _Dispatch:
    """Arguments as of `run_on_workers`."""

    def __init__(
        self,
        jobs: Sequence[Job],
        pool: WorkerPool,
        run_journal: RunJournal,
        observer: BatchObserver,
    ) -> None:
        self._pool, self._journal, self._observer = pool, run_journal, observer
        self._todo = iter(jobs)
        self._again: deque[_Task] = deque()  # that have lost a worker: each is done alone
        self._running: dict[Any, tuple[PooledWorker, _Task]] = {}
        self._stopping = False

    def run(self, stopping: threading.Event) -> Iterator[Finished]:
        """See `run_on_workers`."""
        ray = self._pool.ray
        while True:
            if stopping.is_set() and not self._stopping:
                self._stopping = True
                self._pool.stop()
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
        job = next(self._todo, None)
        if job is not None:
            self._again.append(_Task(job))
        return job is not None

    def _hand_out(self) -> None:
        """Give the least busy workers what they have room for.

        A job that has lost a worker may be the reason: it waits for a worker that is idle, and
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
            job = next(self._todo, None) if worker.running < self._pool.callers else None
            if job is None:
                return
            self._give(worker, _Task(job))

    def _give(self, worker: PooledWorker, task: _Task) -> None:
        job = task.job
        self._observer.begun(job)
        task.result = None
        worker.running += 1
        self._running[worker.actor.upscale.remote(_sent(job))] = worker, task

    def _settle(self, answer: Any) -> Finished | None:  # noqa: ANN401 Ray's reference
        """The end of a job that a worker has answered for; None if it is to be done again."""
        worker, task = self._running.pop(answer)
        worker.running -= 1
        worker.alone = False
        exceptions = self._pool.ray.exceptions
        try:
            said: JobResult | UploadResult = self._pool.ray.get(answer)
        except exceptions.RayTaskError as error:
            return self._failed(task.job, reason_of(task.job, error))
        except exceptions.RayError as error:
            return self._lost(worker, task, error)
        if said.reason:
            return self._failed(task.job, _as_named(said.reason, task.job))
        if isinstance(said, UploadResult):
            return self._uploaded(task, said)
        if not said.begun:
            return None
        if isinstance(task.job.target, UrlPath):
            return self._have_uploaded(worker, task, said)
        return self._name(task.job, said)

    def _have_uploaded(
        self, worker: PooledWorker, task: _Task, result: JobResult
    ) -> Finished | None:
        """Have a worker upload its result, once the journal knows of it."""
        assert result.temporary is not None
        assert result.made is not None
        try:
            self._journal.writing(task.job, result.made, Identity(result.made.size, 0))
        except OSError as error:
            return self._failed(task.job, reason_of(task.job, error))
        task.result = result
        worker.running += 1
        upload = worker.actor.upload.remote(_sent(task.job), result.temporary)
        self._running[upload] = worker, task
        return None

    def _uploaded(self, task: _Task, said: UploadResult) -> Finished:
        """A result is in storage."""
        assert said.found is not None
        assert task.result is not None
        self._journal.uploaded(task.job, said.found)
        return self._done(task.job, task.result)

    def _lost(self, worker: PooledWorker, task: _Task, error: Exception) -> Finished | None:
        """A job whose worker is gone: it is given to another, if that has not happened often."""
        job = task.job
        self._pool.replace(worker, absolute(job.target).parent)
        task.lost += 1
        if task.lost < MOST_LOSSES:
            self._again.append(task)
            return None
        return self._failed(
            job,
            f"{job.source}: its worker was lost {task.lost} times ({type(error).__name__}); hint: "
            "more memory for a worker, or upscale it without --cluster",
        )

    def _name(self, job: Job, result: JobResult) -> Finished:
        """Give a result its name, once the journal knows of it."""
        temporary = result.temporary
        assert temporary is not None
        assert result.made is not None
        if not temporary.exists():
            return self._failed(
                job,
                f"{job.target}: a worker wrote {temporary}, which this machine does not see; hint: "
                "every node needs the folder of results under the same name",
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
        losses = tuple(_as_named(line, job) for line in result.losses)
        return Finished(job, State.DONE, losses=losses, report=result.report)

    def _failed(self, job: Job, reason: str) -> Finished:
        self._journal.failed(job, reason)
        return Finished(job, State.FAILED, reason)


def _sent(job: Job) -> Job:
    """A job as a worker gets it."""
    return Job(absolute(job.source), absolute(job.target), job.image_format)


def _as_named(text: str, job: Job) -> str:
    """A worker's line with the names as they were given to the driver."""
    for path in (job.source, job.target):
        text = text.replace(str(absolute(path)), str(path))
    return text
