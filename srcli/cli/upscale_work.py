"""The work of `srcli upscale`: load the network, run images and clips, estimate their time."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import chain

import torch

from srcli.cli.console import in_words
from srcli.cli.upscale_plan import RunContext, RunPlan
from srcli.errors import UnknownModel, UnknownScale
from srcli.inference.upscaler import Upscaler
from srcli.jobs.clip_forecast import forecast_clips
from srcli.jobs.clip_job import run_clips
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.clip_tasks import SegmentMaker
from srcli.jobs.job import BatchResult, Finished, Job
from srcli.jobs.journal import RunRecord
from srcli.jobs.run_batch import run_batch
from srcli.jobs.upscale_image import (
    BatchOptions,
    NetworkRequest,
    UpscalersByScale,
    load_network,
)
from srcli.weights import best_scale, fingerprint

__all__ = [
    "batch_options",
    "clip_estimate",
    "collect",
    "faster_model",
    "network_request",
    "run_jobs",
    "run_record",
    "scale_notes",
    "seconds_per_pixel",
]

_SMALL_NETWORK = "adaformer-s"
_PROBE = 96  # px to a side of the image that is timed
_MOST_CLIPS = 4  # that are looked into before the work; opening one takes half a second
_WORTH_A_LINE = 30.0  # s


def run_jobs(
    images: Sequence[Job],
    clips: Sequence[Job],
    context: RunContext,
    stopping: threading.Event,
    result: BatchResult,
    maker: SegmentMaker | None = None,
) -> None:
    """Run the batch, images first, then the clips; the journal records how it ended.

    Args:
        images: Jobs of still images.
        clips: Jobs of clips and animations.
        context: Objects that the run works with.
        stopping: Set once the run is to stop.
        result: The ends of the jobs are added to it.
        maker: Makes segments of clips elsewhere.
    """
    plan, reporter, run_journal = context.plan, context.reporter, context.run_journal
    upscalers = load_network(network_request(plan))
    for line in chain(scale_notes(plan), _compile_notes(plan, upscalers)):
        reporter.note(line)
    result.device = result.device or upscalers.device
    run_journal.begin(run_record(plan, upscalers.resolved), images)
    image_ends = run_batch(
        images,
        upscalers,
        batch_options(plan),
        decoder=context.decoder,
        run_journal=run_journal,
        stopping=stopping,
        observer=reporter,
    )
    clip_ends = _run_clips(clips, upscalers.first, context, stopping, maker)
    collect(chain(image_ends, clip_ends), context, stopping, result)


def collect(
    ends: Iterable[Finished], context: RunContext, stopping: threading.Event, result: BatchResult
) -> None:
    """Take the ends of jobs as they come; the journal records how the run ended.

    Args:
        ends: Of the jobs.
        context: Objects that the run works with.
        stopping: Set once the run is to stop.
        result: The ends are added to it.
    """
    plan, reporter = context.plan, context.reporter
    outcome = "died"
    try:
        for end in ends:
            result.finished.append(end)
            reporter.finished(end)
            if plan.options.run.verbose and end.report is not None and end.report.chosen:
                reporter.note(f"{end.job.source}: weights {end.report.chosen}")
        result.interrupted = stopping.is_set()
        outcome = "stopped" if result.interrupted else "finished"
    except KeyboardInterrupt:
        result.interrupted = True
        outcome = "stopped"
    finally:
        context.run_journal.end(outcome)
    if result.interrupted:
        reporter.note("interrupted; run the same command again to continue")


def batch_options(plan: RunPlan) -> BatchOptions:
    """Options that all images of a run share."""
    return BatchOptions(
        plan.target_size, plan.options.output.quality, plan.size_limits, plan.metadata
    )


def network_request(plan: RunPlan) -> NetworkRequest:
    """The network that a run's options ask for."""
    network = plan.options.network
    return NetworkRequest(
        network.model,
        plan.target_size.scale or plan.weights.scale,
        network.device,
        network.precision,
        network.effort_or_eps,
        network.tile,
        network.compiled,
    )


