"""SwinIR-light, ELAN-light, NGswin and ESRT: the published outputs, and their parts plainly."""

from pathlib import Path
from typing import TypeVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from srcli.inference.network import LoadedNetwork
from srcli.inference.progress import watched_progress
from srcli.inference.tile_planner import TilePlanner
from srcli.models import elan_light, esrt, ngram, swinir_light
from srcli.models.elan_light import ELANLight
from srcli.models.esrt import ESRT, ESRTConfig
from srcli.models.layers.cosine_attention import NGramContext, ShiftedCosineAttention
from srcli.models.layers.lazy_qkv import LazyQKV
from srcli.models.layers.pixel_projections import NormedProjection, shift_by_one
from srcli.models.layers.runs import RunAttention
from srcli.models.layers.shifted_windows import ShiftedWindowAttention
from srcli.models.layers.windows import extend_by_reflection
from srcli.models.ngram import NGswin
from srcli.models.spec import EXACT, ModelSpec, SRNetwork
from srcli.models.swinir_light import SwinIRLight
from tests.models.golden import largest_difference

SPECS = (swinir_light.SPEC, elan_light.SPEC, ngram.SPEC, esrt.SPEC)
TOLERANCE = 1e-4
N = TypeVar("N", bound=torch.nn.Module)


def as_published(network: SRNetwork, lr: Tensor) -> Tensor:
    """The image with the border that the authors' own forward pass adds, which is not always ours.

    Their scripts add another border before; ours is that.
    """
    height, width = lr.shape[2:]
    if isinstance(network, SwinIRLight):
        image = network.upscale_windows(extend_by_reflection(lr, 8))
    elif isinstance(network, NGswin):
        image = network.upscale(F.pad(lr, (0, -width % 32, 0, -height % 32)))
    else:
        return network(lr).image
    return image[..., : height * network.scale, : width * network.scale]


