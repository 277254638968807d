"""The bicubic against MATLAB's own files, and against itself written plainly."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from srcli.data.resize import downscale, resize, resize_float


def pattern() -> np.ndarray:
    """(12, 24, 3): something smooth, something rough, something with an edge."""
    y, x = np.mgrid[0:12, 0:24]
    planes = [(x * x * 7 + y * 13) % 256, (y * y * x * 3 + 40 * (x > 11)) % 256]
    return np.stack([*planes, (np.abs(x - y) * 29) % 256], -1).astype(np.uint8)


# Made by this code when it equalled MATLAB's LR files in every pixel.
GOLDEN_X4 = [
    [[45, 15, 34], [136, 54, 120], [148, 67, 132], [112, 114, 98], [123, 94, 154], [106, 70, 88]],
    [[101, 88, 120], [137, 134, 34], [117, 129, 120], [138, 138, 130], [43, 130, 99],
     [118, 119, 154]],
    [[151, 105, 132], [140, 134, 119], [122, 124, 34], [138, 117, 119], [107, 109, 130],
     [151, 132, 97]],
]  # fmt: skip
GOLDEN_X3_ROW = [
    [63, 49, 86], [152, 135, 24], [128, 135, 85], [147, 137, 175], [137, 150, 98], [61, 162, 83],
    [27, 101, 179], [118, 115, 102],
]  # fmt: skip


def test_equals_golden_values():
    assert downscale(pattern(), 4).tolist() == GOLDEN_X4
    assert downscale(pattern(), 3)[1].tolist() == GOLDEN_X3_ROW
    assert int(downscale(pattern(), 2).sum()) == 23691


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_equals_matlab_in_every_pixel_of_set5(shared: Path, scale: int):
    compared = list(pairs(shared, "Set5", scale))
    assert len(compared) == 5
    for hr, lr in compared:
        np.testing.assert_array_equal(downscale(hr, scale), lr)


@pytest.mark.parametrize(("name", "scale"), [("Set14", 2), ("Set14", 3), ("Set14", 4), ("B100", 4)])
def test_equals_matlab_inside_older_sets(shared: Path, name: str, scale: int):
    for hr, lr in pairs(shared, name, scale):
        inner = np.s_[4:-4, 4:-4]  # their outermost pixels follow an older border rule
        np.testing.assert_array_equal(downscale(hr, scale)[inner], lr[inner])


def pairs(shared: Path, name: str, scale: int):
    folder = shared / "data" / "benchmark" / name / f"x{scale}"
    for path in sorted((folder / "HR").iterdir()):
        yield tuple(
            np.array(Image.open(p).convert("RGB")) for p in (path, folder / "LR" / path.name)
        )


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 30), st.integers(1, 30))
def test_float_equals_the_plain_sum(height: int, width: int, rows: int, columns: int):
    image = np.random.default_rng(height * 31 + width).random((height, width, 2))
    wanted = plain(plain(image, rows, axis=0), columns, axis=1)
    np.testing.assert_allclose(resize_float(image, rows, columns), wanted, atol=1e-12)


def plain(image: np.ndarray, size: int, axis: int) -> np.ndarray:
    """One pass, sample by sample, from the definition."""
    image = np.moveaxis(image, axis, 0)
    length = len(image)
    step = length / size
    wide = max(step, 1.0)
    result = np.zeros((size, *image.shape[1:]))
    for i in range(size):
        centre = (i + 0.5) * step - 0.5
        total = 0.0
        for k in range(int(np.floor(centre - 2 * wide)), int(np.ceil(centre + 2 * wide)) + 1):
            weight = cubic((centre - k) / wide)
            mirrored = k % (2 * length)
            result[i] += weight * image[min(mirrored, 2 * length - 1 - mirrored)]
            total += weight
        result[i] /= total
    return np.moveaxis(result, 0, axis)


def cubic(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


def test_flat_images_stay_flat():
    flat = np.full((17, 9, 3), 201, np.uint8)
    assert (resize(flat, 5, 31) == 201).all()


def test_same_size_is_untouched():
    np.testing.assert_array_equal(resize(pattern(), 12, 24), pattern())


def test_refuses_sides_that_are_no_multiple():
    with pytest.raises(ValueError, match="24x12 px is no multiple of 5"):
        downscale(pattern(), 5)
