"""Colour classes and pure windows."""

import colorsys
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srcli.models.layers.pure_pixels import (
    colour_centres,
    nearest_centre,
    pure_pixels,
    pure_windows,
)


def naive(labels: torch.Tensor, window: int, shift: tuple[int, int]) -> torch.Tensor:
    """Pixel by pixel: pure if all pixels whose window has the same number share the label."""
    h, w = labels.shape
    result = torch.zeros(h, w, dtype=torch.bool)

    def number(y: int, x: int) -> tuple[int, int]:
        return (y - shift[0]) // window, (x - shift[1]) // window

    for y in range(h):
        for x in range(w):
            mates = [
                labels[v, u]
                for v in range(max(0, y - window), min(h, y + window))
                for u in range(max(0, x - window), min(w, x + window))
                if number(v, u) == number(y, x)
            ]
            result[y, x] = all(mate == labels[y, x] for mate in mates)
    return result


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3),
    st.integers(0, 1000),
)  # fmt: skip
def test_windows_equal_a_loop(h: int, w: int, window: int, down: int, right: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (2, h, w), generator=generator)
    shift = (down % window, right % window)
    found = pure_windows(labels, window, shift)
    for i in range(2):
        assert torch.equal(found[i], naive(labels[i], window, shift))


def test_centres_are_evenly_spaced_hues():
    for k, centre in enumerate(colour_centres(16).tolist()):
        hue, saturation, value = colorsys.rgb_to_hsv(*centre)
        assert (hue * 16) % 16 == pytest.approx(k, abs=1e-4)
        assert (saturation, value) == pytest.approx((0.9, 0.9), abs=1e-6)


def distances(levels: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Of 8-bit pixels (..., 3) to centres, (..., K), in squared levels; fp64."""
    return (levels[..., None, :].double() - centres.double() * 255).square().sum(-1)


def test_nearest_centre_equals_distances():
    levels, centres = torch.randint(0, 256, (2, 3, 61, 47)), colour_centres(12)
    apart = distances(levels.permute(0, 2, 3, 1), centres)
    found = nearest_centre(levels / 255, centres)
    chosen = apart.gather(-1, found[..., None])[..., 0]
    # A centre moves by a 128th of a level at most: by far less than an 8-bit step counts.
    assert (chosen - apart.amin(-1)).max() < 5
    assert (found != apart.argmin(-1)).float().mean() < 0.01


@pytest.mark.parametrize("count", [8, 16, 32])
def test_of_two_centres_equally_near_a_gray_the_first_is_taken(count: int):
    """Hues k and K - k swap green and blue: every gray is as far from one as from the other."""
    gray = torch.arange(256)[:, None].expand(256, 3)
    centres = colour_centres(count)
    apart = distances(gray, centres)
    tied = apart <= apart.amin(-1, keepdim=True) + 1e-3
    assert tied.sum(-1).max() == 2
    expected = tied.int().argmax(-1)
    for height, width in ((1, 256), (256, 1), (16, 16), (8, 32)):
        image = gray.T.reshape(1, 3, height, width) / 255
        for same in (image, image.contiguous(memory_format=torch.channels_last)):
            assert torch.equal(nearest_centre(same, centres).flatten(), expected)
        larger = nearest_centre(image.repeat(2, 1, 3, 2), centres)
        assert torch.equal(larger, expected.view(1, height, width).repeat(2, 3, 2))
    assert (expected.diff() != 0).sum() == count // 2


def test_one_colour_is_all_pure_and_noise_is_not():
    centres = colour_centres(16)
    flat = nearest_centre(torch.full((1, 3, 13, 9), 0.42), centres)
    noise = nearest_centre(torch.rand(1, 3, 64, 64), centres)
    assert pure_pixels(flat, 4, [(0, 0), (2, 2)]).all()
    assert pure_pixels(noise, 4, [(0, 0), (2, 2)]).float().mean() < 0.01


def test_more_shifts_only_add():
    labels = (torch.rand(1, 40, 40) < 0.1).long()
    shifts = [(0, 0), (2, 2), (0, 2), (2, 0)]
    masks = [pure_pixels(labels, 4, shifts[: n + 1]) for n in range(4)]
    for fewer, more in itertools.pairwise(masks):
        assert (more | ~fewer).all()
    assert masks[3].sum() > masks[0].sum()
