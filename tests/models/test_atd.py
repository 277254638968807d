"""ATD-light against its authors' outputs, its parts against plain ones, and what varies it."""

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from srcli.models import model_spec
from srcli.models.atd import ATDConfig, ATDLight, from_authors
from srcli.models.camixer_atd import CAMixerATDConfig, CAMixerATDLight, CAMixerLayer
from srcli.models.layers import lazy_qkv as lazy_qkv_module
from srcli.models.layers.category import CategoryAttention, PureSplit
from srcli.models.layers.dictionary import DictionaryAttention, DictionaryRefinement
from srcli.models.layers.lazy_qkv import LazyQKV
from srcli.models.layers.pure_pixels import colour_centres
from srcli.models.layers.shifted_windows import ShiftedWindowAttention
from srcli.models.pp_atd import PPATDLight, PureConfig
from srcli.models.spec import Halting

TINY = ATDConfig(scale=2, dim=16, groups=2, layers=3, heads=2, window=4, entries=5, reduced=3,
                 category_group=12, kernel=3)  # fmt: skip
SKIP = Halting(eps=None, skip_pure=True)


@pytest.mark.parametrize(("scale", "parameters"), [(2, 753_204), (3, 759_699), (4, 768_792)])
def test_has_the_published_number_of_parameters(scale: int, parameters: int):
    network = model_spec("atd-light").build(scale)
    assert sum(p.numel() for p in network.parameters()) == parameters


def authors(shared: Path, scale: int) -> dict[str, torch.Tensor]:
    given = load_file(shared / "golden" / f"atd_light_x{scale}.safetensors")
    names = {name: from_authors(name) for name in given}
    return {ours: given[name] for name, ours in names.items() if ours is not None}


# With their sort, which leaves the order inside a category to the machine. Ours is stable, so that
# runs are repeatable; with random weights and the groups that it makes the outputs differ by up to
# 0.1.
PARITY = """
import sys
from pathlib import Path
import torch
from safetensors.torch import load_file
from srcli.models.atd import ATDConfig, ATDLight
from srcli.models.layers import category
from tests.models.test_atd import authors

shared, scale = Path(sys.argv[1]), int(sys.argv[2])
category.sorted_by_category = lambda numbers: torch.sort(numbers, stable=False).indices
network = ATDLight(ATDConfig(scale=scale)).eval()
network.load_state_dict(authors(shared, scale))
golden = load_file(shared / "golden" / f"atd_light_x{scale}_io.safetensors")
with torch.no_grad():
    for number in range(3):
        image = network(golden[f"lr{number}"]).image
        print(float((image - golden[f"sr{number}"]).abs().max()))
"""
# Where two entries of the dictionary are equally near to a token, rounding tells its category, and
# that the image: the golden outputs come from the arithmetic of AVX2.
AS_WITH_AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OMP_NUM_THREADS": "1",
}


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_gives_what_the_authors_implementation_gives(shared: Path, scale: int):
    run = subprocess.run(
        [sys.executable, "-c", PARITY, str(shared), str(scale)],
        stdout=subprocess.PIPE,  # what it says of an error is shown with the failure
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, **AS_WITH_AVX2},
    )
    differences = [float(line) for line in run.stdout.split()]
    assert len(differences) == 3
    assert max(differences) <= 1e-4


def test_names_of_the_authors_are_a_bijection(shared: Path):
    given = load_file(shared / "golden" / "atd_light_x4.safetensors")
    ours = [from_authors(name) for name in given]
    assert ours.count(None) == 1
    assert set(ours) - {None} == set(ATDLight(ATDConfig(scale=4)).state_dict())


def projected(batch: int, tokens: int, dim: int) -> LazyQKV:
    return LazyQKV.of(torch.randn(batch, tokens, dim), torch.nn.Linear(dim, 3 * dim))


def compute_in_chunks_of(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_qkv_module, "_CHUNK", {"cpu": count})


@torch.no_grad()
@pytest.mark.parametrize("chunk", [1, 32, 4096])
@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("size", [(4, 4), (4, 12), (12, 8)])
def test_window_attention_equals_the_plain_one(
    shift: int, size: tuple[int, int], chunk: int, monkeypatch: pytest.MonkeyPatch
):
    compute_in_chunks_of(chunk, monkeypatch)
    attention = ShiftedWindowAttention(dim=12, heads=3, window=4, shift=shift)
    torch.nn.init.normal_(attention.bias_table)
    qkv = projected(2, size[0] * size[1], 12)
    plain = attention.reference(qkv, *size)
    assert (attention(qkv, *size) - plain).abs().max() < 1e-5
    with torch.enable_grad():
        assert (attention(qkv, *size) - plain).abs().max() < 1e-5