def scale_notes(plan: RunPlan) -> Iterator[str]:
    """Lines about a scale that is reduced."""
    weights, scale = plan.weights, plan.target_size.scale
    if scale is not None and weights.scale != scale:
        yield (
            f"{weights.label} has no x{scale:g} weights: upscaling "
            f"x{weights.scale} and reducing to x{scale:g}"
        )


def _compile_notes(plan: RunPlan, upscalers: UpscalersByScale) -> Iterator[str]:
    """Lines about --compile without effect."""
    network = upscalers.first.network
    if plan.options.network.compiled and not network.compilable:
        yield f"--compile has no effect on {network.spec.name}: it has no parts to compile"
    elif network.uncompiled:
        yield network.uncompiled


def run_record(plan: RunPlan, resolved: str) -> RunRecord:
    """Record of a run for the journal.

    Args:
        plan: Of the run.
        resolved: Device and number format that "auto" was resolved to.
    """
    return RunRecord(
        pid=os.getpid(),
        version=version("srcli"),
        model=plan.options.network.model,
        weights_sha256=fingerprint(plan.options.network.model, plan.weights),
        settings=plan.settings.text("any"),
        resolved=resolved,
    )


def _run_clips(
    jobs: Sequence[Job],
    upscaler: Upscaler,
    context: RunContext,
    stopping: threading.Event,
    maker: SegmentMaker | None,
) -> Iterator[Finished]:
    """Upscale the clips; a signal stops within one, and its finished segments are kept."""

    def on_frame(job: Job, done: int, total: int) -> None:
        context.reporter.frame(job, done, total)
        if stopping.is_set():
            raise KeyboardInterrupt

    clips = context.clips
    if jobs and not stopping.is_set():
        line = "" if maker else clip_estimate(jobs, clips.settings, upscaler)
        if line:
            context.reporter.note(line)
        yield from run_clips(
            jobs, upscaler, clips.settings, recorded=clips.recorded, on_frame=on_frame, maker=maker
        )


def clip_estimate(
    jobs: Sequence[Job],
    settings: ClipSettings,
    upscaler: Upscaler,
    pace: Callable[[Upscaler], float] | None = None,
) -> str:
    """One line with the time that clips will take by a small image's; "" if that is short.

    Args:
        jobs: The clips; of many, some tell how long all will take.
        settings: How they are read.
        upscaler: Does the work.
        pace: Seconds per LR px; None measures it.
    """
    sample = jobs[:: -(-len(jobs) // _MOST_CLIPS)] if jobs else jobs
    forecasts = [one for one in forecast_clips(sample, settings, upscaler.scale) if one.size]
    if not forecasts:
        return ""
    frames = sum(one.frames for one in forecasts)
    pixels = sum(one.pixels for one in forecasts) * len(jobs) / len(sample)
    seconds = pixels * (pace or seconds_per_pixel)(upscaler)
    if seconds < _WORTH_A_LINE:
        return ""
    name = upscaler.network.spec.name
    what = f"{len(jobs)} clips"
    if len(jobs) == 1:
        what = f"{jobs[0].source}: {frames} frames"
    quicker = faster_model(name, upscaler.scale)
    hint = f"; hint: -m {quicker} is quicker, with a little less detail" if quicker else ""
    return f"{what}, about {in_words(seconds)} with {name}{hint}"


def seconds_per_pixel(upscaler: Upscaler) -> float:
    """Time of the network per LR px, measured on an image of noise, where little is halted."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(_PROBE, _PROBE, 3, generator=generator).numpy()
    upscaler(image)
    return upscaler.upscale(image).report.seconds / _PROBE**2


def faster_model(model: str, scale: float) -> str:
    """The small network, if it is not the one at work and there are weights of it here."""
    if model == _SMALL_NETWORK:
        return ""
    try:
        return best_scale(_SMALL_NETWORK, scale).model
    except (UnknownModel, UnknownScale):
        return ""
