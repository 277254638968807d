"""The workers of a run: started, checked, and replaced when one is lost."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from srcli.atomic import TEMPORARY_SUFFIX
from srcli.cluster.concurrent_stages import AHEAD
from srcli.cluster.messages import WorkerPlace, WorkerSetup, WorkerStart
from srcli.cluster.weights_set import weights_files
from srcli.cluster.worker import ClusterWorker
from srcli.cluster.worker_sizes import WorkerSize
from srcli.errors import ClusterError

__all__ = ["PooledWorker", "WorkerPool"]

_FAILED_STARTS = 3  # in succession, after which a worker that dies is not started again
_NO_WORKER_SECONDS = 300.0  # after which a run without any worker ends
_WORTH_A_LINE = 30.0
_CLOSING_SECONDS = 3.0
_NO_SRCLI = "No module named 'srcli'"


@dataclass(eq=False)
class PooledWorker:
    """A worker as the driver sees it.

    Args:
        actor: Ray's handle.
        place: Where it runs; None until it has said so.
        start: Its device; None until it is ready.
        running: Number of its jobs.
        alone: It has a job that may have ended a worker before, and gets no other meanwhile.
    """

    actor: Any
    place: WorkerPlace | None = None
    start: WorkerStart | None = None
    running: int = 0
    alone: bool = False


@dataclass
class _Starts:
    """Workers that are being started, by the answer that is waited for."""

    waiting: dict[Any, PooledWorker] = field(default_factory=dict[Any, PooledWorker])
    failed: int = 0
    problems: list[str] = field(default_factory=list[str])


class WorkerPool:
    """Starts workers and keeps as many as there shall be; a context manager.

    Args:
        ray: Ray's module, connected.
        size: Number and size of the workers.
        setup: What they need to know.
        tell: Told, in a line, of a worker that cannot begin or is lost.
    """

    def __init__(
        self,
        ray: Any,  # noqa: ANN401 no types of Ray are known where it is not installed
        size: WorkerSize,
        setup: WorkerSetup,
        tell: Callable[[str], None],
    ) -> None:
        self.ray, self.size, self.setup, self._tell = ray, size, setup, tell
        self.workers: list[PooledWorker] = []
        self.devices: set[str] = set()
        """Devices and precisions that workers have computed on."""
        self._starts = _Starts()
        self._since = time.monotonic()
        self._told = False
        self._actor_class = ray.remote(ClusterWorker).options(
            num_cpus=size.cores,
            num_gpus=size.gpus,
            max_concurrency=self.callers + 1,  # one to be told to stop
            max_restarts=0,
            max_task_retries=0,
        )
        for _ in range(size.count):
            self._start()

    @property
    def callers(self) -> int:
        """Jobs that a worker has at once: computed, loaded and being encoded."""
        return AHEAD + self.setup.encoders

    @property
    def ready(self) -> list[PooledWorker]:
        """Workers that take jobs."""
        return [worker for worker in self.workers if worker.start is not None]

    @property
    def waiting(self) -> Sequence[Any]:
        """Answers of workers that are being started."""
        return list(self._starts.waiting)

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):  # the connection may be gone
            closed = [worker.actor.close.remote() for worker in self.ready]
            if closed:
                self.ray.wait(closed, num_returns=len(closed), timeout=_CLOSING_SECONDS)
        for worker in self.workers:
            self._kill(worker)
        self.workers = []

    def wait_for_first(self, stopped: Callable[[], bool]) -> WorkerStart | None:
        """Wait until a worker is ready, and return what it computes on; None if stopped before.

        Raises:
            ClusterError: None can be.
        """
        while not self.ready:
            if stopped():
                return None
            answers, _ = self.ray.wait(self.waiting, num_returns=1, timeout=0.2)
            for answer in answers:
                self.take(answer)
            self.require_some()
        return self.ready[0].start

    def take(self, answer: Any) -> None:  # noqa: ANN401
        """Go on with a worker that has answered."""
        worker = self._starts.waiting.pop(answer)
        try:
            said: WorkerPlace | WorkerStart = self.ray.get(answer)
        except self.ray.exceptions.RayError as error:
            self._failed_to_start(worker, error)
            return
        if said.problem:
            self._starts.problems.append(said.problem)
            self._tell(said.problem)
            self._remove(worker)
        elif isinstance(said, WorkerPlace):
            worker.place = said
            self._expect(worker, worker.actor.begin.remote(self.setup))
        elif said.lacks_weights:
            self._expect(worker, worker.actor.begin.remote(self.setup, self._files))
        else:
            worker.start = said
            self.devices.add(said.device)
            self._starts.failed = 0

    def require_some(self) -> None:
        """Give up if there is no worker, and none can be expected.

        Raises:
            ClusterError: See above.
        """
        if self.ready:
            self._since, self._told = time.monotonic(), False
            return
        problems = self._starts.problems
        if not self._starts.waiting:
            raise ClusterError(problems[-1] if problems else "no worker is left in the cluster")
        passed = time.monotonic() - self._since
        free = {
            name: amount
            for name, amount in self.ray.available_resources().items()
            if name in ("CPU", "GPU")
        }
        wanted = f"{self.size.cores} cores and {self.size.gpus:g} GPUs; free in the cluster: {free}"
        if passed > _NO_WORKER_SECONDS:
            raise ClusterError(
                f"no worker could start within {_NO_WORKER_SECONDS:g} s: it needs {wanted}; hint: "
                "free some, or --workers with a larger number for smaller ones"
            )
        if passed > _WORTH_A_LINE and not self._told:
            self._told = True
            self._tell(f"waiting for a worker: it needs {wanted}")

    def replace(self, worker: PooledWorker, folder: Path) -> None:
        """Start another in place of one that is lost; remove what it has left in a folder."""
        if worker.place is not None:
            mark = f"{worker.place.pid}-{worker.place.names}-"
            with contextlib.suppress(OSError):
                for path in folder.glob(f".*.{mark}*{TEMPORARY_SUFFIX}"):
                    path.unlink(missing_ok=True)
        if worker in self.workers:
            host = worker.place.host if worker.place else "a node"
            self._tell(f"a worker on {host} is lost; what it had begun is given to another")
            self._remove(worker)
            self._start()

    def stop(self) -> None:
        """Tell all workers to compute nothing more after their present job."""
        for worker in self.ready:
            worker.actor.stop.remote()

    @cached_property
    def _files(self) -> Any:  # noqa: ANN401
        """The driver's weights, in Ray's store."""
        return self.ray.put(weights_files(self.setup.network.model))

    def _start(self) -> None:
        worker = PooledWorker(self._actor_class.remote())
        self.workers.append(worker)
        self._expect(worker, worker.actor.place.remote(version("srcli")))

    def _expect(self, worker: PooledWorker, answer: Any) -> None:  # noqa: ANN401
        self._starts.waiting[answer] = worker

    def _failed_to_start(self, worker: PooledWorker, error: Exception) -> None:
        self._remove(worker)
        self._starts.failed += 1
        reason = f"a worker died before it could begin: {_last_line(error)}"
        if _NO_SRCLI in str(error):
            reason = (
                "srcli is not installed on a node of the cluster; hint: pip install "
                f"'srcli[cluster]=={version('srcli')}' on every node"
            )
        self._starts.problems.append(reason)
        if self._starts.failed < _FAILED_STARTS:
            self._start()
        else:
            self._tell(reason)

    def _remove(self, worker: PooledWorker) -> None:
        self.workers.remove(worker)
        worker.start = None
        self._kill(worker)

    def _kill(self, worker: PooledWorker) -> None:
        with contextlib.suppress(Exception):  # it may be dead, and the connection, too
            self.ray.kill(worker.actor)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
