"""Runs a batch: every job ends as exactly one of done, skipped or failed, with a reason."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from srcli.errors import SrcliError, UsageError
from srcli.inference.report import Report
from srcli.inference.streaming import Outcome, stream
from srcli.inference.upscaler import Upscaler
from srcli.jobs.clip_frames import upscale_animation, upscale_to_frames
from srcli.jobs.clip_sources import ClipSettings
from srcli.jobs.clips import upscale_clip
from srcli.jobs.outcome import Finished, State
from srcli.jobs.plan import ANIMATION, CLIP, FRAMES, Job
from srcli.media import Picture, read_picture, representable, write_picture

__all__ = ["run_batch", "run_clips"]

_MEGAPIXELS_IN = 512  # beyond any camera; a header that claims more is a bomb


def run_batch(
    jobs: Sequence[Job],
    upscaler: Upscaler,
    *,
    quality: int,
    on_tile: Callable[[Job, int, int], None],
) -> Iterator[Finished]:
    """Upscale every job, decoding and encoding while the network works.

    Args:
        jobs: What to do; existing outputs are replaced.
        upscaler: Does the work.
        quality: Of lossy formats, 1 to 100.
        on_tile: Called after each tile with the job, the tiles done and the tiles in all.

    Yields:
        Each job's end, as it comes.
    """

    def load(job: Job) -> Picture:
        return read_picture(job.source, max_megapixels=_MEGAPIXELS_IN)

    def compute(job: Job, picture: Picture) -> tuple[Picture, Report]:
        upscaled = upscaler.upscale(
            picture.pixels, on_tile=lambda done, total: on_tile(job, done, total)
        )
        return replace(picture, pixels=upscaled.image), upscaled.report

    def store(job: Job, computed: tuple[Picture, Report]) -> tuple[tuple[str, ...], Report]:
        picture, report = computed
        losses = representable(picture, job.image_format)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        write_picture(replace(picture, format=job.image_format), job.target, quality=quality)
        return losses, report

    for outcome in stream(jobs, load, compute, store):
        yield _finished(outcome)


_WAYS = {CLIP: upscale_clip, ANIMATION: upscale_animation, FRAMES: upscale_to_frames}


def run_clips(
    jobs: Sequence[Job],
    upscaler: Upscaler,
    settings: ClipSettings,
    *,
    on_frame: Callable[[Job, int, int], None],
) -> Iterator[Finished]:
    """Upscale every clip and animation, one after the other.

    Args:
        jobs: What to do; existing outputs are replaced.
        upscaler: Does the work.
        settings: How clips are read and written.
        on_frame: Called with the job, the frames done and those in all (0 if not known).

    Yields:
        Each job's end, as it comes.
    """
    key = {**settings.key, "weights": upscaler.network.fingerprint}
    settings = replace(settings, key=key)
    for job in jobs:
        way = _WAYS[job.image_format]
        try:
            losses, report = way(job, upscaler, settings, partial(on_frame, job))
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 one bad clip must not end the others
            yield Finished(job, State.FAILED, _reason(job, error))
        else:
            yield Finished(job, State.DONE, losses=losses, report=report)


def _finished(outcome: Outcome[Job, tuple[tuple[str, ...], Report]]) -> Finished:
    if outcome.stored is not None:
        lost, report = outcome.stored
        return Finished(outcome.item, State.DONE, losses=lost, report=report)
    return Finished(outcome.item, State.FAILED, _reason(outcome.item, outcome.error))


def _reason(job: Job, error: Exception | None) -> str:
    """One line that names the file, whatever the error."""
    if isinstance(error, SrcliError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{job.source}: not enough memory; close other programs or upscale it in parts"
    if isinstance(error, OSError):
        return f"{error.filename or job.source}: {error.strerror or error}"
    return f"{job.source}: {type(error).__name__}: {error}; please report this"
