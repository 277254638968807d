"""AdaFormer against the authors-side golden outputs, and its two ways against each other."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from srcli.errors import UsageError
from srcli.models.adaformer import AdaFormer, AdaFormerConfig
from srcli.models.spec import EXACT, Halting
from srcli.weights import best_scale
from srcli.weights.load import read_weights

BALANCED = Halting(eps=0.05, observe=True)
SIZES = [(1, 1), (1, 9), (5, 3), (8, 8), (7, 30), (33, 17), (40, 64)]


def small(
    generator: torch.Generator, *, scale: int = 2, region: int = 0, halted: str = "freeze"
) -> AdaFormer:
    """A narrow network with random parameters, large enough for masks to matter."""
    config = AdaFormerConfig(
        scale, channels=16, dim=16, residual_blocks=1, layers=4, heads=2, prototypes=3,
        confidence_channels=4, region=region, halted=halted,
    )  # fmt: skip
    network = AdaFormer(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return network


def set_confidence(network: AdaFormer, masks: str, layer: int = 1) -> None:
    """Make the estimator halt at random, nothing, or everything after the first layer."""
    estimator = network.estimator_after(layer)
    conv1, conv2 = estimator.conv1, estimator.conv2
    with torch.no_grad():
        if masks == "random":
            for conv in (conv1, conv2):  # zero-sum kernels answer to detail, not to level
                conv.weight.sub_(conv.weight.mean((2, 3), keepdim=True)).mul_(20.0)
            conv1.bias.zero_()
            conv2.bias.fill_(-1.0)
        else:
            conv2.weight.zero_()
            conv2.bias.fill_({"empty": -30.0, "full": 30.0}[masks])


@torch.no_grad()
def assert_same(network: AdaFormer, lr: Tensor, halting: Halting) -> list[float]:
    """Compare both ways in the image, the masks and the confidence wherever it steers."""
    plain, sparse = network.reference(lr, halting), network(lr, halting)
    torch.testing.assert_close(sparse.image, plain.image, atol=1e-5, rtol=0)
    window = network.config.window
    for a, b in zip(sparse.layers, plain.layers, strict=True):
        assert torch.equal(a.local_mask, b.local_mask)
        assert torch.equal(a.global_mask, b.global_mask)
        if a.confidence_map is None:
            continue
        halted_window = a.local_mask.repeat_interleave(window, 2).repeat_interleave(window, 3)
        live = ~(halted_window & a.global_mask)
        torch.testing.assert_close(
            a.confidence_map[live], b.confidence_map[live], atol=1e-5, rtol=0
        )
    return [layer.live_windows for layer in sparse.layers]


@pytest.mark.parametrize("halted", ["freeze", "pass"])
@pytest.mark.parametrize("region", [0, 1, 2, 4])
@pytest.mark.parametrize("masks", ["random", "empty", "full"])
def test_sparse_equals_masked(
    generator: torch.Generator, masks: str, region: int, halted: str
) -> None:
    network = small(generator, region=region, halted=halted)
    set_confidence(network, masks)
    shares = [assert_same(network, torch.rand(1, 3, h, w, generator=generator), BALANCED)
              for h, w in SIZES]  # fmt: skip
    if masks == "random":
        assert any(0 < share < 1 for of_size in shares for share in of_size)
    else:
        assert all(s[1:] == [float(masks == "empty")] * 3 for s in shares)


def ablated(generator: torch.Generator, **options: Any) -> AdaFormer:
    """As `small`, with other options; estimators of their own differ from each other."""
    network = AdaFormer(replace(small(generator, region=2).config, **options)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    for layer in range(1, 2 if network.config.shared_estimator else 5):
        set_confidence(network, "random", layer)
    return network


@pytest.mark.parametrize(
    "options",
    [{"prototypes": 0}, {"prototypes": 0, "masks": "none"}, {"masks": "local"}, {"masks": "none"},
     {"shared_estimator": False}, {"masks": "local", "halted": "pass"}],
    ids=str,
)  # fmt: skip
def test_ablations_compute_sparsely_what_masking_gives(
    generator: torch.Generator, options: dict[str, Any]
) -> None:
    network, lr = ablated(generator, **options), torch.rand(2, 3, 70, 90, generator=generator)
    live = assert_same(network, lr, BALANCED)
    assert live[0] == 1
    assert (live[-1] == 1) is (options.get("masks") == "none")
    with torch.no_grad():
        layers = network(lr, BALANCED).layers
    assert layers[-1].global_mask.any() == (options.get("masks", "both") == "both")
    assert_same(network, lr, EXACT)


@pytest.mark.parametrize("halted", ["freeze", "pass"])
def test_a_run_may_leave_either_branch_without_its_mask(
    generator: torch.Generator, halted: str
) -> None:
    network = small(generator, region=2, halted=halted)
    set_confidence(network, "random")
    lr = torch.rand(1, 3, 70, 90, generator=generator)
    for local, shared in ((True, False), (False, True), (False, False)):
        assert_same(network, lr, replace(BALANCED, local=local, shared=shared))
        with torch.no_grad():
            last = network(lr, replace(BALANCED, local=local, shared=shared)).layers[-1]
        assert (last.local_mask.any(), last.global_mask.any()) == (local, shared)


def test_without_prototypes_blocks_have_no_parameters_of_a_global_branch(
    generator: torch.Generator,
) -> None:
    names = ablated(generator, prototypes=0).state_dict()
    assert not [name for name in names if "global" in name]
    assert any("global" in name for name in small(generator).state_dict())


def test_estimators_of_their_own_follow_their_layers(generator: torch.Generator) -> None:
    network = ablated(generator, shared_estimator=False)
    lr = torch.rand(1, 3, 24, 24, generator=generator)
    halting = Halting(eps=None, observe=True)
    with torch.no_grad():
        before = [layer.confidence_map for layer in network(lr, halting).layers]
        network.estimator_after(3).conv2.bias.add_(1.0)
        after = [layer.confidence_map for layer in network(lr, halting).layers]
    changed = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert changed == [False, False, True, False]


def test_unknown_masks_are_refused() -> None:
    with pytest.raises(UsageError, match="masks is 'global': have both, local, none"):
        AdaFormerConfig(2, masks="global")


def test_with_eps_one_all_halts_once_there_is_a_confidence(generator: torch.Generator) -> None:
    network = small(generator, region=2)
    set_confidence(network, "random")
    lr = torch.rand(1, 3, 21, 35, generator=generator)
    assert assert_same(network, lr, Halting(eps=1.0)) == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_scale_and_a_batch(generator: torch.Generator, scale: int) -> None:
    network = small(generator, scale=scale, region=2)
    set_confidence(network, "random")
    assert_same(network, torch.rand(3, 3, 21, 35, generator=generator), BALANCED)
    assert_same(network, torch.rand(2, 3, 21, 35, generator=generator), EXACT)


@pytest.mark.parametrize("halted", ["freeze", "pass"])
def test_stray_tokens_fill_several_blocks(generator: torch.Generator, halted: str) -> None:
    """Halted windows with live pixels: the case that packing exists for."""
    network = small(generator, region=3, halted=halted)
    set_confidence(network, "random")
    lr = torch.rand(1, 3, 70, 90, generator=generator)
    with torch.no_grad():
        layers = network(lr, BALANCED).layers
    halted = layers[-1].local_mask.repeat_interleave(8, 2).repeat_interleave(8, 3)
    assert (halted & ~layers[-1].global_mask).sum() > 200
    assert_same(network, lr, BALANCED)


def test_halted_stays_halted(generator: torch.Generator) -> None:
    network = small(generator)
    set_confidence(network, "random")
    with torch.no_grad():
        layers = network(torch.rand(1, 3, 40, 48, generator=generator), BALANCED).layers
    for before, after in pairwise(layers):
        assert not (before.local_mask & ~after.local_mask).any()
        assert not (before.global_mask & ~after.global_mask).any()


def test_forward_changes_nothing(generator: torch.Generator) -> None:
    network = small(generator)
    set_confidence(network, "random")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    lr = torch.rand(1, 3, 24, 24, generator=generator)
    given = lr.clone()
    with torch.no_grad():
        first = network(lr, BALANCED).image
        network(torch.rand(1, 3, 9, 31, generator=generator), EXACT)
        assert torch.equal(network(lr, BALANCED).image, first)
    assert torch.equal(lr, given)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_exact_needs_no_confidence(generator: torch.Generator) -> None:
    with torch.no_grad():
        layers = small(generator)(torch.rand(1, 3, 16, 16, generator=generator), EXACT).layers
    assert [layer.confidence_map for layer in layers] == [None] * 4
    assert all(layer.live_windows == layer.live_tokens == 1 for layer in layers)


def test_paper_size() -> None:
    """1.6 M parameters at x4, as published."""
    assert sum(p.numel() for p in AdaFormer(AdaFormerConfig(4)).parameters()) == 1_601_161


def start_network(shared: Path, *, region: int) -> AdaFormer:
    network = AdaFormer(AdaFormerConfig(4, region=region)).eval()
    network.load_state_dict(load_file(shared / "weights" / "adaformer_x4_start.safetensors"))
    return network


@pytest.mark.parametrize("image", ["butterfly", "odd", "noise"])
def test_golden(shared: Path, image: str) -> None:
    golden = load_file(shared / "golden" / "adaformer_x4_start_io.safetensors")
    network = start_network(shared, region=0)
    for mode, halting in (("exact", Halting(None, observe=True)), ("balanced", BALANCED)):
        with torch.no_grad():
            plain = network.reference(golden[f"{image}.lr"], halting)
            sparse = network(golden[f"{image}.lr"], halting)
        for output in (plain, sparse):
            torch.testing.assert_close(
                output.image, golden[f"{image}.sr_{mode}"], atol=1e-5, rtol=0
            )
        for number, layer in enumerate(plain.layers, start=1):
            expected = golden[f"{image}.{mode}.confidence_{number}"]
            torch.testing.assert_close(layer.confidence_map, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("region", [0, 4])
def test_learned_masks(generator: torch.Generator, region: int, photo) -> None:
    network = AdaFormer(AdaFormerConfig(4, region=region)).eval()
    network.load_state_dict(read_weights(best_scale("adaformer", 4)))
    lr = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    shares = assert_same(network, lr, BALANCED)
    assert shares[-1] < 0.9


@pytest.mark.parametrize("halted", ["freeze", "pass"])
def test_both_ways_have_the_same_gradients(generator: torch.Generator, halted: str) -> None:
    """Halted or not, the sparse way can be trained through."""
    lr = torch.rand(1, 3, 33, 41, generator=generator)
    gradients = []
    for way in ("forward", "reference"):
        network = small(torch.Generator().manual_seed(1), region=2, halted=halted)
        set_confidence(network, "random")
        getattr(network, way)(lr, BALANCED).image.square().sum().backward()
        parts = (network.head, network.blocks[0].mlp.fc1, network.blocks[3].local_branch.qkv)
        gradients.append([part.weight.grad for part in parts])
    for sparse, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(sparse, plain, atol=1e-3, rtol=1e-4)
