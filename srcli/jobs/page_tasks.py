"""Pages of a document as tasks of their own: each can be made anywhere, in any order."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from srcli.inference.report import Report
from srcli.jobs.job import Job
from srcli.jobs.multipage import ImageContext, PageEnd, PageStore, write_document
from srcli.media import Decoded, DecodedImage
from srcli.pipeline import StageResult

__all__ = ["MadePage", "PageMaker", "PageTask", "RunStopped", "join_pages"]


@dataclass(frozen=True)
class PageTask:
    """A page of a document that is upscaled by itself.

    Args:
        job: The document, and what it becomes.
        number: Of the page, from 0 on.
        size: Bytes of the document.
        mtime_ns: Of the document.
    """

    job: Job
    number: int
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class MadePage:
    """The end of a page that was upscaled by itself.

    Args:
        number: Of the page.
        image: It, but for its pixels; None if it failed.
        pixels: File of its pixels, as NumPy saves them.
        report: What it took.
        error: Why it failed.
    """

    number: int
    image: DecodedImage | None = None
    pixels: Path | None = None
    report: Report | None = None
    error: Exception | None = None

    def load(self) -> tuple[DecodedImage, Report]:
        """The page with its pixels, and what it took.

        Raises:
            Exception: It failed, or its pixels cannot be read.
        """
        if self.error is not None:
            raise self.error
        assert self.image is not None
        assert self.pixels is not None
        assert self.report is not None
        return replace(self.image, pixels=np.load(self.pixels)), self.report

    def remove(self) -> None:
        """Remove the file of its pixels."""
        if self.pixels is not None:
            self.pixels.unlink(missing_ok=True)


PageMaker = Callable[[Sequence[PageTask]], Iterator[MadePage]]
"""Makes pages in any order and yields each as it ends; not all if the run is to stop."""


class RunStopped(Exception):
    """The run was to stop before all pages were made."""


def join_pages(
    job: Job, first: Decoded, context: ImageContext, maker: PageMaker
) -> tuple[tuple[str, ...], Report]:
    """Write the pages that `maker` makes, in order, into one file.

    Args:
        job: The file, and what it becomes.
        first: Its first page, not upscaled.
        context: What else is needed.
        maker: Upscales the pages.

    Returns:
        See `upscale_multipage`.

    Raises:
        InputError: See `upscale_multipage`.
        RunStopped: Not all pages were made.
    """
    tasks = [
        PageTask(job, number, first.size, first.mtime_ns)
        for number in range(1 + len(first.image.later_pages))
    ]

    def pages(store: PageStore) -> Generator[PageEnd]:
        waiting: dict[int, MadePage] = {}
        following = 0
        try:
            for made in maker(tasks):
                waiting[made.number] = made
                while following in waiting:
                    page = waiting.pop(following)
                    yield _stored(page, store)
                    following += 1
        finally:
            for page in waiting.values():
                page.remove()
        if following < len(tasks):
            raise RunStopped

    return write_document(job, first, context, pages)


def _stored(page: MadePage, store: PageStore) -> PageEnd:
    """Store a page that was made elsewhere; its file is removed."""
    try:
        return StageResult(page.number, store(page.number, page.load()), None)
    except Exception as error:  # noqa: BLE001 the document's end decides whether it matters
        return StageResult(page.number, None, error)
    finally:
        page.remove()
