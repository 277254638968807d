"""Files of several pages: read, upscaled and written page by page, never all in memory."""

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from srcli.errors import UnreadableImage
from srcli.inference.report import Report, add_reports
from srcli.jobs.identity import Identity
from srcli.jobs.job import BatchObserver, Job
from srcli.jobs.run_journal import OutputRecord, ResultRecorder
from srcli.jobs.upscale_image import BatchOptions, UpscalersByScale, upscale_to_size
from srcli.media import Decoded, DecodedImage, DecoderPool, write_pages
from srcli.pipeline import StageResult, stream

__all__ = [
    "ImageContext",
    "ManyPages",
    "PageEnd",
    "PageStages",
    "PageStore",
    "StoredPage",
    "origin_of",
    "upscale_multipage",
    "write_document",
]


@dataclass(frozen=True)
class ImageContext:
    """Parts that work on an image beside the network.

    Args:
        decoder: Reads it.
        recorder: Learns of results.
        observer: Receives progress.
        most_pages: A document of more pages raises `ManyPages`.
    """

    decoder: DecoderPool
    recorder: ResultRecorder
    observer: BatchObserver
    most_pages: float = math.inf


class ManyPages(Exception):
    """A document has more pages than one worker is to do."""


@dataclass(frozen=True)
class StoredPage:
    """A page that is written: its (width, height), what it took, and what of it was lost."""

    size: tuple[int, int]
    report: Report
    losses: tuple[str, ...]


PageStore = Callable[[int, tuple[DecodedImage, Report]], StoredPage]
"""Writes the next page, by its number; returns what is known of it."""
PageEnd = StageResult[int, StoredPage]
"""The end of a page: written, or the error that ended it."""


class PageStages:
    """Reads and upscales the pages of one document.

    Args:
        job: The document, and what it becomes.
        state: Its size in bytes and time in ns.
        upscalers: Do the work.
        batch: How.
        context: The decoder, and what receives progress.
    """

    def __init__(
        self,
        job: Job,
        state: tuple[int, int],
        upscalers: UpscalersByScale,
        batch: BatchOptions,
        context: ImageContext,
    ) -> None:
        self._job, self._state, self._context = job, state, context
        self._upscalers, self._batch = upscalers, batch

    def load(self, number: int) -> Decoded:
        """Read a page.

        Raises:
            InputError: It cannot be read, or the document has changed.
        """
        read = self._context.decoder.read(self._job.source, number)
        if (read.size, read.mtime_ns) != self._state:
            raise UnreadableImage(
                f"{self._job.source}: changed while it was read; hint: run the command again"
            )
        return read

    def compute(self, page: DecodedImage) -> tuple[DecodedImage, Report]:
        """Upscale a page."""
        job = self._job
        observer = self._context.observer
        callbacks = partial(observer.tile, job), partial(observer.progress, job)
        made = upscale_to_size(page, self._upscalers, self._batch, *callbacks)
        metadata = self._batch.metadata.applied(page.metadata)
        return replace(
            page, pixels=made.image, format=job.image_format, metadata=metadata, later_pages=()
        ), made.report


def upscale_multipage(
    job: Job,
    first: Decoded,
    upscalers: UpscalersByScale,
    batch: BatchOptions,
    context: ImageContext,
) -> tuple[tuple[str, ...], Report]:
    """Upscale every page, in order, into one file; while one is computed the next is decoded.

    Args:
        job: The file, and what it becomes.
        first: Its first page.
        upscalers: Do the work.
        batch: How; sizes and limits hold for each page.
        context: What else is needed.

    Returns:
        What was lost, one line each, and what it took.

    Raises:
        InputError: A page cannot be read, or the result not be written. A smaller copy of another
            page that cannot be read is left out, and is among what was lost.
    """
    stages = PageStages(job, (first.size, first.mtime_ns), upscalers, batch, context)

    def load(number: int) -> DecodedImage:
        return stages.load(number).image if number else first.image

    def pages(store: PageStore) -> Generator[PageEnd]:
        numbers = range(1 + len(first.image.later_pages))
        return stream(numbers, load, lambda _, page: stages.compute(page), store)

    return write_document(job, first, context, pages)


def write_document(
    job: Job,
    first: Decoded,
    context: ImageContext,
    pages: Callable[[PageStore], Generator[PageEnd]],
) -> tuple[tuple[str, ...], Report]:
    """Write pages into one file, as they are made."""
    document = _Multipage(job, first, context)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    with write_pages(job.image_format, job.target, before_rename=document.before_rename) as write:

        def store(_: int, computed: tuple[DecodedImage, Report]) -> StoredPage:
            image, report = computed
            return StoredPage((image.width, image.height), report, write(image))

        with closing(pages(store)) as ends:
            for page in ends:
                document.ended(page)
    context.recorder.done(job)
    return document.losses(), add_reports(document.reports)


class _Multipage:
    """The pages of one file as they are written; arguments as of `write_document`."""

    def __init__(self, job: Job, first: Decoded, context: ImageContext) -> None:
        self._job, self._first, self._context = job, first, context
        self._sizes: list[tuple[int, int]] = []
        self._losses: dict[str, list[int]] = {}
        self.pages = 1 + len(first.image.later_pages)
        self.reports: list[Report] = []

    def ended(self, page: StageResult[int, StoredPage]) -> None:
        """Take note of a page that is written; raise what went wrong, if it matters."""
        number = page.item + 1
        if page.stored is None:
            assert page.error is not None
            reduced = page.item and self._first.image.later_pages[page.item - 1].reduced
            if not (reduced and isinstance(page.error, UnreadableImage)):
                raise page.error
            self._losses[f"a smaller copy of a page left out: {page.error}"] = [number]
        else:
            self._sizes.append(page.stored.size)
            self.reports.append(page.stored.report)
            for line in page.stored.losses:
                self._losses.setdefault(line, []).append(number)
        self._context.observer.page(self._job, number, self.pages)

    def before_rename(self, temporary: Path) -> bool | None:
        """Tell the journal, once all pages are on disk."""
        total = add_reports(self.reports)
        made = OutputRecord(origin_of(self._first), *self._sizes[0], total.seconds, total.chosen)
        return self._context.recorder.before_rename(self._job, made)(temporary)

    def losses(self) -> tuple[str, ...]:
        """Losses, with the pages they concern."""
        return tuple(
            f"{line} ({_named(numbers, self.pages)})" for line, numbers in self._losses.items()
        )


def origin_of(read: Decoded) -> Identity:
    """The input's identity, as the journal stores it."""
    return Identity(read.size, read.mtime_ns, read.sha256)


def _named(numbers: Sequence[int], total: int) -> str:
    """Pages in words.

    >>> _named([1, 2, 3, 7], 9), _named([1, 2], 2), _named([4], 9)
    ('pages 1-3, 7', 'all pages', 'page 4')
    """
    if len(numbers) == total:
        return "all pages"
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    words = ", ".join("-".join(map(str, run)) for run in runs)
    return f"page{'s' if len(numbers) > 1 else ''} {words}"
