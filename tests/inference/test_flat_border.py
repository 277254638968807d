"""Flat images and flat borders come out as they are; nothing else is touched."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from srcli import Upscaler
from srcli.inference.flat_border import restore_flat_border

COLOURS = [(0, 0, 0), (255, 255, 255), (0, 255, 0), (200, 60, 50), (128, 128, 128)]


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler("adaformer-s", 4, device="cpu", precision="fp32", tile=32)


def flat(colour: tuple[int, ...], height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (40, 40), (33, 70)], ids=str)
def test_images_of_one_colour_stay_that_colour_corners_included(
    upscaler: Upscaler, size: tuple[int, int]
) -> None:
    for colour in COLOURS:
        off = np.abs(upscaler(flat(colour, *size)).astype(int) - colour)
        assert off.max() <= 2, colour


def test_a_flat_border_of_a_scan_is_mended_with_its_grain(
    upscaler: Upscaler, rng: np.random.Generator
) -> None:
    scan = flat((250, 240, 20), 64, 64) + rng.integers(0, 3, (64, 64, 3), dtype=np.uint8)
    scan[20:44, 20:44] = rng.integers(0, 256, (24, 24, 3))
    sr = upscaler(scan).astype(int)
    corners = np.concatenate([sr[:32, :32], sr[:32, -32:], sr[-32:, :32], sr[-32:, -32:]])
    assert np.abs(corners - (251, 241, 21)).max() <= 4


def test_frames_alpha_and_16_bits_are_mended_too(upscaler: Upscaler) -> None:
    frames = [flat(colour, 24, 16) for colour in COLOURS[:2]]
    for frame, result in zip(frames, upscaler.upscale_frames(frames)[0], strict=True):
        assert np.abs(result.astype(int) - frame[0, 0]).max() <= 2
    deep = np.full((20, 20, 4), (0, 65535, 0, 40000), np.uint16)
    assert np.abs(upscaler(deep).astype(int) - deep[0, 0]).max() <= 2 * 257
    half = Upscaler("adaformer-s", 2.5, device="cpu", precision="fp32")
    assert np.abs(half(flat((0, 255, 0), 20, 20)).astype(int) - (0, 255, 0)).max() <= 2


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_parts_are_mended_as_the_whole_is(scale: int, rng: np.random.Generator) -> None:
    lr = torch.full((3, 50, 61), 0.5)
    lr[:, 12:30, 25:50] = torch.as_tensor(rng.random((3, 18, 25)), dtype=torch.float32)
    lr += torch.as_tensor(rng.random((3, 50, 61)) / 200, dtype=torch.float32)
    sr = torch.as_tensor(rng.random((3, 50 * scale, 61 * scale)), dtype=torch.float32)
    whole = restore_flat_border(sr.clone(), lr, 0, 0, scale)
    assert not torch.equal(whole, sr)
    for rows in ((0, 7), (7, 40), (40, 50)):
        for columns in ((0, 16), (16, 61)):
            part = tuple(slice(a * scale, b * scale) for a, b in (rows, columns))
            crop = sr[:, *part].clone()
            mended = restore_flat_border(crop, lr, rows[0] * scale, columns[0] * scale, scale)
            torch.testing.assert_close(mended, whole[:, *part], atol=1e-6, rtol=0)


def test_what_is_not_flat_or_far_from_the_border_is_the_networks_own(
    rng: np.random.Generator,
) -> None:
    sr = torch.as_tensor(rng.random((3, 400, 400)), dtype=torch.float32)
    flat_lr = torch.full((3, 100, 100), 0.3)
    mended = restore_flat_border(sr.clone(), flat_lr, 0, 0, 4)
    assert torch.equal(mended[:, 64:-64, 64:-64], sr[:, 64:-64, 64:-64])
    assert float((mended[:, :64] - 0.3).abs().max()) < 1e-6
    busy = torch.as_tensor(rng.random((3, 100, 100)), dtype=torch.float32)
    assert torch.equal(restore_flat_border(sr.clone(), busy, 0, 0, 4), sr)
