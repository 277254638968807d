"""IMDN, RFDN, RLFN, LAPAR-A and ETDS: against their authors' outputs, and their own promises."""

from pathlib import Path
from types import ModuleType

import pytest
import torch

from srcli.geometry import TileGrid
from srcli.inference.exact_tiling import exact_parts
from srcli.models import model_spec
from srcli.models.etds import ETDSConfig, ETDSDual
from srcli.models.lapar import LAPAR
from srcli.models.layers.local_network import LocalNetwork
from srcli.models.layers.residual_convnet import from_255
from srcli.models.spec import EXACT, SRNetwork
from srcli.weights.checkpoint import open_checkpoint, read_pickled
from srcli.weights.recognise import recognise
from tests.load_program import load_program

GOLDEN = {"imdn": "imdn", "rfdn": "rfdn", "rlfn": "rlfn", "lapar-a": "lapar_a", "etds": "etds",
          "etds-dual": "etds_dual"}  # fmt: skip
RANGE_255 = ("rfdn", "rlfn")
LOCAL = ("etds", "etds-dual", "lapar-a")


def golden_tools(shared: Path) -> ModuleType:
    """The program that fills a network by its parameters' names, and compares."""
    return load_program(shared / "golden" / "tools.py")


def drawn(model: str, scale: int = 2) -> SRNetwork:
    """A network of which every parameter matters: all are drawn again."""
    network = model_spec(model).build(scale).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            size = max(parameter[0].numel(), 1) ** -0.5 if parameter.ndim > 1 else 0.1
            alive = 0.5 if name.endswith("squeeze.bias") else 0.0  # a gate's few units
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * size + alive)
    return network


def image(*size: int) -> torch.Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("name", "scale", "parameters"),
    [
        ("imdn", 2, 694_404), ("imdn", 3, 703_059), ("imdn", 4, 715_176), ("rfdn", 4, 433_448),
        ("rfdn-l", 4, 642_846), ("rlfn", 2, 526_856), ("rlfn", 4, 543_740),
        ("lapar-a", 4, 659_226), ("etds", 2, 152_184), ("etds", 3, 159_768),
        ("etds", 4, 169_968), ("etds-dual", 4, 159_474),
    ],
)  # fmt: skip
def test_has_the_published_number_of_parameters(name: str, scale: int, parameters: int):
    network = model_spec(name).build(scale)
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("name", GOLDEN)
def test_gives_the_outputs_of_its_authors_code(shared: Path, name: str):
    spec, tools = model_spec(name), golden_tools(shared)
    network = spec.build(4).eval()
    path = shared / "golden" / f"{GOLDEN[name]}_x4_io.safetensors"

    def run(lr: torch.Tensor) -> torch.Tensor:
        return network(lr).image

    tools.compare(network, path, spec.from_authors, 2e-5, run)


@torch.inference_mode()
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (33, 40)])
def test_lapar_by_bands_and_joined_filters_is_lapar_by_the_paper(scale: int, size: tuple[int, int]):
    network = drawn("lapar-a", scale)
    assert isinstance(network, LAPAR)
    whole = network.reference(network.extend(image(*size))).image
    whole = whole[..., : size[0] * scale, : size[1] * scale]
    assert (network(image(*size)).image - whole).abs().max() <= 1e-5 * whole.abs().max()


@torch.inference_mode()
def test_lapar_goes_in_bands_through_what_is_large(monkeypatch: pytest.MonkeyPatch):
    network = drawn("lapar-a")
    assert isinstance(network, LAPAR)
    whole = network.reference(image(40, 24)).image
    monkeypatch.setattr("srcli.models.lapar._BAND", 7 * 24)  # seven rows
    assert (network(image(40, 24)).image - whole).abs().max() <= 1e-5 * whole.abs().max()


@torch.inference_mode()
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_etds_joined_is_etds_in_two_streams(scale: int):
    network = drawn("etds-dual", scale)
    assert isinstance(network, ETDSDual)
    whole = network.reference(image(20, 31)).image
    assert (network(image(20, 31)).image - whole).abs().max() <= 1e-5 * whole.abs().max()


