"""Cost of the journal and the worker process: time of a batch with them and without.

python docs/measure/batch_cost.py FOLDER [COUNT]

Every photograph is done twice, right after one another and the first way now one, now the other:
as `srcli upscale` does it, and decoded in this process with no journal. Both ways go through the
same `run_batch`, one photograph at a time, so that nothing of the cost hides behind the network; in
a real batch much of it does. Wall time, and processor time of this process and the worker, which
other programs disturb less. 20 photographs of 512 px take about five minutes on two cores.
"""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
import torch

from srcli import Upscaler
from srcli.cli.progress import QuietReporter
from srcli.jobs.job import Job, State
from srcli.jobs.journal import RunRecord
from srcli.jobs.run_batch import run_batch
from srcli.jobs.run_journal import OutputRecord, RunJournal
from srcli.jobs.settings import Settings
from srcli.jobs.target_size import TargetSize
from srcli.jobs.upscale_image import Batch, UpscalersByScale
from srcli.media import Decoded, DecodeLimits, DecoderPool, MetadataPolicy, read_image

_SETTINGS = Settings("adaformer", "0" * 64, "x4", "balanced")


class InProcess(DecoderPool):
    """Decodes here, without a worker and without the file's hash."""

    def read(self, path: Path, page: int = 0) -> Decoded:
        """See `DecoderPool`."""
        state = path.stat()
        return Decoded(read_image(path, page=page), state.st_size, state.st_mtime_ns, "")


class NoLedger(RunJournal):
    """Writes nothing down."""

    def whole(self, job: Job, made: OutputRecord) -> Callable[[Path], None]:
        """See `RunJournal`."""
        return lambda temporary: None

    def done(self, job: Job) -> None:
        """See `RunJournal`."""


class Way:
    """One of the two ways to do a photograph.

    Args:
        decoder: Reads.
        ledger: Keeps the journal, or none.
        upscalers: The network.
    """

    def __init__(
        self, decoder: DecoderPool, ledger: RunJournal, upscalers: UpscalersByScale
    ) -> None:
        self._decoder, self._ledger, self._upscalers = decoder, ledger, upscalers
        self.wall: list[float] = []
        self.processor: list[float] = []

    def do(self, job: Job) -> None:
        """Do one photograph, and take the time."""
        batch = Batch(TargetSize(scale=4), 95, 8192, MetadataPolicy())
        began, used = time.perf_counter(), _processor_seconds()
        ends = run_batch(
            [job],
            self._upscalers,
            batch,
            decoder=self._decoder,
            run_journal=self._ledger,
            stopping=threading.Event(),
            observer=QuietReporter(1),
        )
        for end in ends:
            assert end.state is State.DONE, end.reason
        self.wall.append(time.perf_counter() - began)
        self.processor.append(_processor_seconds() - used)


def _processor_seconds() -> float:
    """Of this process and its children so far."""
    this = psutil.Process()
    times = [one.cpu_times() for one in (this, *this.children())]
    return sum(one.user + one.system for one in times)


def main(folder: Path, count: int) -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    names = (".jpg", ".jpeg", ".png", ".webp")
    photos = sorted(p for p in folder.rglob("*") if p.suffix.lower() in names)[:count]
    upscalers = UpscalersByScale("adaformer", lambda scale: Upscaler("adaformer", scale), 4)
    with ExitStack() as stack:
        out = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        jobs = [
            [Job(p, out / name / f"{i}.jpg", "jpeg", out / name) for i, p in enumerate(photos)]
            for name in ("shipped", "plain")
        ]
        ledger = stack.enter_context(RunJournal(jobs[0], _SETTINGS, wait=False, tell=print))
        ledger.begin(RunRecord(1, "0", "adaformer", "0" * 64, "{}", "cpu"), jobs[0])
        none = NoLedger(jobs[1], _SETTINGS, wait=False, tell=print)
        decoder = stack.enter_context(DecoderPool(DecodeLimits()))
        ways = Way(decoder, ledger, upscalers), Way(InProcess(DecodeLimits()), none, upscalers)
        for way, own in zip(ways, jobs, strict=True):
            way.do(own[0])  # warm
            way.wall.clear()
            way.processor.clear()
        for number in range(len(photos)):
            for which in (0, 1) if number % 2 else (1, 0):
                ways[which].do(jobs[which][number])
    for kind in ("wall", "processor"):
        shipped, plain = (getattr(way, kind) for way in ways)
        ratios = [a / b for a, b in zip(shipped, plain, strict=True)]
        sys.stdout.write(
            f"{len(photos)} photographs, x4, {kind} time: shipped {sum(shipped):.1f} s, plain "
            f"{sum(plain):.1f} s; ratio of sums {sum(shipped) / sum(plain):.4f}, of medians "
            f"{statistics.median(shipped) / statistics.median(plain):.4f}, "
            f"median of ratios {statistics.median(ratios):.4f}\n"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20)
