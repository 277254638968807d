"""Patches gathered on a device are the loader's, bit for bit. The device is the CPU here."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from srcli.data.degradation import DegradationRanges
from srcli.data.device_patches import DegradedInput, DevicePatches
from srcli.data.images import ImageStore, find_sources
from srcli.data.patch_draws import Share
from srcli.data.patches import PatchBatch, PatchLoader, PatchSampler
from srcli.data.resize import resize
from srcli.data.targets import TENSOR, TargetImages
from srcli.errors import UsageError

CPU = torch.device("cpu")
ALONE = Share()
SIZES = {"a.png": (64, 80), "b.avif": (49, 50), "deep/c.png": (120, 96)}


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    for name, (h, w) in SIZES.items():
        path = tmp_path / "hr" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (h // 4 + 1, w // 4 + 1, 3), dtype=np.uint8)
        Image.fromarray(resize(coarse, h, w)).save(path)
    return tmp_path / "hr"


def store_of(folder: Path) -> ImageStore:
    sources, _ = find_sources([folder], 2, 32, [0.5], 90)
    assert len(sources) == 4  # the last is a reduction
    return ImageStore(sources, 2, 10**9)


def targets(store: ImageStore, folder: Path, *, own_size: bool) -> TargetImages:
    """Noise in place of a teacher's outputs."""
    rng = np.random.default_rng(1)

    def made(name: str, height: int, width: int) -> Path:
        path = folder / f"{name}.safetensors"
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        save_file({TENSOR: image}, path)
        return path

    files = [made(f"{n}", s.height, s.width) for n, s in enumerate(store.sources)]
    whole = {s.path: n for n, s in enumerate(store.sources) if s.reduced_from is None}
    own = {
        path: (n, made(f"own{n}", 2 * store.sources[n].height, 2 * store.sources[n].width))
        for path, n in whole.items()
    }
    return TargetImages(files, [own[s.path] for s in store.sources] if own_size else ())


def sampler(
    store: ImageStore, share: Share = ALONE, teacher: TargetImages | None = None,
    warnings: list[str] | None = None, batch: int = 32,
) -> PatchSampler:  # fmt: skip
    heard = [] if warnings is None else warnings
    return PatchSampler(
        store, scale=2, patch=16, batch=batch, seed=3, share=share, warn=heard.append,
        teacher=teacher,
    )  # fmt: skip


def assert_same(one: PatchBatch, other: PatchBatch) -> None:
    assert (one.step, one.own_size) == (other.step, other.own_size)
    assert (one.teacher is None) == (other.teacher is None)
    pairs = [(one.lr, other.lr), (one.hr, other.hr)]
    if one.teacher is not None and other.teacher is not None:
        pairs.append((one.teacher, other.teacher))
    for a, b in pairs:
        assert a.dtype == b.dtype == torch.uint8
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", ["originals", "teacher", "own size"])
@pytest.mark.parametrize("share", [Share(), Share(1, 2)])
def test_gathers_what_the_loader_cuts(folder: Path, tmp_path: Path, kind: str, share: Share):
    store = store_of(folder)
    teacher = None
    if kind != "originals":
        teacher = targets(store, tmp_path, own_size=kind == "own size")
    cutting = sampler(store, share, teacher)
    gathering = DevicePatches(sampler(store_of(folder), share, teacher), CPU)
    with closing(PatchLoader(cutting, workers=1, ahead=2).batches(5)) as wanted:
        for batch, _ in zip(gathering.batches(5), range(4), strict=False):
            assert_same(batch, next(wanted))
    assert (batch.own_size > 0) == (kind == "own size")
    assert_same(gathering.cut(2), cutting.cut(2))
    drawn = [cutting.draws.of_step(step) for step in range(5, 9)]
    assert {int(turn) for one in drawn for turn in one.turns} == set(range(8))
    assert {int(number) for one in drawn for number in one.sources} == set(range(4))


@pytest.mark.parametrize(
    ("share", "workers"), [pytest.param(Share(), 2, marks=pytest.mark.slow), (Share(1, 2), 0)]
)
def test_degrades_as_the_loader_does_in_processes_of_their_own(
    folder: Path, tmp_path: Path, share: Share, workers: int
):
    store, ranges = (
        store_of(folder),
        DegradationRanges(share=0.7, kernel=0.5, noise=0.5, blur=0.5, h264=0.1),
    )
    teacher = targets(store, tmp_path, own_size=False)
    cutting = PatchLoader(
        sampler(store, share, teacher), workers=1, ahead=1, degradation=ranges
    )  # fmt: skip
    clean = sampler(store, share, teacher)
    degraded = DegradedInput(ranges, workers)
    gathering = DevicePatches(sampler(store_of(folder), share, teacher), CPU, degraded)
    with closing(gathering.batches(5)) as batches:
        for step, batch in zip(range(5, 9), batches, strict=False):
            assert_same(batch, cutting.cut(step))
            assert not torch.equal(batch.lr, clean.cut(step).lr)
    assert gathering.waited > 0
    assert_same(gathering.cut(2), cutting.cut(2))


def test_patches_lie_as_the_loaders_do_in_memory(folder: Path):
    store = store_of(folder)
    batch = DevicePatches(sampler(store), CPU).cut(0)
    assert batch.hr.shape == (32, 3, 32, 32)
    assert batch.hr.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("broken", [["a.png"], ["b.avif"], ["deep/c.png"], ["a.png", "deep/c.png"]])
def test_goes_on_to_the_same_image_after_one_that_cannot_be_read(
    folder: Path, tmp_path: Path, broken: list[str]
):
    taught = targets(store_of(folder), tmp_path, own_size=True)
    store, again = store_of(folder), store_of(folder)
    for name in broken:
        path = folder / name
        content = path.read_bytes()
        path.write_bytes(content[: 9 * len(content) // 10])
    heard: list[str] = []
    gathering = DevicePatches(sampler(store, teacher=taught, warnings=heard), CPU)
    wanted = sampler(again, teacher=taught)
    for step in range(3):
        assert_same(gathering.cut(step), wanted.cut(step))
    assert len(heard) == len(broken) + ("deep/c.png" in broken)  # and its reduction


def test_says_when_nothing_can_be_read(folder: Path):
    store = store_of(folder)
    for name in SIZES:
        (folder / name).write_bytes(b"nothing")
    with pytest.raises(UsageError, match="none of the training images can be read"):
        DevicePatches(sampler(store), CPU)
