"""Sharper than bicubic, and as good as measured when the weights were shipped."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli import Upscaler
from srcli.metrics.psnr import psnr_y
from srcli.weights import best_scale


def rgb(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("side", [48, pytest.param(10_000, marks=pytest.mark.slow)])
def test_samples_are_sharper_than_bicubic(samples: list[Path], side: int) -> None:
    """In their upper left corners of `side` LR px, and whole."""
    exact, balanced = (
        Upscaler(effort=effort, precision="fp32") for effort in ("exact", "balanced")
    )
    for path in samples:
        lr, hr = rgb(path), rgb(Path(__file__).parents[1] / "samples_hr" / f"{path.stem}.webp")
        lr, hr = lr[:side, :side], hr[: 4 * side, : 4 * side]
        size = (hr.shape[1], hr.shape[0])
        bicubic = np.asarray(Image.fromarray(lr).resize(size, Image.Resampling.BICUBIC))
        best = psnr_y(exact(lr), hr, crop=4)
        assert best > psnr_y(bicubic, hr, crop=4) + 0.3, path
        assert psnr_y(balanced(lr), hr, crop=4) > best - 0.05, path


def mean_psnr(folder: Path, upscaler: Upscaler) -> float:
    crop = round(upscaler.scale)
    values = [
        psnr_y(upscaler(rgb(lr)), rgb(folder / "HR" / lr.name), crop=crop)
        for lr in sorted((folder / "LR").iterdir())
    ]
    return sum(values) / len(values)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Set5", "Set14"])
@pytest.mark.parametrize(("model", "scale"), [("adaformer", 4), ("adaformer-s", 4)])
def test_benchmarks_are_as_the_manifest_says(
    shared: Path, name: str, model: str, scale: int
) -> None:
    folder = shared / "data" / "benchmark" / name / f"x{scale}"
    exact, balanced, fast = (
        mean_psnr(folder, Upscaler(model, scale, effort=effort, precision="fp32"))
        for effort in ("exact", "balanced", "fast")
    )
    assert abs(exact - best_scale(model, scale).psnr_y[name]) < 0.006
    assert balanced > exact - 0.05
    assert fast > exact - 0.17


@pytest.mark.slow
def test_bf16_costs_little(shared: Path) -> None:
    folder = shared / "data" / "benchmark" / "Set5" / "x4"
    low = mean_psnr(folder, Upscaler(effort="exact", precision="bf16", device="cpu"))
    assert low > best_scale("adaformer", 4).psnr_y["Set5"] - 0.02
