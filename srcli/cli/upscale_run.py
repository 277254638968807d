"""Run `srcli upscale`, from the names on the command line to the summary."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from srcli.cli.clip_plan import clips_of
from srcli.cli.compare_run import Comparison
from srcli.cli.console import echo_line
from srcli.cli.existing_outputs import split_by_existing_output
from srcli.cli.fetching import fetch_before_use, known_model
from srcli.cli.progress import reporter_for
from srcli.cli.reporter import RunSummary
from srcli.cli.run_options import LimitOptions, NetworkOptions
from srcli.cli.signals import graceful_shutdown
from srcli.cli.summary import better_weights_line, exit_code
from srcli.cli.upscale_options import UpscaleOptions
from srcli.cli.upscale_plan import RunContext, plan_inputs, plan_run, weights_for_size
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
from srcli.jobs.target_size import TargetSize
from srcli.media import DecodeLimits, DecoderPool
from srcli.storage import abandon_transfers, begin_transfers
from srcli.transfer.policy import Policy as DownloadPolicy
from srcli.weights import WeightsEntry, default_scale, fingerprint, photo_model

__all__ = ["run_upscale"]


def run_upscale(options: UpscaleOptions) -> ExitCode:
    """Plan the inputs, upscale what is left to do, report, and return the exit code."""
    run = options.run
    options, target_size, weights = _resolve(options)
    ignored = Ignored(echo_line if run.verbose else lambda line: None)
    planned = plan_inputs(options, target_size, ignored)
    if not fingerprint(options.network.model, weights) and not run.dry_run:  # no hash is published
        _download(options.network, weights)
    plan = plan_run(options, target_size, weights)
    images, moving = _split([job for job in planned if not job.settled])
    clips = clips_of(
        moving,
        options.clips,
        target_size,
        options.network,
        plan.metadata,
        plan.settings.weights,
        only_clips=len(moving) == len(planned),
    )
    settled = [*_settled(planned), *clips.refused]
    started = time.monotonic()
    comparison = Comparison(planned, target_size.label, options)
    with (
        DecoderPool(_decode_limits(options.limits)) as decoder,
        RunJournal(
            images,
            plan.settings,
            wait=run.wait,
            tell=echo_line,
            times=plan.metadata.times,
            named=run.journal,
        ) as run_journal,
    ):
        verdicts = [*run_journal.verdicts, *clips.verdicts]
        jobs, skipped = split_by_existing_output(verdicts, run)
        skipped += [end for end in settled if end.state is State.SKIPPED]
        failed = [end for end in settled if end.state is State.FAILED]
        image_jobs, clip_jobs = _split(jobs)
        if run.dry_run:
            from srcli.cli.dry_run import forecast_all, show_plan

            comparison.announce()
            forecasts = [
                *forecast_all(image_jobs, plan, decoder),
                *forecast_clips(clip_jobs, clips.settings, target_size.scale or 1),
                *(Forecast(end.job, None, None, 0, end.reason) for end in failed),
            ]
            return show_plan(forecasts, skipped, ignored, options)
        if plan.metadata.times and not run.overwrite:
            run_journal.keep_times(verdicts)
        result = BatchResult([*skipped, *failed])
        require_writable(jobs)
        if jobs:
            _download(options.network, weights)
        reporter = reporter_for(
            len(jobs) + len(failed), quiet=run.quiet, json=run.json, verbose=run.verbose
        )
        with reporter:
            reporter.planned(jobs, skipped)
            for end in failed:
                reporter.finished(end)
            if jobs:
                context = RunContext(plan, clips, decoder, run_journal, reporter)
                _run(image_jobs, clip_jobs, context, result)
        page = comparison.write(result, decoder)
    summary = RunSummary(
        result.finished,
        ignored,
        exit_code(result.finished, interrupted=result.interrupted) or page.code,
        seconds=time.monotonic() - started,
        device=result.device,
        compared=page.text,
        better_weights=lambda: better_weights_line(
            options.network, weights, [end.report for end in result.finished if end.report]
        ),
    )
    reporter.summary(summary)
    return summary.code


def _resolve(options: UpscaleOptions) -> tuple[UpscaleOptions, TargetSize, WeightsEntry]:
    """The options with a name that weights are known by, the results' size, and the weights."""
    model = known_model(options.network.model, _policy(options.network))
    target_size = options.output.size(default_scale(model))
    network = replace(options.network, model=model)
    return replace(options, network=network), target_size, weights_for_size(model, target_size)


def _split(jobs: Sequence[Job]) -> tuple[list[Job], list[Job]]:
    """Jobs of still images, and those of clips and animations."""
    images = [job for job in jobs if not is_moving(job)]
    return images, [job for job in jobs if is_moving(job)]


def _run(
    images: Sequence[Job], clips: Sequence[Job], context: RunContext, result: BatchResult
) -> None:
    """Do the work; the first signal stops it after the current file, the second at once."""

    def hurry() -> None:
        context.decoder.abandon()
        abandon_transfers()

    begin_transfers()
    with graceful_shutdown(hurry) as stopping:
        if context.plan.options.run.disk_check:
            _check_disk(images, context, stopping)
        from srcli.cli.upscale_work import run_jobs

        if context.plan.options.cluster.address:
            from srcli.cli.cluster_work import run_jobs_on_cluster

            run_jobs_on_cluster(images, clips, context, stopping, result)
        else:
            run_jobs(images, clips, context, stopping, result)


def _settled(planned: Sequence[Job]) -> list[Finished]:
    """The ends of those jobs that are settled before any work."""
    return [Finished(job, job.settled.state, job.settled.reason) for job in planned if job.settled]


def _download(network: NetworkOptions, weights: WeightsEntry) -> None:
    """Download the weights if they are missing, after a question on a terminal."""
    models = filter(None, (network.model, photo_model(network.model, weights.scale)))
    wanted = [(model, weights.scale) for model in models]
    fetch_before_use(wanted, _policy(network), yes=network.yes)


def _policy(network: NetworkOptions) -> DownloadPolicy:
    return DownloadPolicy.of_environment(offline=network.offline, trust_first=network.trust_first)


def _decode_limits(limits: LimitOptions) -> DecodeLimits:
    return DecodeLimits(
        limits.max_megapixels, limits.max_file_size, limits.max_memory, limits.max_seconds
    )


def _check_disk(jobs: Sequence[Job], context: RunContext, stopping: threading.Event) -> None:
    """Check that the results will fit on their disks.

    Raises:
        NoRoom: They hardly will.
    """
    plan = context.plan
    sample, factor = sample_of(jobs)
    forecasts = forecast(
        sample, plan.target_size, context.decoder, plan.size_limits, stopping.is_set
    )
    for line in require_room(forecasts, factor):
        context.reporter.note(line)
