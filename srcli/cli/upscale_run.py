"""Run `srcli upscale`, from the names on the command line to the summary."""

import os
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from srcli.cli.better_weights import better_weights_line
from srcli.cli.clip_options import ClipOptions
from srcli.cli.clip_run import clips_of
from srcli.cli.compare_run import Comparison, Written
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
from srcli.jobs.job import Finished, Job
from srcli.jobs.plan import is_moving
from srcli.jobs.preflight import (
    SizeLimits,
    forecast,
    require_room,
    require_writable,
    sample_of,
)
from srcli.jobs.run_journal import RunJournal
from srcli.jobs.settings import Settings
from srcli.jobs.target_size import TargetSize
from srcli.media import DecodeLimits, DecoderProcess, MetadataPolicy
from srcli.transfer.policy import Policy as DownloadPolicy
from srcli.weights import WeightsEntry, best_scale, fingerprint_of, largest_scale

if TYPE_CHECKING:
    from srcli.jobs.upscale_image import Upscalers

__all__ = ["run"]

_SKIPS_SHOWN = 3  # without -v; the summary has the reasons of all


def run(
    selection: Selection,
    result: Result,
    engine: Engine,
    handling: Handling,
    limits: Limits,
    clip_options: ClipOptions,
) -> ExitCode:
    """See `upscale`."""
    target_size = result.size()
    weights = _weights(engine.model, target_size)
    policy = MetadataPolicy(strip=result.strip_metadata, gps=not result.no_gps)
    planned = jobs_of(selection, result, engine, target_size, clip_options.frames_dir, handling)
    _require_fingerprint(engine, weights, handling)
    settings = _settings(result, engine, target_size, weights, policy)
    jobs = [job for job in planned if not is_moving(job)]
    moving = [job for job in planned if is_moving(job)]
    size_limits = SizeLimits(
        weights.model, largest_scale(engine.model).scale, limits.max_output_megapixels
    )
    clips = clips_of(moving, clip_options, target_size, engine, policy, settings.weights)
    started = time.monotonic()
    comparison, page = Comparison(planned, target_size.label, engine, handling), Written()
    with (
        DecoderProcess(_decoding(limits)) as decoder,
        RunJournal(jobs, settings, wait=handling.wait, tell=echo_line) as run_journal,
    ):
        everything, skipped = choose([*run_journal.verdicts, *clips.verdicts], handling)
        todo = [job for job in everything if not is_moving(job)]
        clips_todo = [job for job in everything if is_moving(job)]
        if handling.dry_run:
            from srcli.cli.dry_run import foretell

            comparison.announce()
            foretell(
                *(todo, clips_todo, skipped),
                *(target_size, decoder, size_limits, clips, engine, handling),
            )
            return ExitCode.ALL_DONE
        finished, interrupted = list(skipped), False
        require_writable(everything)
        if everything:
            _fetch(engine, weights)
        with _progress(len(everything), handling) as progress:
            _announce(everything, skipped, handling, progress)
            if everything:
                with graceful_shutdown(decoder.abandon) as stopping:
                    _show_forecast(
                        todo, target_size, decoder, size_limits, handling, progress, stopping
                    )
                    upscalers = _load(engine, target_size, weights, progress)
                    from srcli.cli.upscale_work import RunContext, record, work

                    context = RunContext(
                        target_size,
                        result.quality,
                        size_limits,
                        policy,
                        decoder,
                        run_journal,
                        stopping,
                        progress,
                    )
                    run_journal.begin(record(settings, engine, weights, upscalers), todo)
                    came = work(todo, clips_todo, clips, upscalers, context)
                    finished.extend(came.finished)
                    interrupted = came.interrupted
        if comparison.wanted and not interrupted:
            page = comparison.write(finished, decoder, limits.max_output_megapixels)
    code = exit_code(finished, interrupted=interrupted) or page.code
    return _summarise(finished, handling, code, started, engine, weights, page.text)


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
    handling: Handling,
    code: ExitCode,
    started: float,
    engine: Engine,
    weights: WeightsEntry,
    compared: str,
) -> ExitCode:
    """Say what a run came to that began at a time of `time.monotonic`."""
    seconds = time.monotonic() - started
    if handling.json:
        emit_summary(finished, seconds=seconds, exit_code=code)
    elif not handling.quiet:
        better = better_weights_line(engine, weights)
        print_summary(
            finished,
            seconds=seconds,
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
        weights=fingerprint_of(weights),
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
    """Refuse to begin what cannot end well."""
    if handling.disk_check:
        sample, times = sample_of(todo)
        forecasts = forecast(sample, target_size, decoder, limits, stopping.is_set)
        for line in require_room(forecasts, times):
            progress.note(line)


def _load(
    engine: Engine, target_size: TargetSize, weights: WeightsEntry, progress: BatchProgress
) -> "Upscalers":
    """Load the network, and say how it will be used where that is not what was asked for."""
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # to PyTorch: fewer page faults
    from srcli.cli.upscale_work import load, say_compiled

    upscalers = load(engine, target_size, weights)
    if target_size.scale is not None and weights.scale != target_size.scale:
        progress.note(
            f"{weights.model} has no x{target_size.scale:g} weights: upscaling "
            f"x{weights.scale} and reducing to x{target_size.scale:g}"
        )
    say_compiled(progress, engine, upscalers)
    return upscalers


def _progress(files: int, handling: Handling) -> BatchProgress:
    shown = progress_for(files, quiet=handling.quiet)
    return EventProgress(shown) if handling.json else shown
