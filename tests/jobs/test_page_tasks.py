"""Pages of a document made as tasks of their own give the file that one run gives."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from srcli.cli.progress import QuietReporter
from srcli.errors import InputError, UnreadableImage
from srcli.jobs.job import Job
from srcli.jobs.multipage import ImageContext, PageStages, upscale_multipage
from srcli.jobs.page_tasks import MadePage, PageTask, RunStopped, join_pages
from srcli.jobs.size_limits import SizeLimits
from srcli.jobs.target_size import TargetSize
from srcli.jobs.upscale_image import BatchOptions
from srcli.media import DecodeLimits, DecoderPool, MetadataPolicy
from tests.cli.test_pages import _Ledger, _Upscalers, scan

BATCH = BatchOptions(TargetSize(scale=2), 95, SizeLimits("adaformer", 4, 100), MetadataPolicy())


class Pages:
    """Makes pages in an order of its own; some fail."""

    def __init__(
        self, context: ImageContext, order: Sequence[int], failures: dict[int, Exception]
    ) -> None:
        self.context, self.order, self.failures = context, order, failures
        self.files: list[Path] = []

    def __call__(self, tasks: Sequence[PageTask]) -> Iterator[MadePage]:
        for number in self.order:
            if number in self.failures:
                yield MadePage(number, error=self.failures[number])
                continue
            task = tasks[number]
            state = task.size, task.mtime_ns
            stages = PageStages(task.job, state, _Upscalers(), BATCH, self.context)
            image, report = stages.compute(stages.load(number).image)
            file = task.job.target.with_name(f"page{number}.npy")
            np.save(file, image.pixels)
            self.files.append(file)
            yield MadePage(number, replace(image, pixels=image.pixels[:0]), file, report)


def joined(
    folder: Path, order: Sequence[int], failures: dict[int, Exception] | None = None
) -> tuple[str, ...]:
    """Join the pages of scan.tif into parts.tif; the losses."""
    with DecoderPool(DecodeLimits()) as decoder:
        context = ImageContext(decoder, _Ledger(), QuietReporter(1))
        job = Job(folder / "scan.tif", folder / "parts.tif", "tiff")
        maker = Pages(context, order, failures or {})
        try:
            return join_pages(job, decoder.read(job.source), context, maker)[0]
        finally:
            assert not [file for file in maker.files if file.exists()]


@pytest.fixture
def plain(tmp_path: Path) -> tuple[bytes, tuple[str, ...]]:
    """The file and the losses of one run, in order."""
    scan(tmp_path / "scan.tif")
    job = Job(tmp_path / "scan.tif", tmp_path / "plain.tif", "tiff")
    with DecoderPool(DecodeLimits()) as decoder:
        context = ImageContext(decoder, _Ledger(), QuietReporter(1))
        losses, _ = upscale_multipage(job, decoder.read(job.source), _Upscalers(), BATCH, context)
    return job.target.read_bytes(), losses


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_pages_in_any_order_have_the_bytes_of_one_run(
    tmp_path: Path, plain: tuple[bytes, tuple[str, ...]], order: list[int]
) -> None:
    losses = joined(tmp_path, order)
    assert (tmp_path / "parts.tif").read_bytes() == plain[0]
    assert losses == plain[1]


@pytest.mark.usefixtures("plain")
def test_page_that_fails_fails_the_document(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a worker was lost"):
        joined(tmp_path, [3, 2, 0, 1], {1: InputError("a worker was lost")})
    assert not (tmp_path / "parts.tif").exists()


@pytest.mark.usefixtures("plain")
def test_smaller_copy_that_cannot_be_decoded_is_left_out(tmp_path: Path) -> None:
    losses = joined(tmp_path, [3, 0, 1, 2], {3: UnreadableImage("damaged")})
    assert "a smaller copy of a page left out: damaged (page 4)" in losses
    with pytest.raises(InputError):  # of another reason than the page's own data
        joined(tmp_path, [3, 0, 1, 2], {3: InputError("a worker was lost")})


@pytest.mark.usefixtures("plain")
def test_stopped_run_leaves_nothing(tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    with pytest.raises(RunStopped):
        joined(tmp_path, [3, 0, 2])
    assert set(tmp_path.iterdir()) == before
