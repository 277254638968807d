"""pp-atd-light itself, with weights of one's own: whole, in tiles, and its masks."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from srcli.models import model_spec
from srcli.models.layers.windows import extend_by_mirroring
from srcli.models.pp_atd import PPATDLight
from tests.cli.weights_world import World
from tests.weights.states import state


@pytest.fixture
def wide(photo: np.ndarray) -> np.ndarray:
    """Three tiles of 32 px across, (24, 83, 3), neither side whole windows."""
    return np.tile(photo, (1, 2, 1))[:24, :83]


@pytest.fixture
def scene(world: World, wide: np.ndarray) -> World:
    """Random weights under a name, and an image to upscale."""
    save_file(state("pp-atd-light", 2), world.folder / "me.safetensors")
    names = ("--model", "pp-atd-light", "--name", "mine")
    assert world.run("weights", "import", "me.safetensors", *names)[0] == 0
    Image.fromarray(wide).save(world.folder / "wide.png")
    return world


def upscaled(scene: World, *arguments: object) -> tuple[np.ndarray, str, str]:
    """The image it makes, and its messages on stdout and stderr."""
    call = ("upscale", "wide.png", "-m", "mine", "-s", 2, "--precision", "fp32", "--overwrite")
    code, out, error = scene.run(*call, *arguments)
    assert code == 0, error
    with Image.open(scene.folder / "wide_x2.png") as made:
        return np.asarray(made).astype(int), out, error


@pytest.mark.slow
def test_whole_and_in_tiles(scene: World) -> None:
    """Whole, nothing is said of tiles; compiling, which there is nothing for, is owned up to."""
    whole, out, error = upscaled(scene, "--compile")
    assert "blended" not in out + error
    assert "--compile has no effect on pp-atd-light" in error
    tiled, out, error = upscaled(scene, "--tile", 32)
    assert "wide.png: computed in overlapping, blended tiles, which differ a little" in error
    assert "1 of 1, from overlapping tiles" in out
    assert "--compile" not in error
    assert tiled.shape == whole.shape == (48, 166, 3)
    assert 0 < abs(tiled - whole).mean() < 8


@pytest.mark.slow
def test_masks_of_tiles_are_those_of_the_whole_image(scene: World, wide: np.ndarray) -> None:
    code, out, error = scene.run(
        "visualize-mask", "wide.png", "-m", "mine", "-s", 2, "--npz", "--tile", 32
    )
    assert code == 0, error
    network = model_spec("pp-atd-light").build(2)
    assert isinstance(network, PPATDLight)
    lr = torch.from_numpy(wide).permute(2, 0, 1)[None] / 255
    expected = network.find_pure(extend_by_mirroring(lr, 16))
    with np.load(scene.folder / "wide_masks" / "maps.npz") as maps:
        assert np.array_equal(maps["pure_mask"], expected.mask[0, 0, :24, :83])
        assert np.array_equal(maps["pure_classes"], expected.classes[0, 0, :24, :83])
        assert 0.1 < maps["pure_mask"].mean() < 0.9
    assert "of pixels pure" in out
