"""The losses have their optimum where they should."""

import pytest
import torch

from srcli.training.losses import (
    error_map,
    estimator_correlation,
    restoration_loss,
    uncertainty_loss,
)


@pytest.fixture
def error(generator: torch.Generator) -> torch.Tensor:
    """(2, 1, 16, 16) in 8-bit units, the same in each 2×2 block."""
    coarse = 1.0 + 20.0 * torch.rand(2, 1, 8, 8, generator=generator)
    return torch.nn.functional.interpolate(coarse, scale_factor=2.0)


def test_errors_are_in_8_bit_units():
    image, hr = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 2 / 255)
    assert error_map(image, hr).mean().item() == pytest.approx(2.0)
    assert restoration_loss(error_map(image, hr)).item() == pytest.approx(2.0)


def test_best_confidence_is_one_over_error():
    error = torch.full((1, 1, 8, 8), 5.0)
    confidence = torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    each = [uncertainty_loss(confidence[:, i : i + 1], error).item() for i in range(3)]
    assert each[1] == min(each)
    assert uncertainty_loss(confidence, error).item() == pytest.approx(sum(each))


def test_judging_does_not_move_the_image(error: torch.Tensor):
    error.requires_grad_()
    confidence = torch.full((2, 3, 8, 8), 0.3, requires_grad=True)
    uncertainty_loss(confidence, error).backward()
    assert error.grad is None
    assert confidence.grad is not None


def test_correlation_tells_a_judge_from_a_constant(error: torch.Tensor):
    ideal = 1.0 / error[:, :, ::2, ::2]
    maps = torch.cat([ideal, torch.full_like(ideal, 0.4), 0.01 / ideal], 1)
    assert estimator_correlation(maps, error).tolist() == pytest.approx([1, 0, -1], abs=1e-4)
