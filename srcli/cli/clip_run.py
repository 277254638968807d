"""The clips of `srcli upscale`: which there are, and how they shall be done."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from srcli.cli.clip_options import ClipOptions
from srcli.cli.upscale_options import Engine
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
    engine: Engine,
    policy: MetadataPolicy,
    weights: str,
    *,
    alone: bool = True,
) -> Clips:
    """Settle how a run's clips are made, and look for results that exist.

    Args:
        jobs: The clips among the jobs.
        options: Of clips.
        target_size: Of the results.
        engine: Options of the computation.
        policy: Which tags are kept.
        weights: sha256 of the weights.
        alone: The run has no other inputs.

    Raises:
        UsageError: Options contradict each other or one of the clips; or all inputs are clips, and
            a size is asked for that only images can have.
    """
    refused = [_sizeless(job) for job in jobs if target_size.scale is None]
    if refused and alone:
        raise UsageError(refused[0].reason)
    kept: Sequence[Job] = () if refused else jobs
    settings = replace(_settings(options), policy=policy)
    for job in kept:
        if is_sequence(job.source):
            rate_for(job.source, options.fps)
    _check_encoders(settings.wanted, [job.target for job in kept if job.image_format == CLIP])
    key = {
        "model": engine.model,
        "effort": engine.effort_label,
        "tile": str(engine.tile),
        "device": engine.device,
        "precision": engine.precision,
    }
    recorded = _recorded(key, options, target_size, policy, weights)
    verdicts = [_verdict(job, recorded) for job in kept]
    return Clips(verdicts, refused, replace(settings, key=key), recorded)


def _verdict(job: Job, recorded: str) -> Verdict:
    """State of a clip's output; a folder of frames looks after itself."""
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
        if (name := field.name) != "frames_dir"
        for value in [getattr(options, name)]
    }
    others = {"size": target_size.label, "metadata": policy.label, "weights": weights}
    return json.dumps({**key, **chosen, **others}, sort_keys=True)


def _settings(options: ClipOptions) -> ClipSettings:
    """The options in the words of `jobs`."""
    if options.tonemap and options.force_sdr:
        raise UsageError("--tonemap and --force-sdr exclude each other: choose one")
    if options.duration == 0:
        raise UsageError("--duration must be above 0 seconds, got 0")
    hdr = "tonemap" if options.tonemap else "sdr" if options.force_sdr else "refuse"
    reading = DecodeOptions(options.start, options.duration, options.deinterlace, hdr)
    wanted = EncoderOptions(options.codec, options.crf, options.preset, options.pix_fmt)
    return ClipSettings(reading, wanted, rate=options.fps, isolated=True)


def _sizeless(job: Job) -> Finished:
    """The end of a clip for which a size is asked that only images can have."""
    return Finished(
        job,
        State.FAILED,
        f"{job.source} is a clip, and --width, --height, --fit and --megapixels are for images; "
        "hint: use --scale for it",
    )


def _check_encoders(wanted: EncoderOptions, targets: Sequence[Path]) -> None:
    """Refuse before any work what one of the clips could not be encoded with."""
    if not targets and wanted.codec:  # named: it must be there even if no clip is
        targets = [Path("clip.mp4")]
    firsts = {codec_for(wanted, target): target for target in reversed(targets)}
    for target in firsts.values():
        try:
            check_encoder_options(wanted, target)
        except UsageError as error:
            if len(firsts) == 1:
                raise
            raise UsageError(f"{target}: {error}; or do these clips by themselves") from error
