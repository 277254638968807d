"""Settings of the clips of `srcli upscale`, and the state of their outputs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from srcli.cli.run_options import NetworkOptions
from srcli.cli.upscale_options import ClipOptions
from srcli.defaults import TEMPORAL
from srcli.errors import UsageError
from srcli.jobs.clip_source import ClipSettings, rate_for
from srcli.jobs.job import CLIP, FRAMES, Finished, Job, State
from srcli.jobs.result_records import read_record
from srcli.jobs.resume import OutputState, Verdict, classify_output
from srcli.jobs.target_size import TargetSize
from srcli.media import MetadataPolicy
from srcli.media.video import DecodeOptions, EncoderOptions, check_encoder_options, codec_for
from srcli.media.video.names import is_sequence

__all__ = ["Clips", "clips_of"]


@dataclass(frozen=True)
class Clips:
    """The clips of a run. They keep no journal: each result has a record of its own.

    Args:
        verdicts: State of every clip's output, in the order of the jobs.
        refused: Clips that cannot have the size asked for, while other inputs can.
        settings: Options for reading and writing.
        recorded: Text of all settings, for the records of results.
    """

    verdicts: Sequence[Verdict]
    refused: Sequence[Finished]
    settings: ClipSettings
    recorded: str


def clips_of(
    jobs: Sequence[Job],
    options: ClipOptions,
    target_size: TargetSize,
    model: NetworkOptions,
    policy: MetadataPolicy,
    weights: str,
    *,
    only_clips: bool = True,
) -> Clips:
    """Resolve the settings of a run's clips, and classify outputs that exist.

    Args:
        jobs: The clips among the jobs.
        options: Of clips.
        target_size: Of the results.
        model: Options of the computation.
        policy: Which tags are kept.
        weights: sha256 of the weights.
        only_clips: The run has no other inputs.

    Raises:
        UsageError: Options contradict each other or one of the clips; or all inputs are clips, and
            a size is asked for that only images can have.
    """
    refused = [_refuse_size(job) for job in jobs if target_size.scale is None]
    if refused and only_clips:
        raise UsageError(refused[0].reason)
    kept: Sequence[Job] = () if refused else jobs
    settings = replace(_settings(options), policy=policy)
    for job in kept:
        if is_sequence(job.source):
            rate_for(job.source, options.fps)
    _check_encoders(settings.wanted, [job.target for job in kept if job.image_format == CLIP])
    key = {
        "model": model.model,
        "effort": model.effort_label,
        "tile": str(model.tile),
        "device": model.device,
        "precision": model.precision,
    }
    if settings.temporal != TEMPORAL:  # keys of earlier versions have none
        key["temporal"] = settings.temporal
    recorded = _recorded(key, options, target_size, policy, weights)
    verdicts = [_verdict(job, recorded) for job in kept]
    return Clips(verdicts, refused, replace(settings, key=key), recorded)


def _verdict(job: Job, recorded: str) -> Verdict:
    """State of a clip's output; a folder of frames has a record of its own."""
    if job.image_format == FRAMES:
        return Verdict(job, OutputState.MISSING, "")
    return classify_output(job, read_record(job.target), recorded)


def _recorded(
    key: Mapping[str, str],
    options: ClipOptions,
    target_size: TargetSize,
    policy: MetadataPolicy,
    weights: str,
) -> str:
    """Every setting that changes a clip, as one text that can be compared."""
    chosen = {
        name: None if value is None else str(value)
        for field in fields(options)
        if (name := field.name) not in {"frames_dir", "temporal"}
        for value in [getattr(options, name)]
    }
    others = {"size": target_size.label, "metadata": policy.label, "weights": weights}
    return json.dumps({**key, **chosen, **others}, sort_keys=True)


def _settings(options: ClipOptions) -> ClipSettings:
    """Convert the options to those of `jobs`."""
    if options.tonemap and options.force_sdr:
        raise UsageError("--tonemap and --force-sdr exclude each other; hint: choose one")
    if options.duration == 0:
        raise UsageError("--duration must be above 0 seconds, got 0")
    hdr = "tonemap" if options.tonemap else "sdr" if options.force_sdr else "refuse"
    reading = DecodeOptions(options.start, options.duration, options.deinterlace, hdr)
    encoder = EncoderOptions(options.codec, options.crf, options.preset, options.pix_fmt)
    return ClipSettings(
        reading, encoder, rate=options.fps, isolated=True, temporal=options.temporal
    )


def _refuse_size(job: Job) -> Finished:
    """The end of a clip for which a size is asked that only images can have."""
    return Finished(
        job,
        State.FAILED,
        f"{job.source} is a clip, and --width, --height, --fit and --megapixels are for images; "
        "hint: use --scale for it",
    )


def _check_encoders(options: EncoderOptions, targets: Sequence[Path]) -> None:
    """Check before any work that every clip can be encoded with these options."""
    if not targets and options.codec:  # named: it must be there even if no clip is
        targets = [Path("clip.mp4")]
    first_targets = {codec_for(options, target): target for target in reversed(targets)}
    for target in first_targets.values():
        try:
            check_encoder_options(options, target)
        except UsageError as error:
            if len(first_targets) == 1:
                raise
            raise UsageError(f"{target}: {error}; or do these clips by themselves") from error