@torch.no_grad()
@pytest.mark.parametrize("chunk", [1, 33, 4096])
@pytest.mark.parametrize("share", [None, 0.0, 0.4, 0.9, 1.0])
def test_category_attention_equals_the_plain_one(
    share: float | None, chunk: int, monkeypatch: pytest.MonkeyPatch
):
    compute_in_chunks_of(chunk, monkeypatch)
    attention = CategoryAttention(dim=12, heads=3, group=16)
    qkv = projected(2, 70, 12)
    similarity = torch.rand(2, 70, 6)
    mask = None if share is None else torch.rand(2, 70) < share
    exempt = None if mask is None else PureSplit.where(mask)
    plain = attention.reference(qkv, similarity, mask)
    assert (attention(qkv, similarity, exempt) - plain).abs().max() < 1e-4
    with torch.enable_grad():
        assert (attention(qkv, similarity, exempt) - plain).abs().max() < 1e-4
    if share == 1.0:
        assert torch.allclose(plain, attention.proj(qkv.values()), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_refinement_of_many_tokens_is_not_rounded(dtype: torch.dtype):
    """Weights of 1/n would vanish in fp16, and in bf16 sums of them stop growing."""
    torch.manual_seed(3)
    refinement = DictionaryRefinement(4)
    similarity = torch.randn(1, 50_000, 4).softmax(-1)
    dictionary, tokens = torch.randn(1, 4, 8), torch.randn(1, 50_000, 8) + 2
    plain = refinement(dictionary, similarity, tokens)
    refinement.to(dtype)
    low = refinement(dictionary.to(dtype), similarity, tokens.to(dtype))
    assert low.dtype == dtype
    assert (low - plain).abs().max() < 0.02


@torch.no_grad()
def test_categories_are_told_in_fp32_whatever_the_rest_is():
    torch.manual_seed(3)
    network = ATDLight(ATDConfig(scale=2, groups=1, layers=1)).eval()
    attention = next(m for m in network.modules() if isinstance(m, DictionaryAttention))
    tokens, entries = (
        t.bfloat16().float() for t in (torch.randn(1, 5000, 48), torch.randn(1, 64, 48))
    )
    plain = attention.similarity(tokens, entries)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(attention.similarity(tokens, entries), plain)
    network.lower_precision(torch.bfloat16)
    assert attention.v.weight.dtype == torch.bfloat16
    assert torch.equal(attention.similarity(tokens.bfloat16(), entries.bfloat16()), plain)


@torch.no_grad()
def test_pure_pass_off_is_atd_light_and_on_skips_pure_pixels():
    torch.manual_seed(3)
    plain = ATDLight(TINY).eval()
    network = PPATDLight(TINY, PureConfig(window=2, shifts=((0, 0), (1, 1)))).eval()
    network.load_state_dict(plain.state_dict())
    noise = torch.rand(1, 3, 12, 20)
    half = torch.cat([torch.full((1, 3, 12, 20), 0.3), noise], 3)
    for lr in (noise, half):
        assert (network(lr).image - plain(lr).image).abs().max() <= 1e-5
        assert network(lr).pure is None
    output = network(half, SKIP)
    assert output.pure is not None
    assert output.pure.mask[..., :18].all()
    assert output.pure.mask[..., 21:].float().mean() < 0.4
    assert (output.image - plain(half).image).abs().max() > 1e-4
    again = network(half, SKIP)
    assert torch.equal(output.image, again.image)


def test_gradients_reach_every_parameter_with_the_mask_on():
    network = PPATDLight(TINY, PureConfig(window=2, shifts=((0, 0),)))
    lr = torch.cat([torch.full((2, 3, 8, 8), 0.3), torch.rand(2, 3, 8, 8)], 3)
    torch.autograd.backward(network(lr, SKIP).image.square().mean())
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == []


def camixer(ratio: float) -> ATDLight:
    config = CAMixerATDConfig(**asdict(TINY), ratio=ratio, predictor=5, simple=5)
    network = CAMixerATDLight(config)
    assert network.state_dict()["groups.1.layers.2.score.0.weight"].shape == (5, 16)
    assert network.state_dict()["groups.1.layers.2.simple.weight"].shape == (16, 1, 5, 5)
    return network


@pytest.mark.parametrize("network", [PPATDLight(TINY, PureConfig()), camixer(1.0)])
def test_parameters_that_a_batch_does_not_need_get_a_gradient_of_zero(network: ATDLight):
    """Without one, processes that share gradients wait for each other in vain."""
    halting = SKIP if isinstance(network, PPATDLight) else Halting(eps=None)
    torch.autograd.backward(network(torch.full((2, 3, 8, 8), 0.3), halting).image.square().mean())
    gradients = {name: p.grad for name, p in network.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None] == []
    unused = "logit_scale" if isinstance(network, PPATDLight) else "simple"
    zero = [g for name, g in gradients.items() if unused in name and g is not None]
    assert len(zero) >= 6
    assert all(not g.any() for g in zero)


@pytest.mark.parametrize("skip", [False, True])
def test_trains_after_it_has_inferred_at_the_same_size(skip: bool):
    """Tensors kept for a size must not be inference tensors, as validation would leave them."""
    torch.manual_seed(3)
    network = PPATDLight(TINY, PureConfig(window=2, shifts=((0, 0),)))
    lr = torch.rand(1, 3, 12, 28)  # no other test has this size
    colour_centres.cache_clear()
    with torch.inference_mode():
        inferred = network(lr, Halting(eps=None, skip_pure=skip)).image
    trained = network(lr, Halting(eps=None, skip_pure=skip)).image
    torch.autograd.backward(trained.square().mean())
    assert (trained.detach() - inferred).abs().max() < 1e-5
    assert not colour_centres(16).is_inference()


def test_camixer_spares_its_share_and_learns_which():
    network = camixer(0.5)
    lr = torch.rand(2, 3, 8, 16)
    trained = network(lr).image
    torch.autograd.backward(trained.square().mean())
    first = next(m for m in network.modules() if isinstance(m, CAMixerLayer))
    predictor = first.score[0].weight
    assert isinstance(predictor, torch.nn.Parameter)
    assert predictor.grad is not None
    assert predictor.grad.abs().max() > 0
    chosen, _ = first.choose(torch.rand(2, 1, 8, 16))
    assert chosen.sum((1, 2)).tolist() == [64, 64]  # 4 of 8 windows of 16 px
    assert chosen[:, :4, :4].float().std((1, 2)).max() == 0
    with torch.no_grad():
        assert (network(lr).image - trained).abs().max() < 1e-5
