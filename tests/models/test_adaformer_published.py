"""The published AdaFormer against its authors' outputs, and its parameters by their names."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from srcli.errors import UsageError
from srcli.models import model_spec
from srcli.models.adaformer import AdaFormer, AdaFormerConfig
from srcli.models.adaformer_published import convert_authors, from_authors
from srcli.models.spec import Halting
from tests.weights.states import published_adaformer

EXACT = Halting(None, observe=True)
BALANCED = Halting(0.05, observe=True)


def published(shared: Path) -> AdaFormer:
    network = model_spec("adaformer-published").build(4).eval()
    given = load_file(shared / "golden" / "adaformer_authors_x4.safetensors")
    renamed = {ours: given[name] for name in given if (ours := from_authors(name)) is not None}
    network.load_state_dict(convert_authors(renamed))
    return network


def golden(shared: Path) -> dict[str, torch.Tensor]:
    return load_file(shared / "golden" / "adaformer_authors_x4_io.safetensors")


def with_rounded_mean(network: AdaFormer) -> AdaFormer:
    """The mean as the golden outputs were made with: 255 times ours, rounded to fp16."""
    network.mean.copy_((network.mean * 255).half().float() / 255)
    return network


@torch.no_grad()
@pytest.mark.parametrize("image", ["photo", "noise", "odd", "split2"])
@pytest.mark.parametrize("way", ["forward", "reference"])
def test_golden_with_nothing_halted(shared: Path, image: str, way: str) -> None:
    network, io = published(shared), golden(shared)
    for tolerance in (4e-4, 1e-5):
        made = getattr(network, way)(io[f"{image}.lr"], EXACT).image
        torch.testing.assert_close(made, io[f"{image}.sr_exact"], atol=tolerance, rtol=0)
        with_rounded_mean(network)


@torch.no_grad()
@pytest.mark.parametrize("image", ["photo", "noise"])
def test_golden_with_halting(shared: Path, image: str) -> None:
    io = golden(shared)
    made = published(shared)(io[f"{image}.lr"], BALANCED).image
    torch.testing.assert_close(made, io[f"{image}.sr_halting"], atol=5e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("image", ["photo", "noise", "odd"])
@pytest.mark.parametrize("way", ["forward", "reference"])
def test_golden_masks_and_confidence(shared: Path, image: str, way: str) -> None:
    """By the mean that the golden outputs were made with, `odd` agrees as well."""
    network, io = with_rounded_mean(published(shared)), golden(shared)
    made = getattr(network, way)(io[f"{image}.lr"], BALANCED)
    torch.testing.assert_close(made.image, io[f"{image}.sr_halting"], atol=1e-5, rtol=0)
    for number in range(5):  # the masks after the last layer have no use
        halted = made.layers[number + 1]
        windows = halted.local_mask.repeat_interleave(8, 2).repeat_interleave(8, 3)
        assert torch.equal(~windows[:, 0], io[f"{image}.local_live"][:, number].bool())
        assert torch.equal(~halted.global_mask[:, 0], io[f"{image}.global_live"][:, number].bool())
    for number, layer in enumerate(made.layers):
        confidence = layer.confidence_map
        assert confidence is not None
        windows = layer.local_mask.repeat_interleave(8, 2).repeat_interleave(8, 3)
        compared = ~(windows & layer.global_mask) if way == "forward" else torch.ones_like(windows)
        logits = io[f"{image}.confidence_logits"][:, number : number + 1]
        torch.testing.assert_close(
            torch.logit(confidence)[compared], logits[compared], atol=2e-5, rtol=0
        )
    assert 0 < made.layers[4].live_windows < 1


@torch.no_grad()
def test_with_several_regions_only_halting_groups_tokens_differently(shared: Path) -> None:
    """Their evaluation deals the live tokens out again; ours keeps regions, so that tiles agree."""
    network, io = with_rounded_mean(published(shared)), golden(shared)
    made = network(io["split2.lr"], BALANCED)
    for number in range(3):
        live = ~made.layers[number + 1].global_mask[:, 0]
        assert torch.equal(live, io["split2.global_live"][:, number].bool())
    assert (made.image - io["split2.sr_halting"]).abs().mean() < 0.004


def test_every_parameter_of_the_authors_has_its_place(shared: Path) -> None:
    names = load_file(shared / "golden" / "adaformer_authors_x4.safetensors").keys()
    ours = [one for name in names if (one := from_authors(name)) is not None]
    assert sorted(ours) == sorted(model_spec("adaformer-published").build(4).state_dict())
    fabricated = published_adaformer()
    assert set(names) < set(fabricated)
    more = set(fabricated) - set(names)
    assert all(from_authors(name) is None for name in more)
    assert {name.rpartition(".")[2] for name in more} == {
        "weight", "bias", "relative_position_index"
    }  # fmt: skip


def test_size_is_the_published_one_without_what_computes_nothing() -> None:
    network = model_spec("adaformer-published").build(4)
    unused = 6 * (2 * (64 * 64 + 64) + 4 * 64)
    assert sum(one.numel() for one in network.parameters()) + unused == 1_602_697


def test_conversion_keeps_what_fp16_would_round() -> None:
    values = {"head.weight": 0.1, "tail.bias": 3e-5, "head.bias": 1.0, "blocks.0.norm1.bias": 1.0}
    given = {name: torch.tensor([value]).half() for name, value in values.items()}
    made = convert_authors(given)
    assert made["head.weight"].item() == given["head.weight"].float().item() * 255
    assert made["tail.bias"].item() == pytest.approx(given["tail.bias"].item() / 255, rel=1e-6)
    assert made["head.bias"].dtype == torch.float16
    assert made.keys() == given.keys()


def test_there_are_two_rules_for_halted_tokens() -> None:
    with pytest.raises(UsageError, match="halted is 'drop': have freeze, pass"):
        AdaFormerConfig(4, halted="drop")
