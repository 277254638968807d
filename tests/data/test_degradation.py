"""Degradations of LR: reproducible, within their ranges, on any grid of blocks."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from srcli.data.degradation import (
    DegradationRanges,
    HRRegion,
    degrader_named,
    random_degradation,
)
from srcli.data.reduction_kernels import KERNELS, reduced_region, region_around
from srcli.data.resize import downscale
from srcli.errors import UsageError

ALL = DegradationRanges(share=1.0, jpeg=1.0, twice=0.0, webp=0.0, noise=0.0, blur=0.0)


@pytest.fixture
def patch() -> np.ndarray:
    y, x = np.mgrid[:48, :48]
    return np.stack([x * 5, y * 5, (x + y) * 2 + 20 * (x > 20)], -1).astype(np.uint8)


def degraded(patch: np.ndarray, ranges: DegradationRanges, seed: int) -> np.ndarray:
    return random_degradation(patch, ranges, np.random.default_rng(seed))


def test_equal_numbers_degrade_equally_and_others_otherwise(patch: np.ndarray) -> None:
    ranges = DegradationRanges(share=1.0)
    made = [degraded(patch, ranges, seed) for seed in range(30)]
    assert all(np.array_equal(one, degraded(patch, ranges, n)) for n, one in enumerate(made))
    assert len({one.tobytes() for one in made}) > 20
    assert all(one.shape == patch.shape and one.dtype == np.uint8 for one in made)


def test_the_share_that_stays_clean_is_as_asked_for(patch: np.ndarray) -> None:
    for share in (0.0, 0.5, 1.0):
        ranges = replace(ALL, share=share, jpeg_quality=(20.0, 30.0))
        changed = sum(not np.array_equal(degraded(patch, ranges, n), patch) for n in range(200))
        assert abs(changed / 200 - share) < 0.12


def test_blocks_lie_anywhere_in_a_patch(patch: np.ndarray) -> None:
    """At the worst quality a block of luma is flat: its edges tell the grid."""
    ranges = replace(ALL, jpeg_quality=(1.0, 1.0), subsampled=0.0)
    edges = set()
    for seed in range(60):
        gray = degraded(patch, ranges, seed).astype(int).sum(2)
        steps = np.abs(np.diff(gray, axis=1)).sum(0)
        edges.add(int(steps.argmax() + 1) % 8)
    assert len(edges) >= 6


def test_a_lower_quality_costs_more(patch: np.ndarray) -> None:
    errors = [
        np.abs(degrader_named(f"{kind}:{n}")(patch).astype(int) - patch).mean()
        for kind, n in (("jpeg", 90), ("jpeg", 50), ("jpeg", 10))
    ]
    assert errors == sorted(errors)
    assert errors[0] > 0


def test_a_named_jpeg_is_pillows(patch: np.ndarray) -> None:
    stream = io.BytesIO()
    Image.fromarray(patch).save(stream, "JPEG", quality=75, subsampling=2)
    assert np.array_equal(degrader_named("jpeg:75")(patch), np.asarray(Image.open(stream)))


def test_names_chain_and_repeat_exactly(patch: np.ndarray) -> None:
    chain = degrader_named("noise:5+jpeg:75")
    assert np.array_equal(chain(patch), chain(patch))
    noise = degrader_named("noise:5")(patch).astype(int) - patch
    assert 4 < noise[8:40, 8:40].std() < 6
    assert np.array_equal(degrader_named("none")(patch), patch)
    assert degrader_named("blur:1")(patch).std() < patch.std()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("fog:3", "no degradation named 'fog:3'; hint: jpeg:N"),
        ("jpeg", "the number of jpeg must be 1 to 100"),
        ("jpeg:0", "the number of jpeg must be 1 to 100"),
        ("noise:5+webp:x", "'noise:5\\+webp:x': the number of webp must be 1 to 100"),
    ],
)
def test_a_wrong_name_gets_one_line(name: str, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        degrader_named(name)


def test_noise_of_photons_leaves_the_dark_alone() -> None:
    ranges = replace(ALL, jpeg=0.0, noise=1.0, noise_levels=(6.0, 6.0))
    image = np.zeros((48, 48, 3), np.uint8)
    image[:, 24:] = 200
    spread = [
        (made[:, :24].std(), made[:, 24:].std())
        for made in (degraded(image, ranges, n) for n in range(40))
    ]
    assert any(dark == 0 and light > 5 for dark, light in spread)
    assert any(dark > 2 for dark, _ in spread)


def test_a_frame_of_a_clip_loses_more_at_a_greater_qp(patch: np.ndarray) -> None:
    """A pan makes it a predicted frame, and odd sizes come back."""
    image = np.tile(patch, (2, 3, 1))[:71, :95]
    made = [degrader_named(f"h264:{qp}")(image) for qp in (10, 24, 40)]
    errors = [np.abs(one.astype(int) - image).mean() for one in made]
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in made)
    assert errors == sorted(errors)
    assert errors[0] < 6 < 1.3 * errors[2]
    assert np.array_equal(made[1], degrader_named("h264:24")(image))


def test_a_share_of_patches_is_compressed_as_frames(patch: np.ndarray) -> None:
    ranges = replace(ALL, jpeg=0.0, h264=0.5, h264_qp=(30.0, 40.0))
    changed = sum(not np.array_equal(degraded(patch, ranges, n), patch) for n in range(60))
    assert abs(changed / 60 - 0.5) < 0.2


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_reduces_as_pillow_reduces_the_whole_image(kernel: str) -> None:
    image = np.random.default_rng(3).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    whole = Image.fromarray(image)
    if kernel.endswith("aliased"):
        way = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
        plain = whole.transform(
            (40, 30), Image.Transform.EXTENT, (0, 0, 160, 120), way[kernel.split("-")[0]]
        )
    else:
        plain = whole.resize((40, 30), Image.Resampling[kernel.upper()])
    for top, left in ((0, 0), (7, 11), (14, 24)):
        made = reduced_region(region_around(image, (top, left), 16, 4), 4, kernel)
        part = np.asarray(plain)[top : top + 16, left : left + 16]
        inside = slice(4, -4)  # at the border of the image Pillow leaves pixels out
        assert np.abs(made.astype(int) - part)[inside, inside].max() <= 1
    assert not np.array_equal(np.asarray(plain), downscale(image, 4))


def test_other_kernels_take_the_hr_pixels_of_the_patch(patch: np.ndarray) -> None:
    ranges = replace(ALL, jpeg=0.0, kernel=1.0)
    wide = np.full((2 * (48 + 8), 2 * (48 + 8), 3), 99, np.uint8)
    region = HRRegion(lambda: wide, 2)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert (random_degradation(patch, ranges, rng, region) == 99).all()
    assert np.array_equal(degraded(patch, ranges, 1), patch)  # there are none
