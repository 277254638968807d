"""Runs the clips of a batch: each ends as exactly one of done, skipped or failed, with a reason."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from srcli.inference.upscaler import Upscaler
from srcli.jobs.clip_frames import upscale_animation, upscale_to_frames
from srcli.jobs.clip_sources import ClipSettings
from srcli.jobs.clips import upscale_clip
from srcli.jobs.identity import Identity, digest, identity_of
from srcli.jobs.plan import ANIMATION, CLIP, FRAMES, Job
from srcli.jobs.result import Finished, State, reason_of
from srcli.jobs.result_records import record_of, write_record

__all__ = ["run_clips"]

_WAYS = {CLIP: upscale_clip, ANIMATION: upscale_animation, FRAMES: upscale_to_frames}


def run_clips(
    jobs: Sequence[Job],
    upscaler: Upscaler,
    settings: ClipSettings,
    *,
    recorded: str,
    on_frame: Callable[[Job, int, int], None],
) -> Iterator[Finished]:
    """Upscale every clip and animation, one after the other.

    Args:
        jobs: What to do; existing outputs are replaced.
        upscaler: Does the work.
        settings: How clips are read and written.
        recorded: Text of all settings, for the record of each result.
        on_frame: Called with the job, the frames done and those in all (0 if not known).

    Yields:
        Each job's end, as it comes.
    """
    key = {**settings.key, "weights": upscaler.network.fingerprint}
    settings = replace(settings, key=key)
    for job in jobs:
        way = _WAYS[job.image_format]
        origin = identity_of(job.source)
        try:
            losses, report = way(job, upscaler, settings, partial(on_frame, job))
            if origin is not None:
                _keep_record(job, origin, recorded)
        except Exception as error:  # noqa: BLE001 one bad clip must not end the others
            yield Finished(job, State.FAILED, reason_of(job, error))
        else:
            yield Finished(job, State.DONE, losses=losses, report=report)


def _keep_record(job: Job, origin: Identity, recorded: str) -> None:
    """Note what a result was made from and how; without a record it counts as somebody else's."""
    with contextlib.suppress(OSError):
        read = Identity(origin.size, origin.mtime_ns, digest(job.source))
        if entry := record_of(job.source, job.target, read, recorded):
            write_record(entry)
