"""SMFANet: against the published outputs, and its bands against the whole image."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from srcli.geometry import TileGrid
from srcli.inference.exact_tiling import exact_parts
from srcli.models import model_spec
from srcli.models.smfanet import SMFANet, SMFANetConfig, from_authors
from srcli.models.spec import EXACT
from srcli.weights.checkpoint import read_pickled

PUBLISHED = {
    ("smfanet", 4): "SMFANet_DF2K_100w_x4SR.pth",
    ("smfanet-plus", 2): "SMFANet_plus_DF2K_100w_x2SR.pth",
    ("smfanet-plus", 3): "SMFANet_plus_DF2K_100w_x3SR.pth",
    ("smfanet-plus", 4): "SMFANet_plus_DF2K_100w_x4SR.pth",
}


def published(shared: Path, name: str, scale: int) -> SMFANet:
    given = read_pickled(shared / "weights" / "published" / PUBLISHED[name, scale])
    network = model_spec(name).build(scale).eval()
    network.load_state_dict({from_authors(theirs): value for theirs, value in given.items()})
    assert isinstance(network, SMFANet)
    return network


def untrained(scale: int = 2) -> SMFANet:
    """A small network whose modulation matters: its parameters are all drawn again."""
    network = SMFANet(SMFANetConfig(scale, channels=12, blocks=3)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return network


@pytest.mark.parametrize(
    ("name", "scale", "parameters"),
    [
        ("smfanet", 2, 185_628), ("smfanet", 3, 190_503), ("smfanet", 4, 197_328),
        ("smfanet-plus", 2, 480_300), ("smfanet-plus", 3, 486_795), ("smfanet-plus", 4, 495_888),
    ],
)  # fmt: skip
def test_has_the_published_number_of_parameters(name: str, scale: int, parameters: int):
    network = model_spec(name).build(scale)
    assert sum(p.numel() for p in network.parameters()) == parameters


@torch.inference_mode()
@pytest.mark.parametrize(("name", "scale"), PUBLISHED)
def test_gives_the_published_outputs(shared: Path, name: str, scale: int):
    network = published(shared, name, scale)
    golden = load_file(shared / "golden" / f"{name}_x{scale}_io.safetensors")
    for number in range(3):
        lr, sr = golden[f"lr{number}"], golden[f"sr{number}"]
        lr = lr.reshape(1, 3, *lr.shape[-2:])
        assert (network(lr).image - sr).abs().max() <= 2e-5
        assert (network.reference(lr).image - sr).abs().max() <= 2e-5


@torch.inference_mode()
@pytest.mark.parametrize("rows", [1, 3, 8, 100])
@pytest.mark.parametrize("size", [(8, 8), (9, 31), (33, 20), (40, 16)])
def test_bands_of_any_height_give_the_whole_image(size: tuple[int, int], rows: int):
    network = untrained()
    lr = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    whole = network.reference(lr).image
    (attended,) = network.attend([network.encode(lr)], EXACT, chunk=rows)
    banded = network.decode(attended.features, lr)
    assert (banded - whole).abs().max() < 1e-5 * whole.abs().max()


@torch.inference_mode()
@pytest.mark.parametrize("tile", [8, 16, 64])
def test_tiles_give_the_whole_image(tile: int):
    network = untrained()
    lr = torch.rand(1, 3, 37, 50, generator=torch.Generator().manual_seed(2))
    whole = network.reference(lr).image[0]
    grid = TileGrid.plan(37, 50, tile, alignment=8, overlap=0)
    for part in exact_parts(network, lr, grid, EXACT, lambda layers: None):
        height, width = part.image.shape[1:]
        there = whole[:, part.top : part.top + height, part.left : part.left + width]
        assert (part.image - there).abs().max() < 1e-5 * whole.abs().max()


@torch.inference_mode()
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (12, 7)])
def test_sides_below_one_coarse_cell_are_mirrored(size: tuple[int, int]):
    network = untrained()
    lr = torch.rand(1, 3, *size)
    wide = network.extend(lr)
    assert wide.shape[2:] == (max(size[0], 8), max(size[1], 8))
    assert torch.equal(wide[..., : size[0], : size[1]], lr)
    assert (network(lr).image - network.reference(lr).image).abs().max() < 1e-4


@torch.inference_mode()
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_constant_images_stay_finite(level: float):
    assert untrained()(torch.full((1, 3, 16, 16), level)).image.isfinite().all()


def test_gradients_reach_every_parameter():
    network = untrained()
    network(torch.rand(1, 3, 16, 24)).image.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_batches_are_computed_image_by_image():
    network = untrained()
    lr = torch.rand(2, 3, 16, 24)
    with torch.inference_mode():
        together = network(lr).image
        apart = torch.cat([network(one[None]).image for one in lr])
    assert (together - apart).abs().max() < 1e-5 * together.abs().max()


def test_names_of_the_authors_are_a_bijection(shared: Path):
    given = read_pickled(shared / "weights" / "published" / PUBLISHED["smfanet-plus", 4])
    ours = [from_authors(name) for name in given]
    assert len(ours) == len(set(ours)) == 268
    assert set(ours) == set(model_spec("smfanet-plus").build(4).state_dict())
