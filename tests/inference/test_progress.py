"""Progress within an image, for every kind of network and plan."""

import numpy as np
import pytest

from srcli import Upscaler

_SIDE = 96


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).random((_SIDE, _SIDE + 20, 3), np.float32)


def shares_of(upscaler: Upscaler, image: np.ndarray) -> list[float]:
    shares: list[float] = []
    upscaler.upscale(image, on_progress=shares.append)
    return shares


@pytest.mark.slow
@pytest.mark.parametrize("tile", [0, 32])
@pytest.mark.parametrize("model", ["adaformer", "adaformer-s"])
def test_the_share_rises_step_by_step_to_all(image: np.ndarray, model: str, tile: int) -> None:
    shares = shares_of(Upscaler(model, 4, tile=tile, effort="fast"), image)
    assert len(shares) >= 4
    assert shares == sorted(shares)
    assert shares[0] < 0.3
    assert shares[-1] == pytest.approx(1, abs=0.01)


def test_the_layers_between_encoder_and_decoder_move_it_whatever_has_halted(
    image: np.ndarray,
) -> None:
    for effort in ("exact", "fast"):
        shares = shares_of(Upscaler("adaformer", 4, effort=effort), image)
        assert len(shares) == 22, effort
        assert max(b - a for a, b in zip([0.0, *shares], shares, strict=False)) < 0.05


def test_alpha_counts_as_a_part_of_the_image(image: np.ndarray) -> None:
    with_alpha = np.dstack([image, image[..., :1]])
    upscaler = Upscaler("adaformer-s", 4)
    assert len(shares_of(upscaler, with_alpha)) == 2 * len(shares_of(upscaler, image))
    assert shares_of(upscaler, with_alpha)[-1] == pytest.approx(1, abs=0.01)


def test_nothing_is_left_behind_and_the_result_is_the_same(image: np.ndarray) -> None:
    upscaler = Upscaler("adaformer-s", 4)
    plain = upscaler(image)
    watched = upscaler.upscale(image, on_progress=lambda share: None).image
    assert np.array_equal(plain, watched)
    assert not any(part._forward_hooks for part in upscaler.network.module.modules())


def test_an_explanation_counts_both_of_its_runs(image: np.ndarray) -> None:
    shares: list[float] = []
    Upscaler("adaformer-s", 4).explain(image, on_progress=shares.append)
    assert shares == sorted(shares)
    assert sum(share <= 0.51 for share in shares) == len(shares) // 2
    assert shares[-1] == pytest.approx(1, abs=0.01)
