"""Savings switched off one by one: rows beside the full ones, which compute the same without."""

import numpy as np
import pytest
import torch

from srcli.benchmark.choose_methods import Setup, methods_named
from srcli.benchmark.measure import Row
from srcli.benchmark.results import Run, read_run, summaries, to_json
from srcli.benchmark.saving_names import SAVINGS
from srcli.benchmark.savings import Without, run_as_upscaled, saves_by, without
from srcli.benchmark.tables import summary_tables
from srcli.inference import exact_tiling, run_tiles, tile_planner
from srcli.inference.network import LoadedNetwork
from srcli.models import model_spec
from srcli.models.spec import EXACT, Halting
from srcli.weights import best_scale
from tests.benchmark.conftest import machine

CPU = torch.device("cpu")
BALANCED = Halting(eps=0.05)


def quiet(line: str) -> None:
    raise AssertionError(line)


@pytest.fixture(scope="module")
def network() -> LoadedNetwork:
    return LoadedNetwork(best_scale("adaformer-s", 4), CPU, torch.float32)


def page() -> torch.Tensor:
    """White, with noise in the middle: (1, 3, 104, 136)."""
    lr = torch.ones(1, 3, 104, 136)
    noise = torch.rand(1, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    lr[..., 40:64, 48:88] = noise
    return lr


def test_rows_stand_beside_the_full_ones_where_there_is_something_to_switch_off():
    setup = Setup(
        4, CPU, "fp32", None, random=True, without=["local-mask", "pure-pixels"],
        degrade=["none", "jpeg:50"],
    )  # fmt: skip
    made = methods_named(["bicubic", "adaformer-s", "pp-atd-light"], setup, quiet)
    full = ["adaformer-s balanced", "pp-atd-light balanced"]
    assert [one.name for one in made[:7]] == [
        *("bicubic, none", "adaformer-s exact, none", f"{full[0]}, none"),
        *(f"{full[0]} without local-mask, none", "pp-atd-light exact, none"),
        *(f"{full[1]}, none", f"{full[1]} without pure-pixels, none"),
    ]
    off = {one.name: one.switched_off for one in made if one.switched_off is not None}
    assert off == {
        f"{name} without {saving}, {lr}": Without(saving, f"{name}, {lr}")
        for name, saving in zip(full, ("local-mask", "pure-pixels"), strict=True)
        for lr in ("none", "jpeg:50")
    }


def test_every_saving_is_of_some_network_at_balanced_and_of_none_at_exact(network: LoadedNetwork):
    pure = LoadedNetwork.untrained(model_spec("pp-atd-light"), 4, CPU, torch.float32)
    pairs = [(network, BALANCED), (pure, pure.spec.efforts["balanced"])]
    for saving in sorted({*SAVINGS} - {"smooth-windows"}):
        assert [saves_by(*pair, saving) for pair in pairs].count(True) == 1
        assert not saves_by(network, EXACT, saving)
        (halting,) = [one for net, one in pairs if saves_by(net, one, saving)]
        assert without(halting, saving) != halting


def test_smooth_windows_are_a_saving_of_weights_that_have_short_ways(network: LoadedNetwork):
    whole = LoadedNetwork(best_scale("adaformer", 4), CPU, torch.float32)
    usual = whole.spec.efforts["balanced"]
    assert saves_by(whole, usual, "smooth-windows")
    assert not saves_by(network, network.spec.efforts["balanced"], "smooth-windows")
    assert not saves_by(whole, EXACT, "smooth-windows")
    off = without(usual, "smooth-windows")
    assert not saves_by(whole, off, "smooth-windows")
    lr = torch.linspace(0.4, 0.5, 64).expand(1, 3, 40, 64)
    assert whole(lr, usual).layers[0].local_mask.all()
    assert not whole(lr, off).layers[0].local_mask.any()


@torch.inference_mode()
def test_a_run_as_upscaled_is_the_network_with_its_masks(network: LoadedNetwork, monkeypatch):
    lr = torch.nn.functional.interpolate(page()[..., 30:70, 40:96], scale_factor=2.5)
    for name in ("_CPU_BAND", "_BAND"):
        monkeypatch.setattr(exact_tiling, name, 1)
    monkeypatch.setattr(tile_planner, "free_memory", lambda device: 40_000_000)
    bands = []
    monkeypatch.setattr(
        run_tiles, "exact_parts",
        lambda *given, plain=run_tiles.exact_parts: bands.append(len(given[2])) or plain(*given),
    )  # fmt: skip
    for halting in (EXACT, BALANCED, without(BALANCED, "global-mask")):
        found, whole = run_as_upscaled(network, lr, halting), network(lr, halting)
        torch.testing.assert_close(found.image, whole.image, atol=1e-4, rtol=0)
        for mine, its in zip(found.layers, whole.layers, strict=True):
            assert torch.equal(mine.local_mask, its.local_mask)
            assert torch.equal(mine.global_mask, its.global_mask)
    assert min(bands) > 1


@torch.inference_mode()
def test_without_flat_areas_they_are_computed(network: LoadedNetwork, monkeypatch):
    looked = []
    monkeypatch.setattr(
        run_tiles, "find_flat_blocks",
        lambda *given, plain=run_tiles.find_flat_blocks: looked.append(plain(*given)) or looked[-1],
    )  # fmt: skip
    full = run_as_upscaled(network, page(), BALANCED).image
    assert looked.pop() is not None
    computed = run_as_upscaled(network, page(), without(BALANCED, "flat-areas")).image
    assert not looked
    torch.testing.assert_close(computed, network(page(), BALANCED).image, atol=1e-4, rtol=0)
    assert 0 < (full - computed).abs()[..., 64:-64, 64:-64].max() < 1 / 255


def test_a_mask_switched_off_halts_nothing_in_its_branch_alone(network: LoadedNetwork):
    methods = methods_named(
        ["adaformer-s"], Setup(4, CPU, "fp32", ["balanced"], without=SAVINGS[1:3]), quiet
    )
    lr = (page()[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    shares = {}
    for one in methods:
        layers = one.finish(one.forward(one.prepare(lr))).layers
        shares[one.name.removeprefix("adaformer-s balanced")] = (
            layers[-1].live_windows < 1, layers[-1].live_tokens < 1,
        )  # fmt: skip
    assert shares == {
        "": (True, True), " without local-mask": (False, True),
        " without global-mask": (True, False),
    }  # fmt: skip


def test_times_stand_against_the_full_ones_in_tables_and_json():
    seconds = {"net exact": 3.0, "net balanced": 2.0, "net balanced without flat-areas": 2.5}
    rows = tuple(
        Row(name, "a", 10, 10, None, None, (time,), 1.0, 1.0, None)
        for name, time in seconds.items()
    )
    settings = {"scale": 4, "protocol": "rgb", "precision": "float32"}
    off = {"net balanced without flat-areas": Without("flat-areas", "net balanced")}
    run = Run("Mini", settings, machine(), {}, rows, {}, switched_off=off)
    assert read_run(to_json(run), "run") == run
    assert [(one.without, one.to_full) for one in summaries(run)] == [
        ("", None), ("", 1.0), ("flat-areas", pytest.approx(1.25)),
    ]  # fmt: skip
    (table,) = [one for one in summary_tables(run) if "to full" in one.headers]
    column = table.headers.index("to full")
    assert [cells[column] for cells in table.cells] == ["", "1.000", "1.250"]
