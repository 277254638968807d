"""Files of several pages: each page is read, upscaled and written before the next but one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from srcli.errors import ImageTooLarge, InputError, UnreadableImage, UnwritableImage
from srcli.inference.report import Report, add_reports
from srcli.jobs.background import Behind, ahead
from srcli.jobs.identity import Identity
from srcli.jobs.ledger import Ledger, Made
from srcli.jobs.plan import Job
from srcli.jobs.serving import Batch, Upscalers, upscaled
from srcli.jobs.watcher import Watcher
from srcli.media import Decoded, Decoder, Picture, PictureInfo, representable, write_pages

__all__ = ["DocumentMeans", "origin_of", "require_one_page", "upscale_document"]


@dataclass(frozen=True)
class DocumentMeans:
    """What documents are done with: who reads, who is told what is whole, who watches."""

    decoder: Decoder
    ledger: Ledger
    watcher: Watcher


@dataclass(frozen=True)
class _Unread:
    """A smaller copy of another page, and why it cannot be read."""

    reason: str


def upscale_document(
    job: Job, first: Decoded, upscalers: Upscalers, batch: Batch, means: DocumentMeans
) -> tuple[tuple[str, ...], Report]:
    """Upscale every page, in order, into one file; while one is computed the next is decoded.

    Args:
        job: The file, and what it becomes.
        first: Its first page.
        upscalers: Do the work.
        batch: How; sizes and limits hold for each page.
        means: What else is needed.

    Returns:
        What was lost, one line each, and what it took.

    Raises:
        InputError: A page cannot be read, or the result not be written. A smaller copy of another
            page that cannot be read is left out, and is among what was lost.
    """
    total = 1 + len(first.picture.further)
    losses: dict[str, list[int]] = {}
    reports: list[Report] = []
    sizes: list[tuple[int, int]] = []

    def whole(temporary: Path) -> None:
        seconds = sum(report.seconds for report in reports)
        means.ledger.whole(job, Made(origin_of(first), *sizes[0], seconds))(temporary)

    job.target.parent.mkdir(parents=True, exist_ok=True)
    with (
        write_pages(job.image_format, job.target, whole=whole) as write,
        Behind(write, 1) as behind,
    ):
        pages = ahead(_pages(job.source, first, means.decoder), 1)
        for number, page in enumerate(pages, start=1):
            if isinstance(page, _Unread):
                losses.setdefault(f"a smaller copy left out: {page.reason}", []).append(number)
                continue
            tile = partial(means.watcher.tile, job)
            made = upscaled(job.source, page, upscalers, batch, tile)
            metadata = batch.metadata.applied(page.metadata)
            result = replace(
                page, pixels=made.image, format=job.image_format, metadata=metadata, further=()
            )
            for line in representable(result, job.image_format):
                losses.setdefault(line, []).append(number)
            behind.put(result)
            reports.append(made.report)
            sizes.append((result.width, result.height))
            means.watcher.page(job, number, total)
            del page, made, result  # before the next one is waited for
    means.ledger.done(job)
    lines = tuple(f"{line} ({_named(numbers, total)})" for line, numbers in losses.items())
    return lines, add_reports(reports)


def require_one_page(job: Job, further: Sequence[PictureInfo]) -> None:
    """Check that nothing but smaller copies of the first page would be lost.

    Raises:
        UnwritableImage: There are pages that a format of one page cannot hold.
    """
    pages = 1 + sum(not one.reduced for one in further)
    if pages > 1:
        raise UnwritableImage(
            f"{job.source}: it has {pages} pages, {job.image_format.upper()} holds one: "
            "use --format tiff, or split it first"
        )


def origin_of(read: Decoded) -> Identity:
    """What the journal keeps of the input."""
    return Identity(read.size, read.mtime_ns, read.sha256)


def _pages(source: Path, first: Decoded, decoder: Decoder) -> Iterator[Picture | _Unread]:
    """Read one page after the other."""
    yield first.picture
    for number, info in enumerate(first.picture.further, start=1):
        try:
            read = decoder.read(source, number)
        except InputError as error:
            if not info.reduced:
                raise
            yield _Unread(str(error))
            continue
        if (read.size, read.mtime_ns) != (first.size, first.mtime_ns):
            raise UnreadableImage(f"{source}: changed while it was read; run the command again")
        if read.picture.width * read.picture.height > decoder.limits.megapixels * 1e6:
            raise ImageTooLarge(f"{source}: page {number + 1} is beyond --max-megapixels")
        yield read.picture


def _named(pages: Iterable[int], total: int) -> str:
    """Pages in words.

    >>> _named([1, 2, 3, 7], 9), _named([1, 2], 2), _named([4], 9)
    ('pages 1-3, 7', 'all pages', 'page 4')
    """
    numbers = list(pages)
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
