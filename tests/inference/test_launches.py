"""Bounds on what a run launches on a GPU and how often the host waits, counted on the CPU."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from srcli import Upscaler
from srcli.inference.device_link import PlainLink
from srcli.models.layers import windows
from srcli.models.layers.tsab import TSAB
from tests.forked_python import ROOT
from tests.load_program import load_program

CONVOLUTIONS = {
    "adaformer": 107,
    "adaformer-s": 35,
}  # of encoder and decoder, with what adds to them
LAYERS = {"adaformer": 6, "adaformer-s": 3}


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    return load_program(ROOT / "docs" / "measure" / "launches.py")


def count(
    measure: ModuleType, model: str, effort: str, size: tuple[int, int], processors: int = 132
) -> tuple[Any, int]:
    """Launches by kind, and waits, of the first image (height, width) on a card."""
    windows._regions.cache_clear()
    windows._surroundings.cache_clear()
    upscaler = Upscaler(model, 4, device="cpu", precision="fp32", effort=effort)
    upscaler.network.link = PlainLink(torch.device("cpu"))
    image = measure.grained(*size)
    with measure.as_on_a_card(processors):
        kinds, _, waits = measure.traced(lambda: upscaler(image))
    return kinds, waits.total()


@pytest.mark.parametrize("model", list(LAYERS))
@pytest.mark.parametrize("effort", ["exact", "balanced"])
def test_launches_are_bounded_by_layers_and_not_by_windows(
    model: str, effort: str, measure: ModuleType
) -> None:
    layers = LAYERS[model]
    counted = [count(measure, model, effort, size) for size in ((40, 56), (72, 120))]
    for kinds, waits in counted:
        assert kinds["encoder"] + kinds["decoder"] == CONVOLUTIONS[model]
        assert kinds["TSAB local"] + kinds["TSAB global"] == 0  # that is the packed way
        assert kinds["TSAB rest"] <= (14 if effort == "exact" else 18) * layers
        if effort == "balanced":
            assert kinds["confidence"] <= 13 * (layers - 1)
        assert kinds["packing"] <= (9 if effort == "exact" else 12) * layers
        assert kinds["image"] <= 56
        assert waits <= 4
    assert counted[0][0] == counted[1][0]


@pytest.mark.parametrize("effort", ["balanced", "fast"])
def test_packing_is_bounded_too(effort: str, measure: ModuleType) -> None:
    layers = LAYERS["adaformer"]
    kinds, waits = count(measure, "adaformer", effort, (72, 120), processors=0)
    assert 0 < kinds["TSAB global"] <= 33 * (layers - 1)
    assert kinds["TSAB local"] <= 2 * (layers - 1)
    assert kinds["packing"] <= 66 * (layers - 1)
    assert kinds["confidence"] <= 20 * (layers - 1)
    assert waits <= layers - 1 + 4


@pytest.mark.parametrize(
    ("effort", "processors"), [("exact", 132), ("balanced", 132), ("fast", 132), ("balanced", 0)]
)
def test_the_image_is_that_of_the_cpu(effort: str, processors: int, measure: ModuleType) -> None:
    image = measure.grained(72, 120)
    plain = Upscaler("adaformer-s", 4, device="cpu", precision="fp32", effort=effort)(image)
    with measure.as_on_a_card(processors):
        found = Upscaler("adaformer-s", 4, device="cpu", precision="fp32", effort=effort)(image)
    levels = np.abs(found.astype(int) - plain)
    assert levels.max() <= 1
    assert (levels > 0).mean() < 1e-3


def test_a_band_costs_no_more_than_the_layers_and_a_few(
    measure: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (96, 64)
    one, _ = count(measure, "adaformer-s", "exact", size)
    monkeypatch.setattr(measure, "_BAND_HEIGHTS", lambda *_: [32, 32, 32])
    three, waits = count(measure, "adaformer-s", "exact", size)
    more = (three - one).total() / 2
    assert 0 < more <= 20 * LAYERS["adaformer-s"]
    assert waits <= 4


def test_a_launch_for_every_region_is_noticed(
    measure: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = TSAB.forward_whole

    def one_by_one(self: TSAB, x: torch.Tensor, regions: int, *_: object) -> torch.Tensor:
        return torch.cat([whole(self, part, 1, None, None) for part in x.chunk(regions)])

    monkeypatch.setattr(TSAB, "forward_whole", one_by_one)
    kinds, _ = count(measure, "adaformer-s", "exact", (72, 120))
    assert kinds["TSAB rest"] + kinds["packing"] > 23 * LAYERS["adaformer-s"]


@torch.inference_mode()
def test_the_order_of_regions_is_sent_once_for_a_size(measure: ModuleType) -> None:
    windows._regions.cache_clear()
    grid, device = windows.WindowGrid(1, 5, 7, 8), torch.device("cpu")
    first, again = (measure.traced(lambda: grid.regions(4, device))[1] for _ in range(2))
    assert first == {"sent": 1}
    assert not again


@torch.inference_mode()
def test_what_is_counted(measure: ModuleType) -> None:
    x, mask = torch.ones(2, 3, 8, 8), torch.ones(3, dtype=torch.bool)
    convolution, linear = nn.Conv2d(3, 3, 3), nn.Linear(8, 8)
    plain = nn.Conv2d(3, 3, 3, bias=False)
    for run, launches, waits in (
        (lambda: x.permute(0, 2, 3, 1)[:, 1:].transpose(1, 2), 0, 0),
        (lambda: x.new_zeros(4), 1, 0), (lambda: x.transpose(2, 3).flatten(1), 1, 0),
        (lambda: linear(x), 1, 0), (lambda: convolution(x), 2, 0), (lambda: plain(x), 1, 0),
        (lambda: x.masked_fill(x > 1, 0.0), 3, 0), (lambda: x.masked_fill_(x > 1, 0.0), 2, 0),
        (lambda: x.sum().item(), 1, 1), (lambda: bool(x.any()), 1, 1),
        (lambda: x.flatten().tolist(), 0, 1), (lambda: mask.nonzero(), 0, 1),
        (lambda: x.cpu(), 0, 1),
    ):  # fmt: skip
        kinds, _, waited = measure.traced(run)
        assert (kinds.total(), waited.total()) == (launches, waits)
    _, _, waited = measure.traced(lambda: x[0, :, 0, 0][mask])
    assert waited.total() == 1  # indices of truth values
