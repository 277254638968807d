"""The clips of `srcli upscale`: which there are, and doing them after the pictures."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from srcli.cli.clip_options import ClipOptions
from srcli.cli.progress import BatchProgress
from srcli.cli.upscale_options import Engine
from srcli.errors import UsageError
from srcli.jobs.outcome import Finished, set_aside
from srcli.jobs.plan import Job
from srcli.jobs.sizes import SizeWish

if TYPE_CHECKING:
    from srcli.inference.upscaler import Upscaler
    from srcli.jobs.clip_sources import ClipSettings

__all__ = ["Clips", "clips_of", "work_on_clips"]


@dataclass(frozen=True)
class Clips:
    """The clips of a run. They keep no journal: a clip's segments are its own.

    Args:
        todo: What to do.
        skipped: Those whose output exists.
        settings: How; None if there are no clips.
    """

    todo: Sequence[Job]
    skipped: Sequence[Finished]
    settings: "ClipSettings | None"


def clips_of(
    jobs: Sequence[Job], options: ClipOptions, wish: SizeWish, engine: Engine, *, overwrite: bool
) -> Clips:
    """Settle what becomes of a run's clips.

    Raises:
        UsageError: They are asked for in a way that cannot be.
    """
    if not jobs:
        return Clips((), (), None)
    if wish.scale is None:
        raise UsageError(
            f"{jobs[0].source} is a clip: use --scale for it; --width, --height, --fit and "
            "--megapixels are for pictures"
        )
    key = {
        "model": engine.model,
        "effort": engine.effort if engine.halt_eps is None else f"{engine.halt_eps:g}",
        "tile": str(engine.tile),
        "device": engine.device,
        "precision": engine.precision,
    }
    todo, skipped = set_aside(jobs, overwrite=overwrite)
    return Clips(todo, skipped, options.settings(key))


def work_on_clips(
    clips: Clips, upscaler: "Upscaler", stopping: threading.Event, progress: BatchProgress
) -> Iterator[Finished]:
    """Upscale the clips; each end as it comes.

    Raises:
        KeyboardInterrupt: It is to stop; what a clip has come to is kept, for the next run.
    """
    from srcli.jobs.clip_batch import run_clips

    def on_frame(job: Job, done: int, total: int) -> None:
        progress.frame(job, done, total)
        if stopping.is_set():
            raise KeyboardInterrupt

    if clips.settings is not None and clips.todo:
        yield from run_clips(clips.todo, upscaler, clips.settings, on_frame=on_frame)
