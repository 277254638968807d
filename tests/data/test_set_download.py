"""Benchmark sets from their real addresses, played by a server on this machine."""

import shutil
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.data.benchmark_set import find_set
from srcli.data.hash_list import altered_files, read_hashes
from srcli.data.images import read_rgb
from srcli.data.resize import downscale
from srcli.data.set_download import MIRRORS, SetProgress, download_set
from srcli.data.sets import benchmark_set
from srcli.errors import DownloadError, MissingDataSet, UsageError
from srcli.transfer.policy import Policy
from tests.data.published_sets import png, serve_div2k, serve_images
from tests.weights.published_server import QUICK, PublishedServer, serving_published

SET5 = benchmark_set("Set5")
AT = "github.com/jbhuang0604/SelfExSR/raw/master/data"
SILENT = SetProgress()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublishedServer]:
    (tmp_path / "server").mkdir()
    with serving_published(tmp_path / "server") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "sets"


def left(root: Path) -> list[str]:
    """All files there are, but for locks."""
    found = (p for p in root.rglob("*") if p.is_file() and p.suffix != ".lock")
    return sorted(str(path.relative_to(root)) for path in found)


def test_a_set_comes_whole_with_lr_and_is_found(served: PublishedServer, root: Path) -> None:
    images = serve_images(served, "Set5")
    begun: list[int] = []
    progress = SetProgress(on_begin=lambda files: begun.append(len(files)))
    folder = download_set(SET5, 4, root, QUICK, progress)
    assert folder == root / "Set5" / "x4"
    assert served.requests[0] == (f"{AT}/Set5/image_SRF_4/img_001_SRF_4_HR.png", "")
    assert [(folder / "HR" / f"img_{n:03}.png").read_bytes() for n in range(1, 6)] == images
    pairs = find_set(SET5, 4, [root])
    assert [pair.name for pair in pairs] == [f"img_{number:03}" for number in range(1, 6)]
    for pair in pairs:
        hr, lr = pair.load(4)
        assert hr is not None
        assert np.array_equal(lr, downscale(hr, 4))
    assert len(read_hashes(folder / "manifest.json")) == 10
    assert altered_files(folder / "manifest.json") == []
    download_set(SET5, 4, root, QUICK, progress)
    assert (begun, len(served.requests)) == ([5], 5)  # nothing is asked for twice


def test_b100_is_bsd100_and_urban100_has_no_x3(served: PublishedServer, root: Path) -> None:
    files = benchmark_set("B100").parts[2].files
    assert len(files) == 100
    assert files[99].url.endswith("/data/BSD100/image_SRF_2/img_100_SRF_2_HR.png")
    files = benchmark_set("Urban100").parts[3].files
    assert files[0].url.endswith("/data/Urban100/image_SRF_2/img_001_SRF_2_HR.png")
    set14 = benchmark_set("Set14")  # of which the same is tried with few images
    as_urban = replace(set14.parts[3], side_multiple=2)
    for file in as_urban.files:
        served.serve_at(file.url, png(7, 50, 62))
    folder = download_set(replace(set14, parts={3: as_urban}), 3, root, QUICK, SILENT)
    hr, lr = find_set(set14, 3, [root])[0].load(3)
    assert hr is not None
    assert (hr.shape, lr.shape) == ((48, 60, 3), (16, 20, 3))
    assert read_rgb(folder / "HR" / "img_001.png").shape == (50, 62, 3)


def test_images_that_are_there_are_kept(served: PublishedServer, root: Path) -> None:
    images = serve_images(served, "Set5")
    hr, lr = (root / "Set5" / "x4" / part for part in ("HR", "LR"))
    hr.mkdir(parents=True)
    lr.mkdir()
    (hr / "img_001.png").write_bytes(images[0])  # as one that somebody has copied there
    Image.fromarray(read_rgb(hr / "img_001.png")[::4, ::4]).save(lr / "img_001.png")
    own = (lr / "img_001.png").read_bytes()
    (hr / "img_002.png").write_bytes(images[1][:-30])  # which is not whole
    download_set(SET5, 4, root, QUICK, SILENT)
    assert len(served.requests) == 4
    assert (lr / "img_001.png").read_bytes() == own
    assert (hr / "img_002.png").read_bytes() == images[1]


