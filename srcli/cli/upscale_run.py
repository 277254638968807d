"""Run `srcli upscale`, from the names on the command line to the summary."""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from srcli.cli.better_weights import better_weights_line
from srcli.cli.clip_options import ClipOptions
from srcli.cli.clip_run import Clips, clips_of
from srcli.cli.compare_options import CompareOptions
from srcli.cli.compare_run import Comparison
from srcli.cli.console import echo_line
from srcli.cli.events import EventProgress, emit_plan, emit_summary
from srcli.cli.existing_outputs import choose
from srcli.cli.fetching import fetch_before_use
from srcli.cli.limit_options import Limits
from srcli.cli.progress import BatchProgress, progress_for
from srcli.cli.signals import graceful_shutdown
from srcli.cli.summary import exit_code, print_summary
from srcli.cli.upscale_inputs import jobs_of
from srcli.cli.upscale_options import Engine, Handling, Result, Selection
from srcli.errors import ExitCode
from srcli.jobs.clip_forecast import forecast_clips
from srcli.jobs.ignored import Ignored
from srcli.jobs.job import BatchResult, Finished, Job, State, is_moving
from srcli.jobs.preflight import (
    Forecast,
    forecast,
    require_room,
    require_writable,
    sample_of,
)
from srcli.jobs.run_journal import RunJournal
from srcli.jobs.settings import Settings
from srcli.jobs.size_limits import SizeLimits
from srcli.jobs.target_size import TargetSize
from srcli.media import DecodeLimits, DecoderProcess, MetadataPolicy
from srcli.transfer.policy import Policy as DownloadPolicy
from srcli.weights import (
    WeightsEntry,
    best_scale,
    fingerprint_of,
    fingerprint_of_model,
    largest_scale,
)

__all__ = ["run"]

_SKIPS_SHOWN = 3  # without -v; the summary has the reasons of all


def run(
    selection: Selection,
    result: Result,
    engine: Engine,
    handling: Handling,
    limits: Limits,
    clip_options: ClipOptions,
    comparing: CompareOptions,
) -> ExitCode:
    """See `upscale`."""
    target_size = result.size()
    weights = _weights(engine.model, target_size)
    policy = MetadataPolicy(result.strip_metadata, not result.no_gps, result.keep_times)
    ignored = Ignored(echo_line if handling.verbose else lambda line: None)
    planned = jobs_of(
        selection, result, engine, target_size, clip_options.frames_dir, handling, ignored
    )
    _require_fingerprint(engine, weights, handling)
    settings = _settings(result, engine, target_size, weights, policy)
    jobs = [job for job in planned if not job.settled and not is_moving(job)]
    moving = [job for job in planned if not job.settled and is_moving(job)]
    size_limits = SizeLimits(
        weights.model, largest_scale(engine.model).scale, limits.max_output_megapixels
    )
    clips = clips_of(
        *(moving, clip_options, target_size, engine, policy, settings.weights),
        alone=len(moving) == len(planned),
    )
    settled = [*_ends(planned), *clips.refused]
    started = time.monotonic()
    comparison = Comparison(planned, target_size.label, engine, handling, comparing)
    with (
        DecoderProcess(_decoding(limits)) as decoder,
        RunJournal(
            jobs, settings, wait=handling.wait, tell=echo_line, times=policy.times
        ) as run_journal,
    ):
        everything, skipped = choose([*run_journal.verdicts, *clips.verdicts], handling)
        skipped += [end for end in settled if end.state is State.SKIPPED]
        failed = [end for end in settled if end.state is State.FAILED]
        todo = [job for job in everything if not is_moving(job)]
        clips_todo = [job for job in everything if is_moving(job)]
        if handling.dry_run:
            from srcli.cli.dry_run import forecast_all, show_plan

            comparison.announce()
            return show_plan(
                [
                    *forecast_all(todo, target_size, decoder, size_limits, handling),
                    *forecast_clips(clips_todo, clips.settings, target_size.scale or 1),
                    *(Forecast(end.job, None, None, 0, end.reason) for end in failed),
                ],
                *(skipped, ignored, engine, handling),
            )
        if policy.times and not handling.overwrite:
            run_journal.keep_times([*run_journal.verdicts, *clips.verdicts])
        finished, interrupted = [*skipped, *failed], False
        require_writable(everything)
        if everything:
            _fetch(engine, weights)
        with _progress(len(everything) + len(failed), handling) as progress:
            _announce(everything, skipped, handling, progress)
            for end in failed:
                progress.finished(end)
            if everything:
                came = _upscale(
                    _Work(todo, clips_todo, clips, target_size, weights, settings, size_limits),
                    *(result, engine, handling, policy, decoder, run_journal, progress),
                )
                finished.extend(came.finished)
                interrupted = came.interrupted
        page = comparison.write(
            finished, decoder, limits.max_output_megapixels, interrupted=interrupted
        )
    code = exit_code(finished, interrupted=interrupted) or page.code
    seconds = time.monotonic() - started
    return _summarise(finished, ignored, handling, code, seconds, engine, weights, page.text)


