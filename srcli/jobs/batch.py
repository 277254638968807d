"""Runs a batch: every job ends as exactly one of done, skipped or failed, with a reason."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Protocol, runtime_checkable

from srcli.errors import ImageTooLarge, UnknownScale
from srcli.inference.report import Report
from srcli.inference.streaming import Outcome, stream
from srcli.inference.upscaler import Upscaler
from srcli.jobs.identity import Identity
from srcli.jobs.ledger import Ledger, Made
from srcli.jobs.outcome import Finished, State, reason_of
from srcli.jobs.plan import Job
from srcli.jobs.sizes import SizeWish
from srcli.media import Decoded, Decoder, MetadataPolicy, Picture, representable, write_picture
from srcli.weights import best_scale

__all__ = ["Batch", "Upscalers", "Watcher", "run_batch"]


class Upscalers:
    """The networks of one model, each loaded when a picture first needs its scale.

    Args:
        model: The network.
        make: Makes the upscaler for a scale.
        largest: The scale to load at once, so that a wrong setting is found before any work.
    """

    def __init__(self, model: str, make: Callable[[float], Upscaler], largest: float) -> None:
        self.model = model
        self._make = make
        first = make(largest)
        self._loaded = {first.network.scale: first}
        self.first = first

    def serving(self, needed: int) -> Upscaler:
        """The smallest network whose result need only be reduced.

        Raises:
            UnknownScale: There is none.
        """
        scale = best_scale(self.model, max(needed, 2)).scale
        if scale not in self._loaded:
            self._loaded[scale] = self._make(scale)
        return self._loaded[scale]


@dataclass(frozen=True)
class Batch:
    """How all jobs of a batch are done.

    Args:
        size: How large results shall be.
        quality: Of lossy formats, 1 to 100.
        max_output_megapixels: Of a result, in millions.
        metadata: What of it is kept.
    """

    size: SizeWish
    quality: int
    max_output_megapixels: float
    metadata: MetadataPolicy


@runtime_checkable
class Watcher(Protocol):
    """Whoever wants to know how a batch goes on."""

    def begun(self, job: Job) -> None:
        """The network begins with a job."""
        ...

    def tile(self, job: Job, done: int, total: int) -> None:
        """A tile of a picture is done."""
        ...


@dataclass(frozen=True)
class _Computed:
    picture: Picture
    report: Report
    origin: Identity


class _Stopped(Exception):
    """The run is to stop, and this job has not been begun."""


def run_batch(
    jobs: Sequence[Job],
    upscalers: Upscalers,
    batch: Batch,
    *,
    decoder: Decoder,
    ledger: Ledger,
    stopping: threading.Event,
    watcher: Watcher,
) -> Iterator[Finished]:
    """Upscale every job, decoding and encoding while the network works.

    Args:
        jobs: What to do; existing outputs are replaced.
        upscalers: Do the work.
        batch: How.
        decoder: Reads the inputs.
        ledger: Is told what is whole, done and failed.
        stopping: Once it is set, the job being computed is finished and no other is begun.
        watcher: Is told how it goes on.

    Yields:
        Each job's end, as it comes; none for those not begun.
    """

    def load(job: Job) -> Decoded:
        return decoder.read(job.source)

    def compute(job: Job, read: Decoded) -> _Computed:
        if stopping.is_set():
            raise _Stopped
        watcher.begun(job)
        picture = read.picture
        size = _size(job, picture, batch)
        upscaler = _serving(upscalers, job.source, (picture.width, picture.height), size)
        upscaled = upscaler.upscale(
            picture.pixels, lambda done, total: watcher.tile(job, done, total), size
        )
        origin = Identity(read.size, read.mtime_ns, read.sha256)
        return _Computed(replace(picture, pixels=upscaled.image), upscaled.report, origin)

    def store(job: Job, computed: _Computed) -> tuple[tuple[str, ...], Report]:
        return _store(job, computed, batch, ledger)

    for outcome in stream(takewhile(lambda _: not stopping.is_set(), jobs), load, compute, store):
        if isinstance(outcome.error, _Stopped):
            continue
        end = _finished(outcome)
        if end.state is State.FAILED:
            ledger.failed(end.job, end.reason)
        yield end


def _store(
    job: Job, computed: _Computed, batch: Batch, ledger: Ledger
) -> tuple[tuple[str, ...], Report]:
    """Write a result; the journal learns of it before it gets its name, and after."""
    report = computed.report
    picture = replace(
        computed.picture,
        format=job.image_format,
        metadata=batch.metadata.applied(computed.picture.metadata),
    )
    losses = representable(picture, job.image_format)
    made = Made(computed.origin, picture.width, picture.height, report.seconds)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    write_picture(picture, job.target, quality=batch.quality, whole=ledger.whole(job, made))
    ledger.done(job)
    return losses, report


def _size(job: Job, picture: Picture, batch: Batch) -> tuple[int, int]:
    """The (width, height) of a job's result."""
    width, height = batch.size.size(picture.width, picture.height)
    if width * height > batch.max_output_megapixels * 1e6:
        raise ImageTooLarge(
            f"{job.source}: its result, {width}x{height}, has {width * height / 1e6:.0f} "
            f"megapixels, limit {batch.max_output_megapixels:g}; raise --max-output-megapixels"
        )
    return width, height


def _serving(
    upscalers: Upscalers, source: Path, old: tuple[int, int], new: tuple[int, int]
) -> Upscaler:
    needed = max(-(-after // before) for before, after in zip(old, new, strict=True))
    try:
        return upscalers.serving(needed)
    except UnknownScale as error:
        raise ImageTooLarge(
            f"{source}: {old[0]}x{old[1]} to {new[0]}x{new[1]} is beyond what "
            f"{upscalers.model} makes at once ({error}); ask for a smaller size"
        ) from error


def _finished(outcome: Outcome[Job, tuple[tuple[str, ...], Report]]) -> Finished:
    if outcome.stored is not None:
        lost, report = outcome.stored
        return Finished(outcome.item, State.DONE, losses=lost, report=report)
    return Finished(outcome.item, State.FAILED, reason_of(outcome.item, outcome.error))
