"""Benchmark sets in the layouts that people have, and the large ones made from DIV8K."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.data import large_sets
from srcli.data.benchmark_set import BenchmarkSet, find_set, pair_folders, pairs_in, single_folder
from srcli.data.hash_list import altered_files
from srcli.data.images import read_rgb
from srcli.data.large_sets import RECIPES, prepare
from srcli.data.resize import downscale
from srcli.data.roots import data_roots
from srcli.data.sets import benchmark_set, benchmark_sets
from srcli.data.sizes import images_of_sizes
from srcli.errors import MissingDataSet, UsageError

MINI = BenchmarkSet("Mini", 2, 0.1, origin="it is to be had nowhere")


@pytest.fixture
def hr(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (48, 36, 3), dtype=np.uint8)


def save(image: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


LAYOUTS = {
    "ours": ("x4/HR/{}.png", "x4/LR/{}.png"),
    "basicsr": ("GTmod12/{}.png", "LRbicx4/{}.png"),
    "basicsr-named": ("GTmod12/{}.png", "LRbicx4/{}x4.png"),
    "kair": ("HR/{}.png", "LR_bicubic/X4/{}x4.png"),
    "plain": ("HR/{}.png", "LR/{}.png"),
    "lower": ("hr/{}.png", "lr/{}.png"),
    "hr alone": ("HR/{}.png", None),
    "bare": ("{}.png", None),
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("folder", ["Mini", "mini"])
def test_every_layout_is_found(tmp_path: Path, hr: np.ndarray, layout: str, folder: str):
    original, reduced = LAYOUTS[layout]
    for name in ("a", "b"):
        save(hr, tmp_path / folder / original.format(name))
        if reduced is not None:
            save(downscale(hr, 4), tmp_path / folder / reduced.format(name))
    pairs = find_set(MINI, 4, [tmp_path / "absent", tmp_path])
    assert [pair.name for pair in pairs] == ["a", "b"]
    loaded_hr, lr = pairs[0].load(4)
    assert np.array_equal(lr, downscale(hr, 4))
    assert loaded_hr is not None
    assert np.array_equal(loaded_hr, hr)


def test_screens_come_with_srcli_whatever_lies_in_the_root(tmp_path: Path, hr: np.ndarray):
    save(hr, tmp_path / "screens" / "mine.png")
    pairs = find_set(benchmark_set("screens"), 4, [tmp_path])
    images = [hr for hr, lr in (pair.load(4) for pair in pairs) if hr is not None]
    assert [image.shape for image in images] == [(512, 768, 3)] * benchmark_set("screens").images
    assert len({image.tobytes() for image in images}) == 8
    assert sum(pair.hr.stat().st_size for pair in pairs if pair.hr is not None) < 300_000


def test_hr_is_cropped_to_whole_lr_pixels(tmp_path: Path, hr: np.ndarray):
    save(hr[:46, :33], tmp_path / "HR" / "a.png")
    loaded_hr, lr = single_folder(tmp_path / "HR", is_hr=True)[0].load(4)
    assert loaded_hr is not None
    assert (loaded_hr.shape, lr.shape) == ((44, 32, 3), (11, 8, 3))


def test_a_missing_set_says_where_and_how(tmp_path: Path):
    with pytest.raises(MissingDataSet, match="Mini x4 is not on this machine") as caught:
        find_set(MINI, 4, [tmp_path])
    for word in (str(tmp_path / "Mini"), "nowhere", "--data-root"):
        assert word in f"{caught.value}; {caught.value.hint}"
    with pytest.raises(MissingDataSet, match=r"; hint: srcli datasets download Set5 -s 2$"):
        find_set(benchmark_set("Set5"), 2, [tmp_path])


def test_pairs_of_one_name_are_not_mixed_up(tmp_path: Path, hr: np.ndarray):
    for folder in ("hr", "lr"):
        save(hr, tmp_path / folder / "a.png")
        save(hr, tmp_path / folder / "a.bmp")
    with pytest.raises(UsageError, match="lr has several images named a; hint: rename all but one"):
        pair_folders(tmp_path / "hr", tmp_path / "lr", 4)


def test_pairs_that_do_not_belong_together(tmp_path: Path, hr: np.ndarray):
    save(hr, tmp_path / "hr" / "a.png")
    save(hr, tmp_path / "hr" / "b.png")
    save(hr, tmp_path / "lr" / "a.png")
    with pytest.raises(UsageError, match=r"has 2 images and .*lr 1: .* none for b.png"):
        pair_folders(tmp_path / "hr", tmp_path / "lr", 4)
    save(hr[:12], tmp_path / "lr" / "b.png")
    pairs = pair_folders(tmp_path / "hr", tmp_path / "lr", 4)
    with pytest.raises(UsageError, match="a: HR is 36x48 px and LR 36x48, which is no x4 pair"):
        pairs[0].load(4)
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match=r"no images in .*none"):
        single_folder(tmp_path / "none", is_hr=True)


def test_names():
    assert set(benchmark_sets()) == {
        "Set5", "Set14", "B100", "Urban100", "Manga109", "DIV2K", "Test2K", "Test4K", "Test8K",
        "screens",
    }  # fmt: skip
    assert benchmark_set("test4k").name == "Test4K"
    with pytest.raises(UsageError, match="no data set named 'Urban10'; did you mean Urban100"):
        benchmark_set("Urban10")


def test_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SRCLI_DATA", f"{tmp_path}:/other")
    assert data_roots(None)[:2] == [tmp_path, Path("/other")]
    assert data_roots(Path("told"))[0] == Path("told")
    assert len(data_roots(Path("told"))) == 2


def test_sizes(tmp_path: Path, hr: np.ndarray):
    save(hr, tmp_path / "one.png")
    size, file = images_of_sizes(["20x30", str(tmp_path / "one.png")])
    assert size.load(4)[1].shape == (30, 20, 3)
    assert np.array_equal(size.load(4)[1], size.load(2)[1])
    assert np.array_equal(file.load(4)[1], hr)
    for wrong in ("20x", "0x5", "none.png"):
        with pytest.raises(UsageError, match=wrong):
            images_of_sizes([wrong])


@pytest.fixture
def div8k(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(large_sets, "_COUNT", 3)
    folder = tmp_path / "DIV8K"
    for number in range(1201, 1204):
        save(rng.integers(0, 256, (70, 100, 3), dtype=np.uint8), folder / f"{number}.png")
    return folder


def test_large_sets_follow_the_recipe_and_resume(tmp_path: Path, div8k: Path):
    done: list[str] = []
    manifest = prepare("Test2K", div8k, tmp_path / "root", 4, done.append)
    assert done == ["1201", "1202", "1203"]
    pairs = pairs_in(tmp_path / "root" / "Test2K", 4)
    with pytest.raises(
        MissingDataSet, match="only in part: 3 of 100 images; hint: srcli datasets pr"
    ):
        find_set(benchmark_set("Test2K"), 4, [tmp_path / "root"])
    hr, lr = pairs[0].load(4)
    source = read_rgb(div8k / "1201.png")[:64, :96]
    assert np.array_equal(hr, downscale(source, 4))
    assert np.array_equal(lr, downscale(downscale(source, 4), 4))
    hashes = json.loads(manifest.read_text())
    assert set(hashes) == {f"{part}/{n}.png" for part in ("HR", "LR") for n in done}
    assert altered_files(manifest) == []
    kept, broken = manifest.parent / "HR" / "1201.png", manifest.parent / "LR" / "1202.png"
    before = kept.stat().st_mtime_ns
    broken.write_bytes(broken.read_bytes()[:20])
    (manifest.parent / "LR" / "1203.png").unlink()
    assert altered_files(manifest) == ["LR/1202.png", "LR/1203.png"]
    manifest = prepare("Test2K", div8k, tmp_path / "root", 4, done.append)
    assert json.loads(manifest.read_text()) == hashes
    assert kept.stat().st_mtime_ns == before
    with Image.open(broken) as mended:
        assert mended.size == (6, 4)
    shutil.rmtree(div8k)
    with pytest.raises(UsageError, match=r"has no image 1201\.png"):
        prepare("Test2K", div8k, tmp_path / "root", 4, done.append)


@pytest.mark.parametrize("content", [b"", b'{"HR/1201.png": "0a', b"\xff\xfe", b"[]"])
def test_a_damaged_manifest_is_made_again(tmp_path: Path, div8k: Path, content: bytes):
    manifest = prepare("Test2K", div8k, tmp_path / "root", 4, lambda _: None)
    whole = manifest.read_bytes()
    manifest.write_bytes(content)
    assert prepare("Test2K", div8k, tmp_path / "root", 4, lambda _: None) == manifest
    assert manifest.read_bytes() == whole


def test_a_root_that_cannot_be_made_is_told(tmp_path: Path, div8k: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"^cannot write .*file/sets.*: .*; .*--data-root.*$"):
        prepare("Test2K", div8k, tmp_path / "file" / "sets", 4, lambda _: None)


def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path, div8k: Path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    try:
        with pytest.raises(UsageError, match=r"^cannot write .*x4.*: File too large; .*data-root"):
            prepare("Test2K", div8k, tmp_path / "root", 4, lambda _: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path for path in (tmp_path / "root").rglob("*") if path.is_file()] == []
    manifest = prepare("Test2K", div8k, tmp_path / "root", 4, lambda _: None)
    names = {"manifest.json", *(f"{number}.png" for number in range(1201, 1204))}
    assert {path.name for path in manifest.parent.rglob("*") if path.is_file()} == names


def test_recipes():
    assert RECIPES == {"Test2K": (1201, 4), "Test4K": (1301, 2), "Test8K": (1401, 1)}