def randomised(module: N) -> N:
    """All parameters drawn again, so that none is 0 or 1."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in module.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) + 0.2)
                value *= 1 if value.dim() < 2 else 0.1
    return module.eval()


@pytest.mark.parametrize(
    ("name", "scale", "parameters"),
    [
        ("swinir-light", 2, 910_152), ("swinir-light", 3, 918_267), ("swinir-light", 4, 929_628),
        ("elan-light", 2, 582_012), ("elan-light", 3, 590_127), ("elan-light", 4, 601_488),
        ("ngswin", 2, 998_384), ("ngswin", 3, 1_007_039), ("ngswin", 4, 1_019_156),
        ("esrt", 2, 677_783), ("esrt", 3, 770_263), ("esrt", 4, 751_767),
    ],
)  # fmt: skip
def test_has_the_published_number_of_parameters(name: str, scale: int, parameters: int):
    (spec,) = (spec for spec in SPECS if spec.name == name)
    assert sum(p.numel() for p in spec.build(scale).parameters()) == parameters


@pytest.mark.parametrize(
    ("name", "file"),
    [("swinir-light", "swinir_light"), ("elan-light", "elan_light"), ("ngswin", "ngram"),
     ("esrt", "esrt")],
)  # fmt: skip
def test_gives_the_published_outputs(shared: Path, name: str, file: str):
    (spec,) = (spec for spec in SPECS if spec.name == name)
    network, golden = spec.build(4).eval(), shared / "golden" / f"{file}_x4_io.safetensors"
    assert spec.from_authors is not None
    apart = largest_difference(
        network, golden, spec.from_authors, lambda lr: as_published(network, lr)
    )
    assert apart <= TOLERANCE


@torch.inference_mode()
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_images_of_a_batch_do_not_see_each_other(spec: ModelSpec):
    network = spec.build(2).eval()
    lr = torch.rand(2, 3, 19, 26)
    together, apart = network(lr).image, torch.cat([network(one[None]).image for one in lr])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("kind", [ShiftedWindowAttention, ShiftedCosineAttention])
@pytest.mark.parametrize("shift", [0, 4])
def test_windows_of_all_kinds_give_what_plain_windows_give(
    kind: type[ShiftedWindowAttention], shift: int
):
    attention = randomised(kind(20, 3 if kind is ShiftedCosineAttention else 2, 8, shift))
    width = attention.proj.in_features
    tokens = torch.randn(2, 24 * 16, 20)
    qkv = LazyQKV.of(tokens, torch.nn.Linear(20, 3 * width))
    torch.testing.assert_close(attention(qkv, 24, 16), attention.reference(qkv, 24, 16))


@torch.inference_mode()
def test_a_seam_in_cosine_attention_can_be_seen_through():
    attention = ShiftedCosineAttention(8, 1, 8, 4).eval()
    attention.logit_scale.fill_(10.0)  # more than the highest, 100
    tokens = torch.ones(1, 64, 8)
    tokens[:, :32] = -1.0  # across the seam, and opposite
    weight = torch.cat((torch.eye(8), torch.eye(8), torch.eye(8)))
    qkv = LazyQKV(tokens, weight, torch.zeros(24))
    own = attention(qkv, 8, 8)
    attention.across_seams = float("-inf")
    torch.testing.assert_close(own, attention(qkv, 8, 8))  # 100 against -200: nothing comes through
    tokens[:, :32] = 1.0 + torch.rand(8)
    attention.across_seams = -1.0
    assert (attention(qkv, 8, 8) - own).abs().max() > 0.01


@torch.inference_mode()
def test_projection_is_its_convolution_and_its_norm():
    projection = randomised(NormedProjection(6, 10))
    x = torch.randn(2, 5, 7, 6)
    torch.testing.assert_close(projection(x), projection.reference(x))


def test_shift_shows_neighbours_and_zeros_at_the_border():
    x = torch.rand(1, 4, 5, 10)
    shifted = shift_by_one(x)
    wide = F.pad(x, (0, 0, 1, 1, 1, 1))
    for part, (down, right) in enumerate([(0, 1), (0, -1), (1, 0), (-1, 0), (0, 0)]):
        seen = wide[:, 1 + down : 5 + down, 1 + right : 6 + right, 2 * part : 2 * part + 2]
        assert torch.equal(shifted[..., 2 * part : 2 * part + 2], seen)


@torch.inference_mode()
@pytest.mark.parametrize("count", [4, 7, 40, 63])
@pytest.mark.parametrize("most", [1, 100, 1 << 24])
def test_bands_of_queries_give_the_whole_matrix(count: int, most: int):
    attention = randomised(RunAttention(16, 2))
    tokens = torch.randn(2, count, 16)
    torch.testing.assert_close(attention(tokens, most), attention.reference(tokens))


@torch.inference_mode()
def test_context_reaches_the_eight_windows_around():
    context = randomised(NGramContext(8, 2, 4))
    image = torch.rand(1, 8, 24, 24)
    changed = image.clone()
    changed[:, :, 8:12, 8:12] += torch.rand(8, 1, 1)  # the window in row 2, column 2
    apart = (context(image) - context(changed)).abs().amax((0, 1)) > 1e-7
    expected = torch.zeros(6, 6, dtype=torch.bool)
    for row, column in ((2, 2), (1, 1), (1, 2), (2, 1), (3, 3), (2, 3), (3, 2)):
        expected[row, column] = True
    assert torch.equal(apart, expected)


@torch.inference_mode()
def test_esrt_sees_a_token_of_its_own_quarter_only():
    network = randomised(ESRT(ESRTConfig(scale=2, channels=16, heads=2)))
    tokens = torch.rand(1, 4 * 9, 16 * 9)
    changed = tokens.clone()
    changed[:, 10] += torch.rand(16 * 9)
    attention = network.transformer.attention
    apart = (attention(tokens) - attention(changed)).abs().amax((0, 2)) > 0
    assert apart.nonzero().flatten().tolist() == list(range(9, 18))


@torch.inference_mode()
def test_elan_uses_the_first_stages_matrices_again():
    network = ELANLight(elan_light.ELANConfig(scale=2, dim=15, blocks=1)).eval()
    first, second = network.blocks[0].attention
    x = torch.rand(1, 16, 16, 15)
    _, matrices = first(x, None)
    _, again = second(torch.rand(1, 16, 16, 15), matrices)
    assert all(torch.equal(one, other) for one, other in zip(matrices, again, strict=True))
    assert [tuple(one.shape) for one in matrices] == [(16, 16, 16), (4, 64, 64), (1, 256, 256)]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_gradients_reach_every_parameter(spec: ModelSpec):
    network = spec.build(2)
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, 0.01, 0.2)
    network(torch.rand(1, 3, 16, 24)).image.square().sum().backward()
    without = {name for name, p in network.named_parameters() if p.grad is None}
    assert all(name.endswith(".unused") for name in without)
    assert len(without) == (12 if spec is esrt.SPEC else 0)


@pytest.mark.parametrize("spec", SPECS[:3], ids=lambda spec: spec.name)
def test_progress_grows_block_by_block_to_the_end(spec: ModelSpec):
    network = LoadedNetwork.untrained(spec, 2, torch.device("cpu"), torch.float32)
    plan = next(iter(TilePlanner(network, 0).attempts(64, 64)))
    seen: list[float] = []
    with watched_progress(network, plan, 1, seen.append), torch.inference_mode():
        network(torch.rand(1, 3, 64, 64), EXACT)
    assert len(seen) == len(network.module.progress_modules()) > 1
    assert seen == sorted(set(seen))
    assert seen[-2] < seen[-1] == 1.0
