"""The network as it is trained gives what inference gives; its gradients are the reference's."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from srcli.models.adaformer import AdaFormer
from srcli.models.atd import ATDConfig, ATDLight
from srcli.models.layers.tsab import NoExchange
from srcli.models.spec import Halting
from srcli.training.families import for_patches, started
from srcli.training.network import PatchNetwork
from tests.training.conftest import TINY


@pytest.fixture
def network(generator: torch.Generator) -> AdaFormer:
    """Random parameters, and an estimator that halts here and there."""
    network = AdaFormer(TINY)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
        for conv in (network.confidence.conv1, network.confidence.conv2):
            conv.weight.sub_(conv.weight.mean((2, 3), keepdim=True)).mul_(20.0)
            conv.bias.fill_(-0.5)  # zero-sum kernels answer to detail, not to level
    return network


@pytest.fixture
def lr(generator: torch.Generator) -> Tensor:
    return torch.rand(2, 3, 24, 32, generator=generator)


@pytest.mark.parametrize("halted", ["freeze", "pass"])
@pytest.mark.parametrize("eps", [None, 0.05, 1.0])
def test_computes_what_inference_computes(
    network: AdaFormer, lr: Tensor, eps: float | None, halted: str
):
    parameters = network.state_dict()
    network = AdaFormer(replace(TINY, halted=halted))
    network.load_state_dict(parameters)
    with torch.no_grad():
        trained = PatchNetwork(network, token_share=0.1)(lr, threshold(eps))
        inferred = network(lr, Halting(eps, observe=True))
    torch.testing.assert_close(trained.image, inferred.image, atol=1e-4, rtol=1e-5)
    live = [layer.live_windows for layer in inferred.layers]
    assert trained.live_windows.tolist() == pytest.approx(live)
    assert eps != 0.05 or any(0 < share < 1 for share in live), "the masks must matter"
    assert eps != 1.0 or live == [1.0, 0.0, 0.0], "all halts, but not before a confidence"


@pytest.mark.parametrize(
    "options", [{"masks": "local"}, {"masks": "none"}, {"shared_estimator": False}], ids=str
)
def test_computes_ablations_as_inference_does(
    network: AdaFormer, lr: Tensor, options: dict[str, Any]
):
    config = replace(TINY, **options)
    ablated = AdaFormer(config)
    ablated.load_state_dict(started(config, network.state_dict()))
    with torch.no_grad():
        trained = PatchNetwork(ablated, token_share=0.1)(lr, 0.95)
        inferred = ablated(lr, Halting(0.05, observe=True))
    torch.testing.assert_close(trained.image, inferred.image, atol=1e-4, rtol=1e-5)
    assert trained.live_windows.tolist() == pytest.approx(
        [layer.live_windows for layer in inferred.layers]
    )


def test_without_a_global_branch_it_starts_from_the_rest_of_a_whole_network(
    network: AdaFormer, lr: Tensor
):
    config = replace(TINY, prototypes=0)
    ablated = AdaFormer(config)
    ablated.load_state_dict(started(config, network.state_dict()))
    with torch.no_grad():
        trained = PatchNetwork(ablated, token_share=0.1)(lr, 0.95).image
        torch.testing.assert_close(trained, ablated(lr, Halting(0.05)).image, atol=1e-4, rtol=1e-5)
        for block in network.blocks:
            block.global_branch = NoExchange()
        torch.testing.assert_close(ablated(lr).image, network(lr).image)


def test_estimators_of_their_own_start_alike_from_the_shared_one(network: AdaFormer):
    config = replace(TINY, shared_estimator=False)
    given = started(config, network.state_dict())
    bias = network.confidence.conv2.bias
    assert [torch.equal(given[f"confidence.{layer}.conv2.bias"], bias) for layer in range(3)] == [
        True
    ] * 3
    assert started(config, given).keys() == given.keys()  # and from themselves


@pytest.mark.parametrize("eps", [None, 0.05])
def test_earlier_images_are_those_of_a_network_that_ends_there(
    network: AdaFormer, lr: Tensor, eps: float | None
):
    output = PatchNetwork(network, 0.1, "increment")(lr, threshold(eps))
    assert len(output.earlier) == len(network.blocks) - 1
    assert not any(image.requires_grad for image in output.earlier)
    for layers, image in enumerate(output.earlier, start=1):
        shorter = AdaFormer(replace(TINY, layers=layers))
        shorter.load_state_dict(network.state_dict(), strict=False)
        with torch.no_grad():
            wanted = shorter(lr, Halting(eps)).image
        torch.testing.assert_close(image, wanted, atol=1e-4, rtol=1e-5)


def test_pondering_leaves_the_image_and_gives_confidence_a_gradient(network: AdaFormer, lr: Tensor):
    """The gradient is that of the mean of a token's states by its halting probabilities."""
    plain = PatchNetwork(network, 0.0)(lr, 0.95)
    ponders = PatchNetwork(network, 0.0, "ponder", 0.95)(lr, 0.95)
    torch.testing.assert_close(ponders.image, plain.image)
    wanted = [network.confidence.conv2.bias, network.embed.weight]
    (bias, embed) = torch.autograd.grad(ponders.image.square().mean(), wanted)
    assert bias.abs().max() > 0
    (alone,) = torch.autograd.grad(plain.image.square().mean(), wanted[1:])
    torch.testing.assert_close(embed, alone)


