"""`srcli upscale` of TIFF files with several pages."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from srcli import Upscaler
from srcli.cli.progress import QuietReporter
from srcli.inference.report import Report
from srcli.inference.upscaler import Upscaled
from srcli.jobs.job import Job
from srcli.jobs.multipage import ImageContext, _named, upscale_multipage
from srcli.jobs.run_journal import OutputRecord, RunJournal
from srcli.jobs.size_limits import SizeLimits
from srcli.jobs.target_size import TargetSize
from srcli.jobs.upscale_image import BatchOptions, UpscalersByScale
from srcli.media import DecodeLimits, DecoderPool, MetadataPolicy
from tests.cli.test_batch_options import FAST, SMALL, events, schema, srcli


def slope(height: int, width: int, dtype: type = np.uint8) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 9, y * 9, (x + y) * 4], -1) % 256
    return (pixels * (257 if dtype == np.uint16 else 1)).astype(dtype)


def scan(path: Path) -> list[np.ndarray]:
    pages = [slope(9, 14), slope(12, 8, np.uint16), slope(7, 7)[..., 0], slope(4, 6)]
    with tifffile.TiffWriter(path) as file:
        for number, page in enumerate(pages):
            file.write(
                page, photometric="rgb" if page.ndim == 3 else "minisblack",
                resolution=(100 + number, 200), resolutionunit="INCH", description=f"p{number}",
                subfiletype=1 if number == 3 else 0,
                extratags=[(65000, 2, 0, "mine", True)] if number in (0, 1) else [],
            )  # fmt: skip
    return pages


def test_every_page_is_upscaled(tmp_path: Path) -> None:
    pages = scan(tmp_path / "scan.tif")
    ended = srcli("upscale", "scan.tif", "--json", *FAST, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    upscaler = Upscaler(effort="fast", precision="fp32", device="cpu")
    with tifffile.TiffFile(tmp_path / "scan_x4.tif") as file:
        assert len(file.pages) == 4
        for number, (before, page) in enumerate(zip(pages, file.pages, strict=True)):
            after = page.asarray()
            assert after.dtype == before.dtype
            assert np.abs(after.astype(int) - upscaler(before)).max() <= 1
            assert page.resolution == (100 + number, 200)
            assert page.description == f"p{number}"
            assert page.subfiletype == (number == 3)
    told = events(ended.stdout)
    assert [(e["done"], e["total"]) for e in told if e["event"] == "page"] == [
        (1, 4), (2, 4), (3, 4), (4, 4)
    ]  # fmt: skip
    (done,) = [e for e in told if e["event"] == "done"]
    assert done["losses"] == ["TIFF tags dropped: unknown (65000) (pages 1-2)"]
    assert done["megapixels"] == round(16 * (9 * 14 + 12 * 8 + 49 + 24) / 1e6, 3)
    for event in told:
        assert event.keys() <= schema()[str(event["event"])], event


def test_exact_sizes_hold_for_every_page(tmp_path: Path) -> None:
    scan(tmp_path / "scan.tif")
    planned = events(
        srcli(
            "upscale", "scan.tif", "--fit", "20x20", *SMALL, "--dry-run", "--json", cwd=tmp_path
        ).stdout
    )
    assert (planned[0]["width"], planned[0]["height"], planned[0]["pages"]) == (20, 13, 4)
    assert planned[0].keys() <= schema()["planned"]
    ended = srcli("upscale", "scan.tif", "--fit", "20x20", *FAST, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    with tifffile.TiffFile(tmp_path / "scan_20x20.tif") as file:
        sizes = [page.shape[:2] for page in file.pages]
    assert sizes == [(13, 20), (20, 13), (20, 20), (13, 20)]


def test_formats_of_one_page(tmp_path: Path) -> None:
    scan(tmp_path / "scan.tif")
    for flags in (("--dry-run", *SMALL), FAST):
        refused = srcli("upscale", "scan.tif", "--format", "png", *flags, cwd=tmp_path)
        said = " ".join((refused.stdout + refused.stderr).split())
        assert "it has 3 pages, PNG holds one; hint: use --format tiff" in said
    assert refused.returncode == 3
    assert not list(tmp_path.glob("*.png"))
    with tifffile.TiffWriter(tmp_path / "photo.tif") as file:
        file.write(slope(8, 8), photometric="rgb")
        file.write(slope(4, 4), photometric="rgb", subfiletype=1)
    ended = srcli("upscale", "photo.tif", "--format", "png", *FAST, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "1 more pages or frames left out" in ended.stderr
    with Image.open(tmp_path / "photo_x4.png") as image:
        assert image.size == (32, 32)


def test_a_damaged_page_fails_the_file_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    scan(tmp_path / "in" / "good.tif")
    with tifffile.TiffWriter(tmp_path / "in" / "bad.tif") as file:
        for _ in range(3):
            file.write(slope(64, 64), photometric="rgb", compression="deflate")
    with tifffile.TiffFile(tmp_path / "in" / "bad.tif") as file:
        (at, *_), (count, *_) = file.pages[1].dataoffsets, file.pages[1].databytecounts
    data = bytearray((tmp_path / "in" / "bad.tif").read_bytes())
    data[at : at + count] = bytes(count)
    (tmp_path / "in" / "bad.tif").write_bytes(data)
    ended = srcli("upscale", "in", *FAST, cwd=tmp_path)
    assert ended.returncode == 1
    assert "in/bad.tif: page 2: " in ended.stderr
    assert sorted(p.name for p in (tmp_path / "in_x4").iterdir()) == [".srcli", "good.tif"]
    again = srcli("upscale", "in", "-v", *FAST, cwd=tmp_path)
    assert "in/good.tif: skipped, done before" in again.stderr
    assert srcli("verify", "in_x4", cwd=tmp_path).returncode == 0
    made = tmp_path / "in_x4" / "good.tif"
    data = bytearray(made.read_bytes())
    made.write_bytes(data[:-40])
    checked = srcli("verify", "in_x4", cwd=tmp_path)
    assert checked.returncode == 1
    assert "good.tif: damaged" in checked.stderr


def test_a_smaller_copy_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "photo.tif") as file:
        file.write(slope(8, 8), photometric="rgb")
        file.write(slope(4, 4).astype(np.float32), photometric="rgb", subfiletype=1)
        file.write(slope(6, 6), photometric="rgb")
    ended = srcli("upscale", "photo.tif", *FAST, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "a smaller copy of a page left out: photo.tif: page 2: its floating" in ended.stderr
    with tifffile.TiffFile(tmp_path / "photo_x4.tif") as file:
        assert [page.shape for page in file.pages] == [(32, 32, 3), (24, 24, 3)]


class _Repeating(Upscaler):
    """In place of a network: every pixel twice as wide and high."""

    def __init__(self) -> None:
        self.model, self.scale = "none", 2

    def upscale(self, pixels, _, size, on_progress):  # type: ignore[override]
        larger = pixels.repeat(2, 0).repeat(2, 1)
        assert larger.shape[:2] == size[::-1]
        return Upscaled(larger, Report(0, 1, 1, 0, larger.size / 3e6, (), exact=True))


class _Upscalers(UpscalersByScale):
    def __init__(self) -> None:
        self.model = "none"

    def for_scale(self, needed: int) -> Upscaler:
        return _Repeating()


class _Ledger(RunJournal):
    def __init__(self) -> None:
        pass

    def before_rename(self, job: Job, made: OutputRecord) -> Callable[[Path], None]:
        return lambda temporary: None

    def done(self, job: Job) -> None:
        pass


@pytest.mark.slow
def test_memory_does_not_grow_with_pages(tmp_path: Path) -> None:
    page = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    peaks: list[int] = []
    batch = BatchOptions(TargetSize(scale=2), 95, SizeLimits("adaformer", 4, 100), MetadataPolicy())
    for count in (8, 24):  # with 8, every stage of the pipeline has been full
        path = tmp_path / f"{count}.tif"
        with tifffile.TiffWriter(path) as file:
            for _ in range(count):
                file.write(page, photometric="rgb", contiguous=False)
        job = Job(path, tmp_path / f"{count}_x2.tif", "tiff")
        with DecoderPool(DecodeLimits()) as decoder:
            first = decoder.read(path)
            tracemalloc.start()
            means = ImageContext(decoder, _Ledger(), QuietReporter(1))
            upscale_multipage(job, first, _Upscalers(), batch, means)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        with tifffile.TiffFile(job.target) as file:
            assert len(file.pages) == count
            assert np.array_equal(file.pages[-1].asarray(), page.repeat(2, 0).repeat(2, 1))
    assert peaks[1] < peaks[0] + 4 * page.nbytes  # less than one page of the result


@pytest.mark.parametrize(
    ("numbers", "words"),
    [([1, 2, 3, 7], "pages 1-3, 7"), ([4], "page 4"), ([2, 3], "pages 2-3"), ([], "pages ")],
)
def test_pages_in_words(numbers: list[int], words: str) -> None:
    if numbers:
        assert _named(numbers, 9) == words
    assert _named(list(range(1, 10)), 9) == "all pages"