@dataclass(frozen=True)
class _Work:
    """Jobs to do, and the settings that they are recorded with."""

    images: Sequence[Job]
    moving: Sequence[Job]
    clips: Clips
    target_size: TargetSize
    weights: WeightsEntry
    settings: Settings
    size_limits: SizeLimits


def _upscale(
    asked: _Work,
    result: Result,
    engine: Engine,
    handling: Handling,
    policy: MetadataPolicy,
    decoder: DecoderProcess,
    run_journal: RunJournal,
    progress: BatchProgress,
) -> BatchResult:
    """Load the network and do the work."""
    size, weights, limits = asked.target_size, asked.weights, asked.size_limits
    with graceful_shutdown(decoder.abandon) as stopping:
        _show_forecast(asked.images, size, decoder, limits, handling, progress, stopping)
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # to PyTorch: fewer faults
        from srcli.cli.upscale_work import RunContext, load, record, say_compiled, work

        upscalers = load(engine, size, weights)
        _say_reduced(progress, size, weights)
        say_compiled(progress, engine, upscalers)
        context = RunContext(
            *(size, result.quality, limits, policy, decoder, run_journal, stopping, progress),
            verbose=handling.verbose,
        )
        run_journal.begin(record(asked.settings, engine, weights, upscalers), asked.images)
        return work(asked.images, asked.moving, asked.clips, upscalers, context)


def _ends(planned: Sequence[Job]) -> list[Finished]:
    """The ends of those jobs that are settled before any work."""
    return [Finished(job, job.settled.state, job.settled.reason) for job in planned if job.settled]


def _fetch(engine: Engine, weights: WeightsEntry) -> None:
    """Download the weights, if they are missing and that is wanted."""
    downloads = DownloadPolicy.of_environment(
        offline=engine.offline, trust_first=engine.trust_first
    )
    fetch_before_use([(engine.model, weights.scale)], downloads, yes=engine.yes)


def _require_fingerprint(engine: Engine, weights: WeightsEntry, handling: Handling) -> None:
    """Download first those weights whose hash only a download tells: journals know them by it."""
    if not fingerprint_of(weights) and not handling.dry_run:
        _fetch(engine, weights)


def _announce(
    todo: Sequence[Job], skipped: Sequence[Finished], handling: Handling, progress: BatchProgress
) -> None:
    """Say what will be done and what is skipped; many skips are summed up at the end."""
    if handling.json:
        emit_plan(todo, skipped)
    if handling.verbose or len(skipped) <= _SKIPS_SHOWN:
        for end in skipped:
            progress.note(f"{end.job.source}: skipped, {end.reason}")


def _decoding(limits: Limits) -> DecodeLimits:
    return DecodeLimits(
        limits.max_megapixels, limits.max_file_size, limits.max_memory, limits.max_seconds
    )


def _summarise(
    finished: Sequence[Finished],
    ignored: Ignored,
    handling: Handling,
    code: ExitCode,
    seconds: float,
    engine: Engine,
    weights: WeightsEntry,
    compared: str,
) -> ExitCode:
    """Say what a run came to."""
    if handling.json:
        emit_summary(finished, ignored.counts(), seconds=seconds, exit_code=code)
    elif not handling.quiet:
        better = better_weights_line(engine, weights)
        print_summary(
            finished,
            seconds=seconds,
            ignored=ignored.lines(),
            better=better,
            compared=compared,
            verbose=handling.verbose,
        )
    return code


def _weights(model: str, target_size: TargetSize) -> WeightsEntry:
    """The weights for a scale, or the largest there are for a size.

    Raises:
        UnknownModel: There are none for the model.
        UnknownScale: There are none for the scale.
    """
    if target_size.scale is not None:
        return best_scale(model, target_size.scale)
    return largest_scale(model)


def _settings(
    result: Result,
    engine: Engine,
    target_size: TargetSize,
    weights: WeightsEntry,
    policy: MetadataPolicy,
) -> Settings:
    return Settings(
        model=engine.model,
        weights=fingerprint_of_model(engine.model, weights),
        size=target_size.label,
        effort=engine.effort_label,
        precision=engine.precision,
        device=engine.device,
        tile="auto" if engine.tile is None else str(engine.tile),
        quality=result.quality,
        metadata=policy.label,
    )


def _show_forecast(
    todo: Sequence[Job],
    target_size: TargetSize,
    decoder: DecoderProcess,
    limits: SizeLimits,
    handling: Handling,
    progress: BatchProgress,
    stopping: threading.Event,
) -> None:
    """Check, if that is wanted, that the results will fit on their disks."""
    if handling.disk_check:
        sample, times = sample_of(todo)
        forecasts = forecast(sample, target_size, decoder, limits, stopping.is_set)
        for line in require_room(forecasts, times):
            progress.note(line)


def _say_reduced(progress: BatchProgress, target_size: TargetSize, weights: WeightsEntry) -> None:
    if target_size.scale is not None and weights.scale != target_size.scale:
        progress.note(
            f"{weights.model} has no x{target_size.scale:g} weights: upscaling "
            f"x{weights.scale} and reducing to x{target_size.scale:g}"
        )


def _progress(files: int, handling: Handling) -> BatchProgress:
    shown = progress_for(files, quiet=handling.quiet)
    return EventProgress(shown) if handling.json else shown