def test_altered_images_are_mended_from_the_first_download_alone(
    served: PublishedServer, root: Path
) -> None:
    images = serve_images(served, "Set5")
    folder = download_set(SET5, 4, root, QUICK, SILENT)
    altered = folder / "HR" / "img_003.png"
    altered.write_bytes(b"altered")
    (folder / "LR" / "img_004.png").unlink()
    assert altered_files(folder / "manifest.json") == ["HR/img_003.png", "LR/img_004.png"]
    download_set(SET5, 4, root, QUICK, SILENT)
    assert altered.read_bytes() == images[2]
    assert altered_files(folder / "manifest.json") == []
    altered.unlink()
    served.serve_at(SET5.parts[4].files[2].url, png(99))
    with pytest.raises(DownloadError, match=r"that of the first download was .*x4/manifest\.json$"):
        download_set(SET5, 4, root, QUICK, SILENT)
    assert not altered.exists()


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("page", r"a web page instead of the file; hint: .*put it at .*img_001\.png"),
        ("quiet-page", "a web page instead of the file"),
        ("wrong", "bytes that are no PNG image"),
        ("unannounced", "is not a whole PNG image: "),
        ("denied", "407"),
        ("other", "is 49x63 px, whose sides must be multiples of 4: not the image that is meant"),
        ("absent", "the server says 404 Not Found"),
    ],
)
def test_what_is_not_the_image_is_refused_and_leaves_nothing(
    served: PublishedServer, root: Path, fault: str, line: str
) -> None:
    serve_images(served, "Set5")
    if fault == "other":
        served.serve_at(SET5.parts[4].files[0].url, png(1, 63, 49))
    elif fault == "absent":
        served.files.clear()
    else:
        served.fault = fault
    with pytest.raises(DownloadError, match=line) as told:
        download_set(SET5, 4, root, replace(QUICK, retries=0), SILENT)
    assert str(told.value).startswith("Set5 x4 could not be downloaded: ")
    assert "\n" not in str(told.value)
    assert left(root) == []
    with pytest.raises(MissingDataSet, match="is not on this machine"):
        find_set(SET5, 4, [root])


def test_an_interrupted_download_is_not_taken_for_the_set(
    served: PublishedServer, root: Path
) -> None:
    serve_images(served, "Set5")

    def interrupt(done: int, total: int) -> None:
        if len(served.requests) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_set(SET5, 4, root, QUICK, SetProgress(on_bytes=interrupt))
    assert len(left(root)) == 5  # two pairs and the list
    with pytest.raises(
        MissingDataSet, match=r"in part: 2 of 5 images; hint: .*download Set5 continues"
    ):
        find_set(SET5, 4, [root])
    download_set(SET5, 4, root, QUICK, SILENT)
    assert len(served.requests) == 6
    assert len(find_set(SET5, 4, [root])) == 5


def test_div2k_is_unpacked_and_hr_comes_once(served: PublishedServer, root: Path) -> None:
    one = serve_div2k(served)
    served.cuts = 1
    seen: list[tuple[int, int]] = []
    progress = SetProgress(on_bytes=lambda *bytes_: seen.append(bytes_))
    folder = download_set(one, 4, root, QUICK, progress)
    hr, lr = one.parts[4].files
    at = "data.vision.ee.ethz.ch/cvl/DIV2K"
    assert served.requests == [
        (f"{at}/DIV2K_valid_HR.zip", ""),
        (f"{at}/DIV2K_valid_HR.zip", f"bytes={hr.size // 2}-"),
        (f"{at}/DIV2K_valid_LR_bicubic_X4.zip", ""),
    ]
    assert (hr.size, hr.size) in seen
    assert (lr.size, lr.size) in seen
    assert len(left(root)) == 201  # neither the archives nor what else is in them
    assert not (root.parent / "outside.txt").exists()
    assert len(read_hashes(folder / "manifest.json")) == 200
    pairs = find_set(one, 4, [root])
    assert (len(pairs), pairs[0].name) == (100, "0801")
    assert pairs[0].lr == folder / "LR_bicubic" / "X4" / "0801x4.png"
    download_set(one, 2, root, QUICK, SILENT)
    assert len(served.requests) == 4
    assert find_set(one, 2, [root])[0].load(2)[1].shape == (16, 16, 3)


def test_an_archive_goes_on_where_another_process_was_killed(
    served: PublishedServer, root: Path
) -> None:
    one = serve_div2k(served)
    one = replace(one, parts={4: replace(one.parts[4], files=one.parts[4].files[:1])})
    hr = one.parts[4].files[0]
    whole = served.files[hr.url.removeprefix("https://")]
    (root / "DIV2K").mkdir(parents=True)
    (root / "DIV2K" / ".DIV2K_valid_HR.zip.part").write_bytes(whole[:1000])
    download_set(one, 4, root, QUICK, SILENT)
    assert [asked for _, asked in served.requests] == ["bytes=1000-"]
    assert len(left(root)) == 101