@torch.inference_mode()
def test_etds_begins_as_the_nearest_pixel():
    network = ETDSDual(ETDSConfig(3, channels=9, layers=2))
    for convolution in (network.conv_last,):
        torch.nn.init.zeros_(convolution.weight)
        torch.nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    lr = image(5, 7)
    nearest = torch.nn.functional.interpolate(lr, scale_factor=3, mode="nearest")
    assert (network(lr).image - nearest).abs().max() < 1e-6


@torch.inference_mode()
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("name", LOCAL)
def test_tiles_give_the_whole_image(name: str, scale: int):
    network = drawn(name, scale)
    assert isinstance(network, LocalNetwork)
    lr = image(53, 70)
    whole = network(lr).image[0]
    grid = TileGrid.plan(53, 70, 24, alignment=1, overlap=0)
    for part in exact_parts(network, lr, grid, EXACT, lambda layers: None):
        height, width = part.image.shape[1:]
        there = whole[:, part.top : part.top + height, part.left : part.left + width]
        assert (part.image - there).abs().max() < 1e-5 * whole.abs().max()


@torch.inference_mode()
@pytest.mark.parametrize("size", [(14, 40), (8, 15)])
@pytest.mark.parametrize("name", RANGE_255)
def test_sides_too_short_for_spatial_attention_are_mirrored(name: str, size: tuple[int, int]):
    network = drawn(name)
    wide = image(*size)
    missing = [max(15 - side, 0) for side in size]
    extended = torch.nn.functional.pad(wide, (0, missing[1], 0, missing[0]), mode="reflect")
    whole = network(extended).image[..., : 2 * size[0], : 2 * size[1]]
    assert (network(wide).image - whole).abs().max() < 1e-5 * whole.abs().max()


@torch.inference_mode()
@pytest.mark.parametrize("name", RANGE_255)
def test_parameters_for_255_levels_work_in_0_to_1(name: str):
    network, converted = drawn(name), model_spec(name).build(2).eval()
    converted.load_state_dict(from_255(network.state_dict()))
    lr = image(20, 24).double()  # in float32 the processor's kernels differ by more
    expected = network.double()(lr * 255).image / 255
    assert (converted.double()(lr).image - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("name", [*GOLDEN, "rfdn-l"])
def test_gradients_reach_every_parameter(name: str):
    network = drawn(name)
    network(image(16, 24)).image.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("name", GOLDEN)
def test_untrained_networks_are_not_silent(name: str):
    torch.manual_seed(0)
    with torch.inference_mode():
        assert model_spec(name).build(4)(image(16, 24)).image.std() > 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "file"), [("rlfn", "rlfn_x4.pth"), ("etds", "ETDS_M7C48_x4.pth")])
def test_published_files_are_recognised_and_near_the_picture(shared: Path, name: str, file: str):
    """In the wrong range an image still comes out, 27.7 dB on Set5: its levels are off."""
    path = shared / "weights" / "published" / file
    found = recognise(open_checkpoint(path))
    assert (found.model, found.scale) == (name, 4)
    network = loaded(found.content, name)
    flat = torch.full((1, 3, 24, 24), 0.25)
    flat[:, 1] = 0.75
    with torch.inference_mode():
        sr = network(flat).image
    assert (sr[..., 32:64, 32:64] - flat[..., :1, :1]).abs().max() < 2 / 255


def loaded(content: bytes, name: str) -> SRNetwork:
    from safetensors.torch import load

    network = model_spec(name).build(4).eval()
    network.load_state_dict(load(content))
    return network


@torch.inference_mode()
def test_published_rlfn_gives_what_it_gives_in_its_own_range(shared: Path):
    path = shared / "weights" / "published" / "rlfn_x4.pth"
    spec = model_spec("rlfn")
    assert spec.from_authors is not None
    theirs = {spec.from_authors(name): value for name, value in read_pickled(path).items()}
    plain = spec.build(4).eval()
    plain.load_state_dict({str(name): value for name, value in theirs.items()})
    converted = loaded(recognise(open_checkpoint(path)).content, "rlfn")
    expected = plain(image(20, 24) * 255).image / 255
    assert (converted(image(20, 24)).image - expected).abs().max() < 1e-4
