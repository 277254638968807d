"""Training patches: aligned, repeatable, bounded in memory, patient with bad files."""

import os
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from srcli.data.degradation import DegradationRanges
from srcli.data.images import ImageStore, find_sources, read_rgb
from srcli.data.patch_draws import Share
from srcli.data.patches import PatchLoader, PatchSampler
from srcli.data.resize import downscale, resize
from srcli.data.targets import TENSOR, TargetImages
from srcli.errors import UnreadableImage, UsageError

ALONE = Share()


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    for name, (h, w) in {"a.png": (64, 80), "b.webp": (49, 50), "deep/c.png": (120, 96)}.items():
        path = tmp_path / "hr" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (h // 4 + 1, w // 4 + 1, 3), dtype=np.uint8)
        Image.fromarray(resize(coarse, h, w)).save(path, lossless=True)
    return tmp_path / "hr"


def sampler(
    folder: Path, *, batch: int = 8, share: Share = ALONE, seed: int = 3, budget: int = 10**9,
    warnings: list[str] | None = None,
) -> PatchSampler:  # fmt: skip
    sources, _ = find_sources([folder], 2, 32, [0.5], 90)
    heard = [] if warnings is None else warnings
    return PatchSampler(
        ImageStore(sources, 2, budget), scale=2, patch=16, batch=batch, seed=seed, share=share,
        warn=heard.append,
    )  # fmt: skip


def test_finds_images_at_any_depth_and_reduces_large_ones(folder: Path):
    sources, useless = find_sources([folder], 2, 32, [0.5, 0.3], 90)
    found = [(s.path.name, s.height, s.width, s.reduced_from) for s in sources]
    assert found == [
        ("a.png", 64, 80, None),
        ("b.webp", 48, 50, None),
        ("c.png", 120, 96, None),
        ("c.png", 60, 48, (60, 48)),  # at 0.3 it would be smaller than a patch
    ]
    assert useless == []


def test_names_what_is_of_no_use(folder: Path, tmp_path: Path):
    (folder / "broken.png").write_bytes(b"\x89PNG no more")
    Image.new("RGB", (31, 200)).save(folder / "narrow.png")
    _, useless = find_sources([folder], 2, 32, [], 90)
    assert len(useless) == 2
    assert "broken.png" in useless[0]
    assert "narrow.png: 31x200 px, a patch takes 32" in useless[1]
    with pytest.raises(UsageError, match="no training folder"):
        find_sources([tmp_path / "none"], 2, 32, [], 90)
    with pytest.raises(UsageError, match=r"of 5 images 1 cannot be read, 4 too small; .*broken"):
        find_sources([folder], 2, 500, [], 90)


def test_says_why_there_is_nothing_to_train_on(folder: Path, tmp_path: Path):
    for name in ("empty", "damaged"):
        (tmp_path / name).mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    with pytest.raises(UsageError, match=r"empty has no images \(\.avif, \.bmp, .*\.webp\)$"):
        find_sources([folder, tmp_path / "empty"], 2, 32, [], 90)
    (tmp_path / "damaged" / "x.png").write_bytes(b"\x89PNG no more")
    with pytest.raises(
        UsageError, match=r"of 1 image 1 cannot be read, 0 too small; .*x\.png: cannot identify"
    ):
        find_sources([tmp_path / "damaged"], 2, 32, [], 90)
    with pytest.raises(UsageError, match=r"of 3 images 0 cannot .* 3 too small; .*a\.png: 80x64"):
        find_sources([folder], 2, 500, [], 90)


def test_names_folders_that_cannot_be_listed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def refusing(path: str) -> object:
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    scan = os.scandir
    monkeypatch.setattr(os, "scandir", refusing)  # root may list everything
    sources, useless = find_sources([folder], 2, 32, [], 90)
    assert [s.path.name for s in sources] == ["a.png", "b.webp"]
    assert useless == [f"{folder / 'deep'}: Permission denied"]
    for path in ("a.png", "b.webp"):
        (folder / path).unlink()
    with pytest.raises(UsageError, match=r"hr has no images \(.*\); .*deep: Permission denied"):
        find_sources([folder], 2, 32, [], 90)


def test_patches_are_aligned(folder: Path):
    """Every LR patch is where its HR patch is, and is turned as it is."""
    batch = sampler(folder, batch=32).cut(0)
    for lr, hr in zip(batch.lr, batch.hr, strict=True):
        own = downscale(hr.permute(1, 2, 0).numpy(), 2)
        inner = np.s_[3:-3, 3:-3]  # at the rim, the whole image continues
        difference = own[inner].astype(int) - lr.permute(1, 2, 0).numpy()[inner]
        assert np.abs(difference).max() <= 3  # turned, width came first


def test_order_depends_on_seed_and_step_alone(folder: Path):
    first, again = sampler(folder), sampler(folder, budget=1)
    again.cut(5)
    for step in (7, 3):
        assert torch.equal(first.cut(step).hr, again.cut(step).hr)
    assert not torch.equal(first.cut(3).hr, first.cut(4).hr)
    assert not torch.equal(first.cut(3).hr, sampler(folder, seed=4).cut(3).hr)


def test_processes_share_a_batch(folder: Path):
    whole = sampler(folder).cut(2).lr
    parts = [sampler(folder, share=Share(rank, 2)).cut(2).lr for rank in (0, 1)]
    assert torch.equal(torch.stack(parts, 1).flatten(0, 1), whole)
    with pytest.raises(UsageError, match="a batch of 7 cannot be shared by 2"):
        sampler(folder, batch=7, share=Share(0, 2))


def test_a_teachers_patches_are_where_the_others_are(folder: Path, tmp_path: Path):
    """A teacher that gives the original back, and each px of a file that is LR twice to a side."""
    sources, _ = find_sources([folder], 2, 32, [0.5], 90)
    store = ImageStore(sources, 2, 10**9)
    whole = [0, 1, 2, 2]  # the last one is a reduction of the third
    for number in range(4):
        hr = store.get(number).hr
        save_file({TENSOR: hr}, tmp_path / f"{number}.st")
        save_file({TENSOR: hr.repeat(2, 0).repeat(2, 1)}, tmp_path / f"own{number}.st")
    files = [tmp_path / f"{number}.st" for number in range(4)]
    own_size = [(number, tmp_path / f"own{number}.st") for number in whole]
    told = {"scale": 2, "patch": 16, "batch": 9, "seed": 3, "warn": print}
    cutter = PatchSampler(store, share=ALONE, teacher=TargetImages(files, own_size), **told)
    without = PatchSampler(store, share=ALONE, **told)
    for step in range(4):
        batch, plain = cutter.cut(step), without.cut(step)
        assert batch.teacher is not None
        assert batch.own_size == 4
        assert torch.equal(batch.teacher, batch.hr)
        assert torch.equal(batch.hr[:5], plain.hr[:5])
        assert torch.equal(batch.lr[:5], plain.lr[:5])
        assert torch.equal(batch.teacher[5:, :, ::2, ::2], batch.lr[5:])
        assert plain.teacher is None
        assert plain.own_size == 0
    halves = [
        PatchSampler(store, share=Share(r, 3), teacher=TargetImages(files, own_size), **told).cut(1)
        for r in range(3)
    ]
    assert [half.own_size for half in halves] == [1, 1, 2]
    assert torch.equal(torch.stack([h.lr for h in halves], 1).flatten(0, 1), cutter.cut(1).lr)
    with pytest.raises(UsageError, match=r"leaves some of 9 processes no original: hint: data"):
        PatchSampler(store, share=Share(0, 9), teacher=TargetImages(files, own_size), **told)


def test_own_size_patches_skip_what_cannot_be_decoded(folder: Path, tmp_path: Path):
    sources, _ = find_sources([folder], 2, 32, [0.5], 90)
    store = ImageStore(sources, 2, 10**9)
    for number in (0, 2, 3):
        hr = store.get(number).hr
        save_file({TENSOR: hr}, tmp_path / f"{number}.st")
        save_file({TENSOR: hr.repeat(2, 0).repeat(2, 1)}, tmp_path / f"own{number}.st")
    (folder / "b.webp").write_bytes((folder / "b.webp").read_bytes()[:600])
    teacher = TargetImages(
        [tmp_path / f"{number}.st" for number in range(4)],
        [(number, tmp_path / f"own{number}.st") for number in (0, 1, 2, 2)],
    )
    heard: list[str] = []
    cutter = PatchSampler(
        ImageStore(sources, 2, 10**9), scale=2, patch=16, batch=8, seed=3, share=ALONE,
        warn=heard.append, teacher=teacher,
    )  # fmt: skip
    for step in range(6):
        batch = cutter.cut(step)
        assert batch.teacher is not None
        assert torch.equal(batch.teacher[4:, :, ::2, ::2], batch.lr[4:])
    assert len(heard) == 1


def test_loader_keeps_the_order(folder: Path):
    loader = PatchLoader(sampler(folder), workers=3, ahead=4)
    with closing(loader.batches(10)) as batches:
        taken = [next(batches) for _ in range(6)]
    assert [batch.step for batch in taken] == list(range(10, 16))
    assert torch.equal(taken[3].lr, sampler(folder).cut(13).lr)


def test_lr_patches_are_degraded_by_seed_and_step_and_their_targets_are_not(folder: Path):
    ranges = DegradationRanges(share=1.0, jpeg=1.0, jpeg_quality=(10.0, 30.0))
    loader = PatchLoader(sampler(folder), workers=2, ahead=3, degradation=ranges)
    with closing(loader.batches(4)) as batches:
        taken = [next(batches) for _ in range(3)]
    clean = sampler(folder).cut(5)
    assert torch.equal(taken[1].hr, clean.hr)
    assert all(not torch.equal(a, b) for a, b in zip(taken[1].lr, clean.lr, strict=True))
    assert torch.equal(taken[1].lr, loader.cut(5).lr)
    halves = [
        PatchLoader(
            sampler(folder, share=Share(rank, 2)), workers=1, ahead=1, degradation=ranges
        ).cut(5)
        for rank in (0, 1)
    ]
    assert torch.equal(halves[1].lr, taken[1].lr[1::2])  # however many processes share a batch


def test_loader_tells_how_long_it_was_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch):
    slow = sampler(folder)
    cut, begin = slow.cut, threading.Event()
    monkeypatch.setattr(slow, "cut", lambda step: (begin.wait(), cut(step))[1])
    loader = PatchLoader(slow, workers=1, ahead=1)
    with closing(loader.batches(0)) as batches:
        threading.Timer(0.1, begin.set).start()
        next(batches)
    assert loader.waited >= 0.05


