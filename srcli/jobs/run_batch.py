"""Runs a batch: every job ends as exactly one of done, skipped or failed, with a reason."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile

from srcli.errors import ImageTooLarge, OutOfMemory
from srcli.inference.device import available_ram, usable_cores
from srcli.inference.report import Report
from srcli.jobs.identity import Identity
from srcli.jobs.job import BatchObserver, Finished, Job, State, reason_of
from srcli.jobs.multipage import MultipageContext, origin_of, upscale_multipage
from srcli.jobs.preflight import require_one_page, require_sizes
from srcli.jobs.run_journal import OutputRecord, RunJournal
from srcli.jobs.upscale_image import BatchOptions, UpscalersByScale, upscale_to_size
from srcli.media import (
    Decoded,
    DecodedImage,
    DecoderProcess,
    holds_pages,
    write_image,
)
from srcli.pipeline import StageResult, StorePool, stream

__all__ = ["run_batch"]

_MEMORY_SHARE = 8  # of the free memory at the start, what results being written may take


@dataclass(frozen=True)
class _Result:
    """A computed result that waits to be written.

    Args:
        write: Writes it; returns what was lost and what it took.
        nbytes: Bytes of pixels.
    """

    write: Callable[[], tuple[tuple[str, ...], Report]]
    nbytes: int


class _Stopped(Exception):
    """The run is to stop, and this job has not been begun."""


def run_batch(
    jobs: Sequence[Job],
    upscalers: UpscalersByScale,
    batch: BatchOptions,
    *,
    decoder: DecoderProcess,
    run_journal: RunJournal,
    stopping: threading.Event,
    observer: BatchObserver,
) -> Iterator[Finished]:
    """Upscale every job, decoding and encoding while the network works.

    A GPU computes an image many times faster than one core encodes it: half of the cores encode.

    Args:
        jobs: What to do; existing outputs are replaced.
        upscalers: Do the work.
        batch: How.
        decoder: Reads the inputs.
        run_journal: Records what is complete, done and failed.
        stopping: Once it is set, the job being computed is finished and no other is begun.
        observer: Receives progress.

    Yields:
        Each job's end, as it comes; none for those not begun.
    """
    context = MultipageContext(decoder, run_journal, observer)

    def load(job: Job) -> Decoded:
        return decoder.read(job.source)

    def compute(job: Job, read: Decoded) -> _Result:
        if stopping.is_set():
            raise _Stopped
        pages = (read.image, *read.image.later_pages)
        require_sizes(job, pages, batch.size, batch.limits)
        observer.begun(job)
        if read.image.later_pages:
            if holds_pages(job.image_format):
                return _already_written(upscale_multipage(job, read, upscalers, batch, context))
            require_one_page(job, read.image.later_pages)
        callbacks = partial(observer.tile, job), partial(observer.progress, job)
        made = upscale_to_size(read.image, upscalers, batch, *callbacks)
        left_out = read.image.left_out + len(read.image.later_pages)
        image = replace(read.image, pixels=made.image, left_out=left_out)
        write = partial(_store, job, image, made.report, origin_of(read), batch, run_journal)
        return _Result(write, image.pixels.nbytes)

    def store(_: Job, result: _Result) -> tuple[tuple[str, ...], Report]:
        return result.write()

    pool = StorePool[_Result](
        max(1, usable_cores() // 2),
        available_ram() / _MEMORY_SHARE,
        lambda result: result.nbytes,
        (ImageTooLarge, OutOfMemory),
    )
    todo = takewhile(lambda _: not stopping.is_set(), jobs)
    for outcome in stream(todo, load, compute, store, pool):
        if isinstance(outcome.error, _Stopped):
            continue
        end = _finished(outcome)
        if end.state is State.FAILED:
            run_journal.failed(end.job, end.reason)
        yield end


def _store(
    job: Job,
    image: DecodedImage,
    report: Report,
    origin: Identity,
    batch: BatchOptions,
    run_journal: RunJournal,
) -> tuple[tuple[str, ...], Report]:
    """Write a result; the journal learns of it before it gets its name, and after."""
    metadata = batch.metadata.applied(image.metadata)
    image = replace(image, format=job.image_format, metadata=metadata)
    made = OutputRecord(origin, image.width, image.height, report.seconds, report.chosen)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    losses = write_image(
        image, job.target, quality=batch.quality, before_rename=run_journal.before_rename(job, made)
    )
    run_journal.done(job)
    return losses, report


def _already_written(result: tuple[tuple[str, ...], Report]) -> _Result:
    """A document is written as it is computed: nothing is left to store."""
    return _Result(lambda: result, 0)


def _finished(outcome: StageResult[Job, tuple[tuple[str, ...], Report]]) -> Finished:
    if outcome.stored is not None:
        lost, report = outcome.stored
        return Finished(outcome.item, State.DONE, losses=lost, report=report)
    return Finished(outcome.item, State.FAILED, reason_of(outcome.item, outcome.error))