def test_a_part_of_another_archive_is_forgotten(served: PublishedServer, root: Path) -> None:
    one = serve_div2k(served)
    one = replace(one, parts={4: replace(one.parts[4], files=one.parts[4].files[:1])})
    (root / "DIV2K").mkdir(parents=True)
    (root / "DIV2K" / ".DIV2K_valid_HR.zip.part").write_bytes(b"of another version")
    download_set(one, 4, root, QUICK, SILENT)
    assert [asked for _, asked in served.requests] == ["bytes=18-", ""]


def test_a_wrong_archive_is_refused_and_leaves_nothing(served: PublishedServer, root: Path) -> None:
    one = serve_div2k(served)
    served.fault = "wrong"
    with pytest.raises(
        DownloadError, match=r"sha256 is \w+, must be \w+; deleted.*another network"
    ):
        download_set(one, 4, root, QUICK, SILENT)
    assert left(root) == []
    served.fault = ""
    lacking = serve_div2k(served, lacks="0850.png")
    with pytest.raises(DownloadError, match=r"has no image 0850\.png: not the archive that is"):
        download_set(lacking, 4, root, QUICK, SILENT)
    assert ".DIV2K_valid_HR.zip.part" not in left(root)


def test_a_full_disk_is_told_before_or_after(
    served: PublishedServer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    serve_images(served, "Set5")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    try:
        with pytest.raises(
            DownloadError, match=r"^Set5 x4 cannot be written: .*make room there, or"
        ):
            download_set(SET5, 4, root, QUICK, SILENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert left(root) == []
    one = serve_div2k(served)
    usage = namedtuple("usage", "total used free")  # as shutil has it
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9_000, 0, 9_000))
    with pytest.raises(DownloadError, match=r"DIV2K: \d+ bytes needed, 9000 free; make room there"):
        download_set(one, 4, root, QUICK, SILENT)
    assert left(root) == []


def test_a_folder_that_cannot_be_made(served: PublishedServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        DownloadError, match=r"cannot be written: .*file/sets.*: Not a directory; name another"
    ):
        download_set(SET5, 4, tmp_path / "file" / "sets", QUICK, SILENT)


def test_offline_asks_nobody(served: PublishedServer, root: Path) -> None:
    serve_images(served, "Set5")
    offline = replace(QUICK, offline=True)
    with pytest.raises(DownloadError, match=r"srcli is offline; hint: leave out --offline"):
        download_set(SET5, 4, root, offline, SILENT)
    assert (served.requests, root.exists()) == ([], False)
    download_set(SET5, 4, root, QUICK, SILENT)
    assert download_set(SET5, 4, root, offline, SILENT) == root / "Set5" / "x4"


def test_a_mirror_is_asked_first(
    served: PublishedServer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = serve_images(served, "Set5")
    served.serve_at(
        "https://data.vision.ee.ethz.ch/copy/data/Set5/image_SRF_4/img_001_SRF_4_HR.png", images[0]
    )
    monkeypatch.setenv("SRCLI_DATASETS_URL", "https://data.vision.ee.ethz.ch/copy/")
    mirror = Policy.of_environment(mirrors=MIRRORS).mirror
    download_set(SET5, 4, root, replace(QUICK, mirror=mirror), SILENT)
    asked = [place.partition("/")[0] for place, _ in served.requests]
    ethz, github = "data.vision.ee.ethz.ch", "github.com"
    assert asked == [ethz, *[ethz, github] * 4]  # it has the first alone


def test_what_cannot_be_downloaded(root: Path) -> None:
    with pytest.raises(
        UsageError, match=r"Test4K cannot be downloaded for x4: srcli datasets prep"
    ):
        download_set(benchmark_set("Test4K"), 4, root, QUICK, SILENT)
    with pytest.raises(UsageError, match=r"Manga109 .*: request its images at manga109"):
        download_set(benchmark_set("Manga109"), 4, root, QUICK, SILENT)
    with pytest.raises(UsageError, match=r"Set5 .* for x8: it is available for the scales 2, 3, 4"):
        download_set(SET5, 8, root, QUICK, SILENT)
