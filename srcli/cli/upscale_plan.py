"""Plan a run of `srcli upscale`: its settings, its inputs, and the output of each."""

from dataclasses import dataclass
from pathlib import Path

import click

from srcli.cli.clip_plan import Clips
from srcli.cli.console import ProgressCounter, echo_line
from srcli.cli.reporter import BatchReporter
from srcli.cli.upscale_options import UpscaleOptions
from srcli.cli.url_options import require_fitting_options
from srcli.errors import NothingToDo, UsageError
from srcli.jobs.conflicts import ExistingResults
from srcli.jobs.discover import Filter, discover
from srcli.jobs.file_list import read_file_list
from srcli.jobs.ignored import Ignored
from srcli.jobs.job import Job
from srcli.jobs.naming import NamePattern
from srcli.jobs.plan import frames_job, plan_jobs
from srcli.jobs.run_journal import RunJournal
from srcli.jobs.settings import Settings
from srcli.jobs.size_limits import SizeLimits
from srcli.jobs.target_size import TargetSize
from srcli.media import DecoderPool, MetadataPolicy
from srcli.url_paths import path_of
from srcli.weights import WeightsEntry, best_scale, fingerprint, largest_scale

__all__ = ["RunContext", "RunPlan", "plan_inputs", "plan_run", "weights_for_size"]


@dataclass(frozen=True)
class RunPlan:
    """Options of a run, and the settings that follow from them.

    Args:
        options: All options.
        target_size: Size of the results.
        weights: Weights of the largest network that the run needs.
        metadata: Metadata that results keep.
        settings: Settings that the journal compares.
        size_limits: Limits for the size of a result.
    """

    options: UpscaleOptions
    target_size: TargetSize
    weights: WeightsEntry
    metadata: MetadataPolicy
    settings: Settings
    size_limits: SizeLimits


@dataclass(frozen=True)
class RunContext:
    """Objects that a run works with.

    Args:
        plan: Options and settings.
        clips: Settings of clips.
        decoder: Reads images.
        run_journal: Records what is done.
        reporter: Shows progress and messages.
    """

    plan: RunPlan
    clips: Clips
    decoder: DecoderPool
    run_journal: RunJournal
    reporter: BatchReporter


def plan_run(options: UpscaleOptions, target_size: TargetSize, weights: WeightsEntry) -> RunPlan:
    """Derive a run's settings from its options."""
    network, output = options.network, options.output
    metadata = MetadataPolicy(output.strip_metadata, not output.no_gps, output.keep_times)
    settings = Settings(
        model=network.model,
        weights=fingerprint(network.model, weights),
        size=target_size.label,
        effort=network.effort_label,
        precision=network.precision,
        device=network.device,
        tile="auto" if network.tile is None else str(network.tile),
        quality=output.quality,
        metadata=metadata.label,
    )
    limits = SizeLimits(
        weights.label, largest_scale(network.model).scale, options.limits.max_output_megapixels
    )
    return RunPlan(options, target_size, weights, metadata, settings, limits)


def weights_for_size(model: str, target_size: TargetSize) -> WeightsEntry:
    """Choose the weights for a scale, or the largest there are for a size in px.

    Raises:
        UnknownModel: There are none for the model.
        UnknownScale: There are none for the scale.
    """
    if target_size.scale is not None:
        return best_scale(model, target_size.scale)
    return largest_scale(model)


def _list_name(path: Path | None) -> str:
    return "on stdin" if str(path) == "-" else str(path)


def plan_inputs(options: UpscaleOptions, target_size: TargetSize, ignored: Ignored) -> list[Job]:
    """List the jobs: inputs and the outputs they become.

    Args:
        options: Inputs, names and format of the results.
        target_size: Size of the results, for names.
        ignored: Collects files that are passed over.

    Raises:
        NothingToDo: There are no images.
        UsageError: See `discover` and `plan_jobs`.
    """
    selection, frames = options.inputs, options.clips.frames_dir
    inputs, listed = [path_of(name) for name in selection.inputs], list[Path]()
    if selection.files_from is not None:
        try:
            with click.open_file(str(selection.files_from), "rb") as stream:
                listed = read_file_list(stream.read())
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"{selection.files_from}: {reason}; hint: check the name") from error
    elif not inputs:
        raise click.MissingParameter(param_hint="'INPUT...'", param_type="argument")
    if frames is not None and selection.output is not None:
        raise UsageError(
            f"--frames-dir {frames} and -o {selection.output} exclude each other: a clip becomes "
            "frames or a clip. hint: leave one out, or run twice"
        )
    require_fitting_options(options, [*inputs, *listed, *filter(None, [selection.output])])
    name_filter = Filter(selection.include, selection.exclude)
    counter = ProgressCounter(quiet=options.run.quiet)
    sources = discover(
        inputs,
        listed=listed,
        exclude=selection.output,
        only=name_filter,
        clips=True,
        follow_links=selection.follow_links,
        ignored=ignored,
        count=counter.count,
    )
    counter.clear()
    if not inputs and not listed:
        raise NothingToDo(
            f"the list {_list_name(selection.files_from)} is empty; hint: one name a line"
        )
    if not sources:
        where = ", ".join(map(str, inputs[:5])) or str(selection.files_from)
        passed = "".join(f"; ignored {line}" for line in ignored.lines())
        raise NothingToDo(
            f"no images in {where} (srcli reads PNG, JPEG, WebP, TIFF, BMP, AVIF, HEIC, "
            f"JPEG XL and clips, and passes over folders of masks){passed}"
        )
    if frames is not None:
        return [frames_job(sources, frames)]
    pattern = selection.name and NamePattern(
        selection.name,
        target_size.scale,
        target_size.label,
        options.network.model,
        options.network.effort_label,
    )
    jobs = plan_jobs(
        sources,
        selection.output,
        label=target_size.label,
        image_format=options.output.format,
        pattern=pattern or None,
        existing=ExistingResults(options.run.overwrite, options.run.journal),
        tell=(lambda line: None) if options.run.quiet else echo_line,
        count=counter.count,
    )
    counter.clear()
    return jobs
