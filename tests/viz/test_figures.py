"""The numbers: dense work measured on a part is that of the whole."""

import numpy as np
import pytest

from srcli import Upscaler
from srcli.metrics.flops import count_flops
from srcli.viz import stats
from srcli.viz.stats import DenseBaseline, stats_of


@pytest.fixture(scope="module")
def exact() -> Upscaler:
    return Upscaler(device="cpu", precision="fp32", effort="exact", tile=0)


@pytest.mark.slow
@pytest.mark.parametrize("largest", [512, 48])
def test_a_part_tells_for_the_whole(exact: Upscaler, case, monkeypatch, largest: int) -> None:
    monkeypatch.setattr(stats, "_LARGEST", largest)
    whole, _ = count_flops(lambda: exact.upscale(case.pixels))
    dense = DenseBaseline(exact).measure(case.pixels)
    told = stats_of(case.explained, case.pixels, model="adaformer", effort="balanced", dense=dense)
    assert told.dense_gflops * 1e9 == pytest.approx(whole, rel=1e-9 if largest == 512 else 0.002)
    assert told.exact_seconds > 0


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 70, 2), (70, 5, 4)])
def test_any_image(exact: Upscaler, shape: tuple[int, int, int]) -> None:
    dense = DenseBaseline(exact).measure(np.zeros(shape, np.uint16))
    assert 2e6 < dense.flops < 5e6


def test_shares_are_those_of_the_maps(case) -> None:
    told = case.stats
    for number, layer in enumerate(case.explained.layers):
        assert told.halted_windows[number] == layer.local_mask.mean()
        assert told.halted_pixels[number] == layer.global_mask.mean()
        computed = sum(told.depth_shares[number:])
        assert computed == pytest.approx(1 - told.halted_windows[number])
    assert told.gflops == case.explained.flops / 1e9
