"""The estimator's other losses against plain formulas, token by token."""

import math

import pytest
import torch
from torch import Tensor

from srcli.training.exit_losses import (
    EXITS,
    exit_loss,
    halting_shares,
    increment_loss,
    ponder_loss,
)
from srcli.training.losses import uncertainty_loss


@pytest.fixture
def confidence(generator: torch.Generator) -> Tensor:
    """(2, 4, 3, 5): some tokens reach 0.95 after each layer, some never."""
    return torch.rand(2, 4, 3, 5, generator=generator) * 0.6


def errors(generator: torch.Generator, count: int) -> list[Tensor]:
    return [1 + 20 * torch.rand(2, 1, 6, 10, generator=generator) for _ in range(count)]


def plain_shares(confidences: list[float], threshold: float) -> list[float]:
    """Halting probabilities of one token, as A-ViT's Eq. 6 has them."""
    shares, before = [0.0] * len(confidences), 0.0
    for layer, one in enumerate(confidences):
        if before + one >= threshold or layer == len(confidences) - 1:
            shares[layer] = 1.0 - before
            break
        shares[layer], before = one, before + one
    return shares


def tokens(confidence: Tensor) -> list[list[float]]:
    return confidence.double().permute(0, 2, 3, 1).flatten(0, 2).tolist()


def test_halting_shares_are_those_of_each_token(confidence: Tensor):
    shares = halting_shares(confidence.double(), 0.95)
    wanted = [plain_shares(token, 0.95) for token in tokens(confidence)]
    assert tokens(shares) == [pytest.approx(token) for token in wanted]
    assert {sum(share > 0 for share in token) for token in wanted} == {2, 3, 4}
    torch.testing.assert_close(shares.sum(1), torch.ones(2, 3, 5).double())


def test_ponder_loss_is_depth_with_remainder_and_divergence(confidence: Tensor):
    wanted = [plain_shares(token, 0.95) for token in tokens(confidence)]
    depths = [max(i for i, share in enumerate(token) if share > 0) for token in wanted]
    depth = sum(d + 1 + token[d] for d, token in zip(depths, wanted, strict=True)) / len(wanted)
    mean = [sum(token[i] for token in wanted) / len(wanted) for i in range(4)]
    bell = [math.exp(-0.5 * (i - 1.5) ** 2) for i in range(4)]
    prior = [b / sum(bell) for b in bell]
    divergence = sum(m * math.log(m / p) for m, p in zip(mean, prior, strict=True))
    got = ponder_loss(confidence.double(), 0.95).item()
    assert got == pytest.approx(depth + divergence, abs=1e-6)


def test_pondering_alone_makes_tokens_halt_sooner():
    """Against an image's loss only the depth counts: the gradient raises early confidence."""
    logits = torch.full((1, 4, 2, 2), -2.0, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    first = ponder_loss(torch.sigmoid(logits), 0.95).item()
    for _ in range(60):
        optimizer.zero_grad()
        ponder_loss(torch.sigmoid(logits), 0.95).backward()
        optimizer.step()  # pyright: ignore[reportUnknownMemberType]
    assert ponder_loss(torch.sigmoid(logits), 0.95).item() < first
    assert logits[:, 0].mean() > -2.0


def test_increment_loss_is_its_plain_formula(confidence: Tensor, generator: torch.Generator):
    first, second, third, last = errors(generator, 4)
    wanted = 0.0
    for layer, now in enumerate((first, second, third), start=1):
        for b in range(2):
            for y in range(3):
                for x in range(5):
                    token = (b, 0, slice(2 * y, 2 * y + 2), slice(2 * x, 2 * x + 2))
                    here, end = now[token].mean().item(), last[token].mean().item()
                    target = 1 - min(max((here - end) / here, 0.0), 1.0)
                    score = confidence[b, :layer, y, x].sum().item()
                    wanted += (score - target) ** 2 / 30
    got = increment_loss(confidence, [first, second, third], last).item()
    assert got == pytest.approx(wanted, rel=1e-4)


def test_increment_loss_vanishes_where_the_score_tells_what_is_left(generator: torch.Generator):
    """Later layers remove 0.4 of the error after the first, and 0.1 after the second."""
    (last,) = errors(generator, 1)
    earlier = [last / 0.6, last / 0.9]
    confidence = torch.tensor([0.6, 0.3, 0.0]).view(1, 3, 1, 1).expand(2, 3, 3, 5)
    assert increment_loss(confidence, earlier, last).item() == pytest.approx(0.0, abs=1e-10)
    assert increment_loss(confidence * 0.5, earlier, last).item() > 0.1


@pytest.mark.parametrize("kind", EXITS)
def test_by_name_and_without_layers(kind: str, confidence: Tensor, generator: torch.Generator):
    *earlier, error = errors(generator, 4)
    alone = {
        "uncertainty": uncertainty_loss(confidence, error),
        "increment": increment_loss(confidence, earlier, error),
        "ponder": ponder_loss(confidence, 0.95),
    }
    assert exit_loss(kind, confidence, earlier, error, 0.05).item() == alone[kind].item()
    assert exit_loss(kind, confidence[:, :0], (), error, 0.05).item() == 0.0


@pytest.mark.parametrize("kind", EXITS)
def test_judging_does_not_move_the_image(kind: str, confidence: Tensor, generator: torch.Generator):
    *earlier, error = [one.requires_grad_() for one in errors(generator, 4)]
    confidence.requires_grad_()
    exit_loss(kind, confidence, earlier, error, 0.05).backward()
    assert error.grad is None
    assert all(one.grad is None for one in earlier)
    assert confidence.grad is not None
