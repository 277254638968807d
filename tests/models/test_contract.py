"""Rules that every network in the registry keeps."""

import pytest
import torch

from srcli.errors import UnknownModel
from srcli.models import model_names, model_spec
from srcli.models.spec import SRNetwork

CASES = [(name, scale) for name in model_names() for scale in model_spec(name).scales]
ONE_SCALE = dict(CASES)  # of each network, the last that it has: the others differ in the tail
SIZES = [(1, 1), (3, 20), (17, 9)]


@pytest.fixture(scope="module")
def network(request: pytest.FixtureRequest) -> SRNetwork:
    name, scale = request.param
    built = model_spec(name).build(scale).eval()
    assert built.scale == scale
    return built


@torch.no_grad()
@pytest.mark.parametrize(
    ("network", "size"),
    [
        pytest.param(
            case, size, id=f"{case[0]}-x{case[1]}-{size[0]}x{size[1]}",
            marks=pytest.mark.slow if case[1] != ONE_SCALE[case[0]] and size != SIZES[-1] else (),
        )
        for case in CASES
        for size in SIZES
    ],
    indirect=["network"],
)  # fmt: skip
def test_sizes(network: SRNetwork, size: tuple[int, int]) -> None:
    output = network(torch.rand(2, 3, *size))
    assert output.image.shape == (2, 3, size[0] * network.scale, size[1] * network.scale)
    assert output.image.dtype == torch.float32
    assert output.image.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("name", model_names())
def test_every_effort_runs_and_leaves_its_traces(name: str) -> None:
    network = model_spec(name).build(2).eval()
    lr = torch.rand(1, 3, 20, 30)
    for halting in model_spec(name).efforts.values():
        output = network(lr, halting)
        assert (output.pure is not None) == halting.skip_pure
        for layer in output.layers:
            assert layer.local_mask.dtype == layer.global_mask.dtype == torch.bool
            assert 0 <= layer.live_windows <= 1
            assert 0 <= layer.live_tokens <= 1


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "scale"),
    [
        pytest.param(name, scale, marks=pytest.mark.slow if scale != ONE_SCALE[name] else ())
        for name, scale in CASES
    ],
)
def test_lower_precision_keeps_fp32_ends(name: str, scale: int) -> None:
    network = model_spec(name).build(scale).eval()
    lr = torch.rand(1, 3, 16, 24)
    full = network(lr).image
    network.lower_precision(torch.bfloat16)
    low = network(lr).image
    assert low.dtype == torch.float32
    assert 0 < (low - full).abs().mean() < 0.5 * full.std()


def test_every_spec_has_exact() -> None:
    for name in model_names():
        spec = model_spec(name)
        assert spec.name == name
        assert spec.efforts["exact"].eps is None
        assert spec.overlap >= spec.alignment > 0


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(UnknownModel, match=r"no model named 'adaforner' \(have .*adaformer"):
        model_spec("adaforner")
