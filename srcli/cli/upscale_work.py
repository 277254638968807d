"""The work of `srcli upscale`, once it is settled what is to be done."""

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain

from srcli.cli.clip_estimate import clip_estimate
from srcli.cli.clip_run import Clips
from srcli.cli.progress import BatchProgress
from srcli.cli.upscale_options import Engine
from srcli.inference.upscaler import Upscaler
from srcli.jobs.clip_job import run_clips
from srcli.jobs.job import BatchResult, Finished, Job
from srcli.jobs.journal import RunRecord
from srcli.jobs.run_batch import run_batch
from srcli.jobs.run_journal import RunJournal
from srcli.jobs.settings import Settings
from srcli.jobs.size_limits import SizeLimits
from srcli.jobs.target_size import TargetSize
from srcli.jobs.upscale_image import Batch, Upscalers
from srcli.media import DecoderProcess, MetadataPolicy
from srcli.weights import WeightsEntry, fingerprint_of

__all__ = ["RunContext", "load", "record", "say_compiled", "work"]


@dataclass(frozen=True)
class RunContext:
    """Objects that a run works with."""

    target_size: TargetSize
    quality: int
    limits: SizeLimits
    policy: MetadataPolicy
    decoder: DecoderProcess
    run_journal: RunJournal
    stopping: threading.Event
    progress: BatchProgress
    verbose: bool


def load(engine: Engine, target_size: TargetSize, weights: WeightsEntry) -> Upscalers:
    """Load the network."""

    def make(scale: float) -> Upscaler:
        return Upscaler(
            engine.model,
            scale,
            engine.device,
            engine.precision,
            effort=engine.asked_effort,
            tile=engine.tile,
            compiled=engine.compiled,
        )

    return Upscalers(engine.model, make, target_size.scale or weights.scale)


def say_compiled(progress: BatchProgress, engine: Engine, upscalers: Upscalers) -> None:
    """Say why nothing is compiled, if so."""
    network = upscalers.first.network
    if engine.compiled and not network.compilable:
        progress.note(f"--compile has no effect on {network.spec.name}: it has no parts to compile")
    elif network.uncompiled:
        progress.note(network.uncompiled)


def record(
    settings: Settings, engine: Engine, weights: WeightsEntry, upscalers: Upscalers
) -> RunRecord:
    """Record of a run for the journal."""
    first = upscalers.first
    return RunRecord(
        pid=os.getpid(),
        version=version("srcli"),
        model=engine.model,
        weights_sha256=fingerprint_of(weights),
        settings=settings.text("any"),
        resolved=f"{first.device}, {str(first.network.dtype).removeprefix('torch.')}",
    )


def work(
    todo: Sequence[Job],
    moving: Sequence[Job],
    clips: Clips,
    upscalers: Upscalers,
    context: RunContext,
) -> BatchResult:
    """Run the batch, images first, then the clips; however it ends, the journal says so."""
    batch = Batch(context.target_size, context.quality, context.limits, context.policy)
    came = BatchResult()
    outcome = "died"
    try:
        images = run_batch(
            todo,
            upscalers,
            batch,
            decoder=context.decoder,
            run_journal=context.run_journal,
            stopping=context.stopping,
            observer=context.progress,
        )
        first = upscalers.first
        ends = _run_clips(moving, clips, first, context)
        for end in chain(images, ends):
            came.finished.append(end)
            context.progress.finished(end)
            if context.verbose and end.report is not None and end.report.chosen:
                context.progress.note(f"{end.job.source}: weights {end.report.chosen}")
        came.interrupted = context.stopping.is_set()
        outcome = "stopped" if came.interrupted else "finished"
    except KeyboardInterrupt:
        came.interrupted = True
        outcome = "stopped"
    finally:
        context.run_journal.end(outcome)
    if came.interrupted:
        context.progress.note("interrupted; run the same command again to continue")
    return came


def _run_clips(
    todo: Sequence[Job],
    clips: Clips,
    upscaler: Upscaler,
    context: RunContext,
) -> Iterator[Finished]:
    """Upscale the clips; a signal stops within one: what it has come to is kept."""

    def on_frame(job: Job, done: int, total: int) -> None:
        context.progress.frame(job, done, total)
        if context.stopping.is_set():
            raise KeyboardInterrupt

    if todo and not context.stopping.is_set():
        line = clip_estimate(todo, clips.settings, upscaler)
        if line:
            context.progress.note(line)
        yield from run_clips(
            todo, upscaler, clips.settings, recorded=clips.recorded, on_frame=on_frame
        )
