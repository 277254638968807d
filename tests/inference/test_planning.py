"""Tiles by the memory there is, and what one image's want of it means for the next."""

from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from srcli import Upscaler
from srcli.errors import UnreadableImage
from srcli.inference import tile_planner
from srcli.inference.device import left_to_container
from srcli.inference.exact_tiling import band_heights
from srcli.inference.network import LoadedNetwork
from srcli.inference.tile_planner import TilePlan, TilePlanner
from srcli.models import model_spec
from srcli.models.layers import sparse
from srcli.weights import best_scale


@pytest.fixture(scope="module")
def network() -> LoadedNetwork:
    return LoadedNetwork(best_scale("adaformer-s", 2), torch.device("cpu"), torch.float32)


def plans(planner: TilePlanner, height: int, width: int, count: int = 99) -> list[TilePlan]:
    """The first so many, each of which is taken to run out of memory."""
    return list(islice(planner.attempts(height, width), count))


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(tile_planner, "free_memory", lambda device: size)


def test_each_attempt_needs_less_down_to_the_least(network: LoadedNetwork) -> None:
    for size in ((64, 64), (40, 300), (224, 192), (3000, 2000)):
        tried = plans(TilePlanner(network, None), *size)
        assert all(after.needs < before.needs for before, after in pairwise(tried))
        assert 2 <= len(tried) <= 14
        assert tried[0].exact


def test_a_small_image_has_smaller_tiles_too(network: LoadedNetwork) -> None:
    whole, smaller = plans(TilePlanner(network, None), 64, 64, 2)
    assert len(whole.grid) == 1
    assert len(smaller.grid) > 1
    assert smaller.exact


def test_what_follows_is_bounded_by_what_is_free(
    network: LoadedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, 8000×8000 takes far more than there is: half of that does not fit either."""
    free(monkeypatch, 1_000_000_000)
    asked, next_one = plans(TilePlanner(network, 0), 8000, 8000, 2)
    assert asked.needs > 100_000_000_000
    assert next_one.needs <= 500_000_000


def test_a_small_images_trouble_does_not_bind_large_ones(network: LoadedNetwork) -> None:
    fresh = next(TilePlanner(network, None).attempts(224, 192))
    planner = TilePlanner(network, None)
    plans(planner, 160, 96, 2)  # ran out once
    assert next(planner.attempts(224, 192)) == fresh
    plans(planner, 160, 96)  # never fitted
    assert next(planner.attempts(224, 192)) == fresh


def test_what_seemed_to_fit_is_not_tried_again(
    network: LoadedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 400_000_000)
    planner = TilePlanner(network, None)
    first, second = plans(planner, 2000, 1000, 2)
    assert next(planner.attempts(2000, 1000)) == second
    assert second.needs <= first.needs // 2
    plans(planner, 2000, 1000)  # an image that never fits tells nothing
    assert next(planner.attempts(2000, 1000)) == second


def test_tiles_asked_for_are_tried_first_every_time(network: LoadedNetwork) -> None:
    planner = TilePlanner(network, 64)
    first, second = plans(planner, 300, 300, 2)
    assert len(first.grid) == 25
    assert second.needs < first.needs
    assert next(planner.attempts(300, 300)) == first


def test_bands_elsewhere_are_larger_and_planned_for(
    network: LoadedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_cpu = next(TilePlanner(network, 512).attempts(4000, 2000))
    monkeypatch.setattr(network, "device", torch.device("cuda"))
    monkeypatch.setattr(sparse, "masked_up_to", lambda device: 0)
    elsewhere = next(TilePlanner(network, 512).attempts(4000, 2000))
    assert elsewhere.grid == on_cpu.grid
    more = 128 * 2000 * network.spec.memory.bands_held * network.spec.memory.held
    attending = 192 * 2000 * network.spec.memory.attending
    assert elsewhere.needs == on_cpu.needs + more + attending


def test_whole_where_memory_allows_if_tiles_are_not_the_same(
    network: LoadedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ATD-light takes 3.4 GB for this: the limit of exact strips on a CPU is not for it."""
    spec = model_spec("atd-light")
    atd = LoadedNetwork.untrained(spec, 4, torch.device("cpu"), torch.float32)
    free(monkeypatch, 24_000_000_000)
    whole = next(TilePlanner(atd, None).attempts(683, 1024))
    assert (len(whole.grid), whole.blends) == (1, False)
    free(monkeypatch, 4_000_000_000)
    cut = next(TilePlanner(atd, None).attempts(683, 1024))
    assert len(cut.grid) > 1
    assert cut.blends
    assert cut.needs <= 2_000_000_000
    free(monkeypatch, 24_000_000_000)
    strips = next(TilePlanner(network, None).attempts(8000, 6000))
    assert len(strips.grid) > 1
    assert not strips.blends
    assert strips.needs <= 1_800_000_000


def test_memory_that_a_container_may_not_take_is_not_free(tmp_path: Path) -> None:
    assert left_to_container(tmp_path) == float("inf")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 400\ninactive_file 200\n")
    assert left_to_container(tmp_path) == float("inf")
    (tmp_path / "memory.max").write_text("1000\n")
    assert left_to_container(tmp_path) == 500


def test_frames_unlike_images_are_treated_as_images_are() -> None:
    upscaler = Upscaler("adaformer-s", 2, device="cpu", precision="fp32")
    gray = [np.full((9, 12), 100 * i, np.uint8) for i in (1, 2)]
    for frame, result in zip(gray, upscaler.upscale_frames(gray)[0], strict=True):
        assert np.array_equal(result, upscaler(frame))
    different = [np.zeros((9, 12, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)]
    assert [r.shape for r in upscaler.upscale_frames(different)[0]] == [(18, 24, 3), (10, 8, 3)]
    for wrong in (np.full((9, 12, 3), 128), np.full((9, 12, 3), np.nan)):
        with pytest.raises(UnreadableImage):
            upscaler.upscale_frames([wrong, wrong])


def test_bands_of_a_card_share_a_strip_and_none_is_so_small_that_it_is_masked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sparse, "masked_up_to", lambda device: 8448)
    for width, height in ((512, 352), (1024, 704), (1920, 1088), (3840, 2160), (16, 50_016)):
        heights = band_heights(torch.device("cuda"), 32, width, height)
        assert sum(heights) == height
        assert not any(one % 32 for one in heights[:-1])
        assert max(heights) - min(heights) <= 48
        assert min(heights[:-1], default=height) * width // 64 >= 8448 or len(heights) == 1


def test_bands_of_a_cpu_are_low() -> None:
    heights = band_heights(torch.device("cpu"), 32, 512, 352)
    assert heights == [128, 128, 96]
