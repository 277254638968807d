"""Estimate what a batch takes, and refuse what would stop it, before any work."""

import math
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from srcli.errors import InputError, NoRoom, UnwritableImage, UsageError
from srcli.jobs.identity import identity_of
from srcli.jobs.job import Job
from srcli.jobs.size_limits import SizeLimits
from srcli.jobs.target_size import TargetSize
from srcli.media import FORMATS, DecodedImage, DecoderPool, ImageInfo, holds_pages
from srcli.storage import require_bucket
from srcli.url_paths import UrlPath

__all__ = [
    "Forecast",
    "estimated_bytes",
    "forecast",
    "require_one_page",
    "require_room",
    "require_sizes",
    "require_writable",
    "sample_of",
]

_SAMPLE = 400  # headers that are read before a large batch begins
_SHARE_WITHOUT_WHICH = 0.5  # of the estimate: with less than this it would be hopeless


@dataclass(frozen=True)
class Forecast:
    """Estimate for one job.

    Args:
        job: The job.
        info: The input's header; None if it cannot be done.
        size: (width, height) of the result, or of its first page; None likewise.
        disk: Bytes that the result will take, estimated.
        reason: Why it will fail, if that can be seen already.
        pages: How many it has.
        pixels: Of the input, all pages or frames together.
        frames: Of a clip, as far as its file says; 0 of an image.
        unread: It lies in storage: nothing is known but its name.
    """

    job: Job
    info: ImageInfo | None
    size: tuple[int, int] | None
    disk: int
    reason: str = ""
    pages: int = 1
    pixels: int = 0
    frames: int = 0
    unread: bool = False

    @property
    def fails(self) -> bool:
        """True if it can be seen already that it will fail."""
        return self.size is None and not self.unread


def forecast(
    jobs: Iterable[Job],
    target_size: TargetSize,
    decoder: DecoderPool,
    limits: SizeLimits,
    stopped: Callable[[], bool] = lambda: False,
    count: Callable[[str], None] = lambda what: None,
) -> list[Forecast]:
    """Read every input's header; what cannot be read will fail when its turn comes.

    Inputs in storage are not read.

    Args:
        jobs: What to look at.
        target_size: How large results shall be.
        decoder: Reads headers in its own process.
        limits: Limits for the size of a result.
        stopped: Whether to give up.
        count: Told of each header that is read, in words.
    """
    found: list[Forecast] = []
    for job in jobs:
        if stopped():
            break
        count("headers read")
        if isinstance(job.source, UrlPath):
            found.append(Forecast(job, None, None, 0, unread=True))
            continue
        try:
            info = decoder.probe(job.source)
        except InputError as error:
            found.append(Forecast(job, None, None, 0, str(error)))
            continue
        try:
            found.append(_forecast_job(job, info, target_size, limits))
        except InputError as error:
            found.append(Forecast(job, None, None, 0, str(error)))
    return found


def _forecast_job(
    job: Job, info: ImageInfo, target_size: TargetSize, limits: SizeLimits
) -> Forecast:
    pages = (info,)
    if info.later_pages:
        if holds_pages(job.image_format):
            pages = (info, *info.later_pages)
        else:
            require_one_page(job, info.later_pages)
    sizes = [target_size.size(page.width, page.height) for page in pages]
    require_sizes(job, pages, target_size, limits)
    pixels = sum(page.width * page.height for page in pages)
    file = identity_of(job.source)
    disk = sum(
        estimated_bytes(
            job.image_format,
            *size,
            page,
            (file.size if file else 0) * page.width * page.height // pixels,
        )
        for size, page in zip(sizes, pages, strict=True)
    )
    return Forecast(job, info, sizes[0], disk, pages=len(pages), pixels=pixels)


