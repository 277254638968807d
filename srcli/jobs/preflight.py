"""What a batch will take, and what would stop it, settled before any work."""

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from srcli.errors import InputError, UsageError
from srcli.jobs.plan import Job
from srcli.jobs.sizes import SizeWish
from srcli.media import Decoder, PictureInfo

__all__ = ["Forecast", "forecast", "require_room", "require_writable"]

# Bytes per sample of a result, between smooth pictures and busy ones; see docs/batches.md.
_BYTES_PER_SAMPLE = {
    "png": 0.5,
    "tiff": 0.5,
    "jpeg": 0.12,
    "webp": 0.06,
    "bmp": 1.0,
    "avif": 0.06,
    "heic": 0.06,
}
_SHARE_WITHOUT_WHICH = 0.5  # of the estimate: with less than this it would be hopeless


@dataclass(frozen=True)
class Forecast:
    """What one job will come to.

    Args:
        job: The job.
        info: The input's header; None if it cannot be read.
        size: (width, height) of the result; None likewise.
        disk: Bytes that the result will take, estimated.
        reason: Why it will fail, if that can be seen already.
    """

    job: Job
    info: PictureInfo | None
    size: tuple[int, int] | None
    disk: int
    reason: str = ""


def forecast(
    jobs: Iterable[Job],
    wish: SizeWish,
    decoder: Decoder,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Forecast]:
    """Read every input's header; what cannot be read will fail when its turn comes.

    Args:
        jobs: What to look at.
        wish: How large results shall be.
        decoder: Reads headers in its own process.
        stopped: Whether to give up.
    """
    found: list[Forecast] = []
    for job in jobs:
        if stopped():
            break
        try:
            info = decoder.probe(job.source)
        except InputError as error:
            found.append(Forecast(job, None, None, 0, str(error)))
            continue
        size = wish.size(info.width, info.height)
        samples = size[0] * size[1] * info.channels * info.bits // 8
        found.append(Forecast(job, info, size, int(samples * _BYTES_PER_SAMPLE[job.image_format])))
    return found


def require_writable(jobs: Sequence[Job]) -> None:
    """Check that every output folder can be written, or made.

    Raises:
        UsageError: One cannot.
    """
    for folder in dict.fromkeys(job.target.parent for job in jobs):
        there = _nearest(folder)
        if not there.is_dir():
            raise UsageError(f"{there} is no folder: name another output folder with -o")
        if not os.access(there, os.W_OK | os.X_OK):
            raise UsageError(
                f"{there} cannot be written by you: name another output folder with -o"
            )


def require_room(forecasts: Sequence[Forecast]) -> list[str]:
    """Check that the results will fit on their disks.

    Returns:
        A line for every disk on which it will be tight.

    Raises:
        UsageError: One has not even half of what the results will probably take.
    """
    needed: dict[int, tuple[Path, int]] = {}
    for one in forecasts:
        there = _nearest(one.job.target.parent)
        device = there.stat().st_dev
        needed[device] = (there, needed.get(device, (there, 0))[1] + one.disk)
    tight: list[str] = []
    for there, disk in needed.values():
        free = shutil.disk_usage(there).free
        if free < disk * _SHARE_WITHOUT_WHICH:
            raise UsageError(
                f"the results will take about {disk / 1e6:.0f} MB, {free / 1e6:.0f} MB are free "
                f"on the disk of {there}: make room, use --format jpg or webp, or go on with "
                "--no-disk-check"
            )
        if free < disk:
            tight.append(
                f"the results may take {disk / 1e6:.0f} MB, {free / 1e6:.0f} MB are free on the "
                f"disk of {there}"
            )
    return tight


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(there for there in (folder, *folder.absolute().parents) if os.path.lexists(there))
