"""Other rules for AdaFormer's exits: against plain references, and at the same sparsity."""

from itertools import pairwise

import pytest
import torch

from srcli.benchmark.exits import Spread, equal_sparsity, learned, ranked, reference, run_exits
from srcli.models.adaformer import AdaFormer, AdaFormerConfig
from srcli.models.spec import Halting, LayerTrace

EPS = 0.5


def small(halted: str = "freeze") -> AdaFormer:
    """A network whose confidence varies, so that some windows and tokens halt in each layer."""
    torch.manual_seed(0)
    config = AdaFormerConfig(
        scale=2, channels=16, dim=16, heads=2, residual_blocks=1, layers=4, confidence_channels=8,
        halted=halted,
    )  # fmt: skip
    network = AdaFormer(config).eval()
    with torch.no_grad():
        network.confidence.conv2.weight.mul_(20)
        for block in network.blocks:
            for parameter in block.parameters():
                if parameter.ndim == 2:
                    parameter.mul_(1.5)
    return network


def image() -> torch.Tensor:
    return torch.rand(1, 3, 37, 50, generator=torch.Generator().manual_seed(1))


def masks(layers: tuple[LayerTrace, ...]) -> list[tuple[int, int]]:
    return [(int(one.local_mask.sum()), int(one.global_mask.sum())) for one in layers]


@torch.inference_mode()
def test_the_learned_rule_is_the_networks_own():
    network = small()
    own = network(image(), Halting(EPS))
    by_rule = run_exits(network, image(), learned(1 - EPS), estimates=True)
    assert masks(by_rule.layers) == masks(own.layers)
    assert masks(own.layers)[-1] > (0, 0)
    assert (by_rule.image - own.image).abs().max() < 1e-5


@torch.inference_mode()
@pytest.mark.parametrize("halted", ["freeze", "pass"])
@pytest.mark.parametrize("way", ["local", "shared", "none", Spread.UNIFORM, Spread.RANDOM])
def test_sparse_and_masked_computation_agree(halted: str, way: str):
    network = small(halted)
    rule = learned(1 - EPS, local=way == "local", shared=way == "shared")
    if isinstance(way, Spread):
        rule = equal_sparsity(network(image(), Halting(EPS)).layers, way)
    plain = reference(network, image(), rule)
    sparse = run_exits(network, image(), rule, estimates=True)
    assert masks(sparse.layers) == masks(plain.layers)
    assert (sparse.image - plain.image).abs().max() < 1e-5


@torch.inference_mode()
def test_nothing_halted_is_exact():
    network = small()
    rule = learned(1 - EPS, local=False, shared=False)
    sparse = run_exits(network, image(), rule, estimates=False)
    assert (sparse.image - network(image()).image).abs().max() < 1e-5


@torch.inference_mode()
@pytest.mark.parametrize("spread", list(Spread))
def test_as_many_halt_but_others_and_for_good(spread: Spread):
    network = small()
    own = network(image(), Halting(EPS)).layers
    other = run_exits(network, image(), equal_sparsity(own, spread), estimates=False).layers
    assert masks(other) == masks(own)
    assert any(not torch.equal(a.global_mask, b.global_mask)
               for a, b in zip(own, other, strict=True))  # fmt: skip
    for before, after in pairwise(other):
        assert not (before.global_mask & ~after.global_mask).any()
        assert not (before.local_mask & ~after.local_mask).any()


@torch.inference_mode()
def test_ranked_by_its_own_scores_a_network_halts_as_by_its_own_threshold():
    network = small()
    own = network(image(), Halting(EPS))
    by_rank = run_exits(network, image(), ranked(own.layers), estimates=True)
    assert masks(own.layers)[-1] > (0, 0)
    for mine, other in zip(own.layers, by_rank.layers, strict=True):
        assert torch.equal(mine.local_mask, other.local_mask)
        assert torch.equal(mine.global_mask, other.global_mask)
    assert (by_rank.image - own.image).abs().max() < 1e-5


@torch.inference_mode()
@pytest.mark.parametrize("shared", [True, False])
def test_another_network_halts_as_much_by_its_own_order_and_for_good(shared: bool):
    layers = small()(image(), Halting(EPS)).layers
    other = small()
    with torch.no_grad():
        other.confidence.conv2.weight.mul_(-0.3)  # another order, other scores
    rule = ranked(layers, shared=shared)
    first = run_exits(other, image(), rule, estimates=True)
    again = run_exits(other, image(), rule, estimates=True)
    wanted = masks(layers) if shared else [(windows, 0) for windows, _ in masks(layers)]
    assert masks(first.layers) == masks(again.layers) == wanted
    assert torch.equal(first.image, again.image)
    assert any(not torch.equal(a.local_mask, b.local_mask)
               for a, b in zip(layers, first.layers, strict=True))  # fmt: skip
    for before, after in pairwise(first.layers):
        assert not (before.global_mask & ~after.global_mask).any()
        assert not (before.local_mask & ~after.local_mask).any()


@torch.inference_mode()
def test_uniform_exits_are_even_across_the_image():
    network = small()
    layers = network(image(), Halting(EPS)).layers
    other = run_exits(network, image(), equal_sparsity(layers, Spread.UNIFORM), estimates=False)
    mask = other.layers[-1].global_mask.float()
    share = mask.mean()
    for quarter in (mask[..., :16, :24], mask[..., 16:, :24], mask[..., :16, 24:]):
        assert (quarter.mean() - share).abs() < 0.05