def sample_of(jobs: Sequence[Job]) -> tuple[Sequence[Job], float]:
    """Some of many jobs, spread evenly over them, by which the disk they take can be estimated.

    Returns:
        The jobs, and the bytes of all inputs for each byte of theirs.
    """
    if len(jobs) <= _SAMPLE:
        return jobs, 1.0
    sample = [jobs[number * len(jobs) // _SAMPLE] for number in range(_SAMPLE)]
    return sample, _bytes_of(jobs) / max(_bytes_of(sample), 1)


def _bytes_of(jobs: Iterable[Job]) -> int:
    return sum(found.size for job in jobs if (found := identity_of(job.source)) is not None)


def require_sizes(
    job: Job,
    pages: Sequence[ImageInfo | DecodedImage],
    target_size: TargetSize,
    limits: SizeLimits,
) -> None:
    """Check, from an input's header, that its result can be made and written.

    Args:
        job: The input and the format of its result.
        pages: Those that become part of the result.
        target_size: How large results shall be.
        limits: Limits for the size of a result.

    Raises:
        ImageTooLarge: The result of a page is beyond one of them.
    """
    for page in pages:
        old = page.width, page.height
        limits.check(job.source, old, target_size.size(*old), job.image_format)


def require_one_page(job: Job, later_pages: Sequence[ImageInfo]) -> None:
    """Check that nothing but smaller copies of the first page would be lost.

    Raises:
        UnwritableImage: There are pages that a format of one page cannot hold.
    """
    pages = 1 + sum(not one.reduced for one in later_pages)
    if pages > 1:
        raise UnwritableImage(
            f"{job.source}: it has {pages} pages, {job.image_format.upper()} holds one; "
            "hint: use --format tiff, or split it first"
        )


def require_writable(jobs: Sequence[Job]) -> None:
    """Check that every output folder on this machine can be written, or made; and every bucket is.

    Raises:
        UsageError: One cannot.
        StorageError: The storage does not answer.
    """
    for folder in {job.folder for job in jobs if isinstance(job.folder, UrlPath)}:
        require_bucket(folder)  # if it can be written is seen when the first result comes
    for folder in dict.fromkeys(job.target.parent for job in jobs):
        if isinstance(folder, UrlPath):
            continue
        there = _nearest(folder)
        if not there.is_dir():
            raise UsageError(f"{there} is not a folder; hint: name another output folder with -o")
        if not os.access(there, os.W_OK | os.X_OK):
            raise UsageError(f"{there} is not writable; hint: name another output folder with -o")


def require_room(forecasts: Sequence[Forecast], times: float = 1.0) -> list[str]:
    """Check that the results will fit on their disks.

    Args:
        forecasts: Of all jobs, or of a sample.
        times: What all will take, as a multiple of what these will.

    Returns:
        A line for every disk on which it will be tight.

    Raises:
        NoRoom: One has not even half of what the results will probably take.
    """
    needed: dict[int, tuple[Path, float]] = {}
    for one in forecasts:
        if isinstance(one.job.target, UrlPath):
            continue
        there = _nearest(one.job.target.parent)
        device = there.stat().st_dev
        needed[device] = (there, needed.get(device, (there, 0))[1] + one.disk * times)
    tight: list[str] = []
    for there, disk in needed.values():
        free = shutil.disk_usage(there).free
        if free < disk * _SHARE_WITHOUT_WHICH:
            raise NoRoom(
                f"the results will take about {disk / 1e6:.0f} MB, {free / 1e6:.0f} MB are free "
                f"on the disk of {there}; hint: make room, use --format jpg or webp, or continue "
                "with --no-disk-check"
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


_UNPACKED = 0.95  # bytes a sample byte; from here on the input is not packed, and tells nothing
_LOW_BYTE = 0.95  # of 16 bits the lower one is noise
_NETWORK = 4.0  # the scale at which the rates are measured
_LEAST, _MOST = 0.2, 2.0  # even a drawing has some ripples once it is enlarged


def estimated_bytes(
    image_format: str, width: int, height: int, page: ImageInfo, file_share: int
) -> int:
    """Bytes that a result will take.

    Args:
        image_format: Of the result.
        width: Of the result, px.
        height: Likewise.
        page: The input.
        file_share: Bytes of the input's file, or of this page's part of it.
    """
    samples = width * height * page.channels
    format = FORMATS[image_format]
    usual = format.disk_rate
    if usual is None:
        return samples
    rate = usual.lossless if page.lossless and usual.lossless else usual.result
    scale = math.sqrt(width * height / (page.width * page.height))
    sharper = (_NETWORK / min(max(scale, 1.0), _NETWORK)) ** (1 / 3)  # the less it was enlarged
    rate = min(rate * sharper * _detail(page, file_share), 1.0)
    low_byte = _LOW_BYTE if page.bits == 16 and format.deep else 0.0
    return math.ceil(samples * (rate + low_byte))


def _detail(page: ImageInfo, file_share: int) -> float:
    """Factor by which the content compresses worse than usual."""
    rate = FORMATS[page.format].disk_rate
    if rate is None:
        return 1.0
    packed = file_share / (page.width * page.height * page.channels * page.bits / 8)
    usual = rate.lossless if page.lossless and rate.lossless else rate.photograph
    if page.bits == 16:
        packed = 2 * packed - _LOW_BYTE  # of the upper byte
    return 1.0 if packed >= _UNPACKED else min(max(packed / usual, _LEAST), _MOST)
