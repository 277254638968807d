"""The AdaFormer authors' own file: brought in, run in tiles, explained and measured."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srcli.inference.network import LoadedNetwork
from srcli.models.spec import Halting
from srcli.weights import best_scale
from srcli.weights.load import read_weights
from tests.cli.visualizing import run_here
from tests.cli.weights_world import World
from tests.weights.states import CPU, published_adaformer


def lively() -> dict[str, torch.Tensor]:
    """Confidence that differs from token to token, so that some halt in every layer."""
    theirs = published_adaformer()
    for name in ("body.var.0.weight", "body.var.2.weight"):
        theirs[name] = (theirs[name] - theirs[name].mean((2, 3), keepdim=True)) * 20.0
    theirs["body.var.0.bias"].zero_()
    theirs["body.var.2.bias"].fill_(-1.0)
    return theirs


@pytest.fixture
def imported(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    theirs = lively()
    torch.save(theirs, world.folder / "model_x4.pt")
    code, out, error = world.run("weights", "import", "model_x4.pt", "--name", "theirs")
    assert (code, out) == (0, "theirs_x4\n"), error
    for name in ("SRCLI_CACHE", "SRCLI_WEIGHTS_MANIFEST"):
        monkeypatch.setenv(name, world.environment[name])
    return theirs


def test_their_file_is_recognised_and_converted(
    world: World, imported: dict[str, torch.Tensor]
) -> None:
    facts = json.loads(world.run("weights", "show", "model_x4.pt", "--json")[1])
    assert (facts["networks"], facts["scale"]) == (["adaformer-published"], 4)
    held = read_weights(best_scale("theirs", 4))
    torch.testing.assert_close(held["head.weight"], imported["head.0.weight"] * 255)
    torch.testing.assert_close(held["tail.bias"], imported["tail.0.bias"] / 255)
    prototypes = imported["body.blocks.5.attn.prototype"]
    assert torch.equal(held["blocks.5.global_branch.prototypes"], prototypes[0])
    assert sum(one.numel() for one in held.values()) == 1_551_241
    assert world.run("weights", "convert", "model_x4.pt", "ours.safetensors")[0] == 0
    facts = json.loads(world.run("weights", "show", "ours.safetensors", "--json")[1])
    assert facts["networks"] == ["adaformer-published"]


def test_a_damaged_file_is_refused_by_its_own_names(world: World) -> None:
    def refusal(change: dict[str, torch.Tensor], without: str = "") -> str:
        theirs = published_adaformer() | change
        theirs.pop(without, None)
        torch.save(theirs, world.folder / "damaged.pt")
        code, _, error = world.run("weights", "import", "damaged.pt", "--name", "theirs")
        assert code == 3
        assert not list(world.cache.rglob("*.safetensors"))
        return error

    lacking = "shollow_feature_extraction.2.body.0.bias"
    told = refusal({}, lacking)
    assert f"x4, the closest: 1 of its parameters are wrong: missing {lacking}" in told
    assert "does not fit adaformer-published" in told
    wrong = "body.blocks.1.attn.kv_global.weight"
    assert f"{wrong} is 128x63 and not 128x64" in refusal({wrong: torch.zeros(128, 63)})
    wrong = "body.blocks.1.attn.prototype"
    assert f"{wrong} is 2x16x64 and not 16x64" in refusal({wrong: torch.zeros(2, 16, 64)})
    assert "unknown body.extra" in refusal({"body.extra": torch.zeros(1)})
    poisoned = {"tail.0.bias": torch.full((48,), float("inf"))}
    assert "tail.bias holds values that are not finite" in refusal(poisoned)


@pytest.mark.slow
@pytest.mark.usefixtures("imported")
def test_tiles_are_the_whole_image(world: World, photo: np.ndarray) -> None:
    Image.fromarray(np.tile(photo, (2, 2, 1))).save(world.folder / "a.png")  # 112x80
    made = []
    for tile in (0, 48):
        code, _, error = world.run(
            "upscale", "a.png", "-m", "theirs", "--precision", "fp32", "--tile", tile,
            "-o", f"{tile}.png",
        )  # fmt: skip
        assert code == 0, error
        assert "blended" not in error
        made.append(np.asarray(Image.open(world.folder / f"{tile}.png")).astype(int))
    assert np.abs(made[0] - made[1]).max() <= 1
    assert (made[0] != made[1]).mean() < 0.001
    code, _, error = world.run("upscale", "a.png", "-m", "theirs", "--tile", 32, "-o", "b.png")
    assert code == 2
    assert "tile 32 is too small" in error
    assert "48 and up" in error


@pytest.mark.slow
@pytest.mark.usefixtures("imported")
def test_masks_that_are_drawn_are_the_masks_that_ran(
    folder: Path, photo: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, error = run_here(
        capsys, folder / "a.png", "-m", "theirs", "-s", 4, "--npz", "--precision", "fp32"
    )
    assert code == 0, error
    lr = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    network = LoadedNetwork(best_scale("theirs", 4), CPU, torch.float32)
    layers = network(lr, Halting(0.05, observe=True)).layers
    with np.load(folder / "a_masks" / "maps.npz") as maps:
        for number, layer in enumerate(layers):
            assert np.array_equal(maps["local_mask"][number], layer.local_mask[0, 0])
            assert np.array_equal(maps["global_mask"][number], layer.global_mask[0, 0])
        assert maps["threshold"] == 0.95
    assert any(0 < layer.live_tokens < 1 for layer in layers)


@pytest.mark.slow
def test_it_is_measured_with_random_weights(world: World) -> None:
    code, out, error = world.run(
        "bench", "--latency", "24x16", "-m", "adaformer-published", "--random-weights",
        "--effort", "exact,balanced,fast", "--repeats", 1, "--plain", "--json", "-",
    )  # fmt: skip
    assert code == 0, error
    names = {row["contender"] for row in json.loads(out)["rows"]}
    assert {f"adaformer-published {way}" for way in ("exact", "balanced", "fast", "reference")} <= (
        names
    )