@pytest.mark.parametrize("eps", [None, 0.05, 1.0])
def test_has_the_gradients_of_the_reference(network: AdaFormer, lr: Tensor, eps: float | None):
    trained = PatchNetwork(network, token_share=0.1)(lr, threshold(eps))
    inferred = network.reference(lr, Halting(eps, observe=True))
    parameters = [p for n, p in network.named_parameters() if not n.startswith("confidence")]
    wanted = torch.autograd.grad(inferred.image.square().mean(), parameters)
    got = torch.autograd.grad(trained.image.square().mean(), parameters)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def threshold(eps: float | None) -> float:
    return math.inf if eps is None else 1.0 - eps


def test_confidence_maps_are_those_of_inference(network: AdaFormer, lr: Tensor):
    trained = PatchNetwork(network, token_share=0.1)(lr, math.inf)
    inferred = network(lr, Halting(eps=None, observe=True))
    maps = torch.cat([layer.confidence_map for layer in inferred.layers], 1)
    torch.testing.assert_close(trained.confidence, maps, atol=1e-5, rtol=0)


def test_a_share_of_the_estimators_gradient_reaches_the_tokens(network: AdaFormer, lr: Tensor):
    def gradients(share: float) -> tuple[Tensor, Tensor]:
        output = PatchNetwork(network, share)(lr, math.inf)
        wanted = [network.embed.weight, network.confidence.conv1.weight]
        tokens, estimator = torch.autograd.grad(output.confidence.sum(), wanted, allow_unused=True)
        return torch.zeros(()) if tokens is None else tokens, estimator

    whole, tenth, none = gradients(1.0), gradients(0.1), gradients(0.0)
    torch.testing.assert_close(tenth[0], 0.1 * whole[0], atol=1e-5, rtol=1e-4)
    assert none[0].abs().max() == 0
    torch.testing.assert_close(tenth[1], whole[1])


@pytest.mark.parametrize("atd", [False, True])
def test_first_and_last_convolution_stay_in_full_precision(
    network: AdaFormer, lr: Tensor, atd: bool
):
    """As in inference: in bf16 the colours themselves would be rounded to 8 bits."""
    host = ATDLight(ATDConfig(2, dim=8, groups=1, layers=2, window=8)) if atd else network
    plain = for_patches(host, 1.0)
    seen: dict[str, set[torch.dtype]] = {}
    for name, module in host.named_modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(
                lambda _, __, out, name=name: seen.setdefault(name, set()).add(out.dtype)
            )
    with torch.autocast("cpu", torch.bfloat16):
        assert plain(lr, math.inf).image.dtype == torch.float32
    assert seen.pop("head") == seen.pop("tail") == {torch.float32}
    assert {torch.bfloat16} in seen.values()


def test_as_many_heads_as_channels(lr: Tensor):
    plain = PatchNetwork(AdaFormer(replace(TINY, heads=TINY.dim)), 1.0)
    output = plain(lr, math.inf)
    (output.image.sum() + output.confidence.sum()).backward()
    assert plain.net.head.weight.grad is not None
