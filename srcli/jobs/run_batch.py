"""Runs a batch: every job ends as exactly one of done, skipped or failed, with a reason."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import takewhile

import torch

from srcli.inference.device import available_ram, usable_cores
from srcli.inference.report import Report
from srcli.jobs.image_stages import (
    AGAIN_ALONE,
    LOADING_SHARE,
    STORING_SHARE,
    ComputedResult,
    ImageContext,
    decoders_beside,
    encoders_among,
)
from srcli.jobs.job import BatchObserver, Finished, Job, State, reason_of
from srcli.jobs.local_copies import LocalCopies
from srcli.jobs.run_journal import RunJournal
from srcli.jobs.stored_stages import StoredStages
from srcli.jobs.upscale_image import BatchOptions, UpscalersByScale
from srcli.media import Decoded, DecoderPool
from srcli.pipeline import LoadPool, StageResult, StorePool, stream

__all__ = ["run_batch"]


class _Stopped(Exception):
    """The run is to stop, and this job has not been begun."""


def run_batch(
    jobs: Sequence[Job],
    upscalers: UpscalersByScale,
    batch: BatchOptions,
    *,
    decoder: DecoderPool,
    run_journal: RunJournal,
    stopping: threading.Event,
    observer: BatchObserver,
) -> Iterator[Finished]:
    """Upscale every job, decoding and encoding while the network works.

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
    with LocalCopies(decoder.limits.file_bytes) as copies:
        context = ImageContext(decoder, run_journal, observer)
        stages = StoredStages(upscalers, batch, context, copies)

        def compute(job: Job, read: Decoded) -> ComputedResult:
            if stopping.is_set():
                raise _Stopped
            return stages.compute(job, read)

        loaders, pool = _pools(stages, decoder, upscalers.first.network.device)
        todo = takewhile(lambda _: not stopping.is_set(), jobs)
        with closing(stream(todo, stages.load, compute, stages.store, pool, loaders)) as outcomes:
            for outcome in outcomes:
                stages.ended(outcome.item)
                if isinstance(outcome.error, _Stopped):
                    continue
                end = _finished(outcome)
                if end.state is State.FAILED:
                    run_journal.failed(end.job, end.reason)
                yield end


def _pools(
    stages: StoredStages, decoder: DecoderPool, device: torch.device
) -> tuple[LoadPool[Job], StorePool[ComputedResult]]:
    """Numbers of images that are loaded and stored at once, beside a network on a device."""
    cores, free = usable_cores(), available_ram()
    decoders = decoders_beside(device, cores)
    decoder.allow(decoders)
    loaders = LoadPool[Job]()
    if decoders > 1:  # one at a time needs no second look at each header
        loaders = LoadPool[Job](decoders, free * LOADING_SHARE, stages.bytes_to_load)
    pool = StorePool[ComputedResult](
        encoders_among(cores),
        free * STORING_SHARE,
        lambda result: result.nbytes,
        AGAIN_ALONE,
    )
    return loaders, pool


def _finished(outcome: StageResult[Job, tuple[tuple[str, ...], Report]]) -> Finished:
    if outcome.stored is not None:
        lost, report = outcome.stored
        return Finished(outcome.item, State.DONE, losses=lost, report=report)
    return Finished(outcome.item, State.FAILED, reason_of(outcome.item, outcome.error))
