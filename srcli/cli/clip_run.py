"""The clips of `srcli upscale`: which there are, and how they shall be done."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from srcli.cli.clip_options import ClipOptions
from srcli.cli.upscale_options import Engine
from srcli.errors import UsageError
from srcli.jobs.clip_source import ClipSettings, rate_for
from srcli.jobs.job import CLIP, Finished, Job, set_aside
from srcli.jobs.target_size import TargetSize
from srcli.media import MetadataPolicy
from srcli.media.video import DecodeOptions, EncoderOptions, check_encoder_options, codec_for
from srcli.media.video.names import is_sequence

__all__ = ["Clips", "clips_of"]


@dataclass(frozen=True)
class Clips:
    """The clips of a run. They keep no journal: a clip's segments are its own.

    Args:
        todo: What to do.
        skipped: Those whose output exists.
        settings: How.
    """

    todo: Sequence[Job]
    skipped: Sequence[Finished]
    settings: ClipSettings


def clips_of(
    jobs: Sequence[Job],
    options: ClipOptions,
    target_size: TargetSize,
    engine: Engine,
    policy: MetadataPolicy,
    *,
    overwrite: bool,
) -> Clips:
    """Settle what becomes of a run's clips.

    Raises:
        UsageError: They are asked for in a way that cannot be.
    """
    if jobs and target_size.scale is None:
        raise UsageError(
            f"{jobs[0].source} is a clip: use --scale for it; --width, --height, --fit and "
            "--megapixels are for images"
        )
    settings = replace(_settings(options), policy=policy)
    for job in jobs:
        if is_sequence(job.source):
            rate_for(job.source, options.fps)
    _check_encoders(settings.wanted, [job.target for job in jobs if job.image_format == CLIP])
    key = {
        "model": engine.model,
        "effort": engine.effort_label,
        "tile": str(engine.tile),
        "device": engine.device,
        "precision": engine.precision,
    }
    todo, skipped = set_aside(jobs, overwrite=overwrite)
    return Clips(todo, skipped, replace(settings, key=key))


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