def test_store_forgets_what_exceeds_its_budget(folder: Path):
    sources, _ = find_sources([folder], 2, 32, [], 1000)
    store = ImageStore(sources, 2, budget=70 * 80 * 3)
    kept = store.get(0).hr
    assert store.get(0).hr is kept
    store.get(2)
    store.get(1)
    again = store.get(0)
    assert again.hr is not kept
    np.testing.assert_array_equal(again.hr, kept)
    assert again.lr is store.get(0).lr


def test_store_counts_lr_images_too(folder: Path):
    sources, _ = find_sources([folder], 2, 32, [], 1000)
    store = ImageStore(sources, 2, budget=1)
    first = store.get(0).lr
    store.get(1)
    again = store.get(0).lr
    assert again is not first
    np.testing.assert_array_equal(again, first)


def test_skips_a_file_that_cannot_be_decoded(folder: Path):
    path = folder / "a.png"
    path.write_bytes(path.read_bytes()[:600])  # the header is whole, the pixels are not
    heard: list[str] = []
    cutter = sampler(folder, warnings=heard)
    for step in range(3):
        assert cutter.cut(step).lr.shape == (8, 3, 16, 16)
    assert len(heard) == 1
    assert "a.png" in heard[0]


def test_says_when_nothing_can_be_decoded(tmp_path: Path):
    Image.new("RGB", (40, 40), (1, 2, 3)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:50])
    with pytest.raises(UsageError, match="none of the training images can be read"):
        sampler(tmp_path).cut(0)


def test_refuses_more_than_8_bits(tmp_path: Path):
    Image.fromarray(np.full((9, 9), 40000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(UnreadableImage, match=r"deep\.png: I;16 is not 8 bits"):
        read_rgb(tmp_path / "deep.png")
