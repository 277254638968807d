"""Weights of one's own, and files of strangers, with `srcli weights`."""

import json
import os
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file

from srcli.models import model_spec
from tests.cli.weights_world import SHIPPED, World


def test_your_own_checkpoint(world: World, image: Path) -> None:
    torch.manual_seed(0)
    torch.save({"params": model_spec("atd-light").build(2).state_dict()}, world.folder / "me.pth")
    code, out, _ = world.run("weights", "show", "me.pth")
    assert code == 0
    assert "atd-light or pp-atd-light" in out
    for fact in ("x2", "753,204", "F32", "PyTorch checkpoint"):
        assert fact in out
    facts = json.loads(world.run("weights", "show", "me.pth", "--json")[1])
    assert (facts["networks"], facts["scale"]) == (["atd-light", "pp-atd-light"], 2)
    code, out, error = world.run(
        "weights", "import", "me.pth", "--model", "atd-light", "--scale", 2, "--name", "my-atd"
    )
    assert (code, out) == (0, "my-atd_x2\n")
    assert "srcli upscale -m my-atd -s 2" in error
    code, _, error = world.run("upscale", image, "-m", "my-atd", "-s", 2)
    assert code == 0, error
    with Image.open(world.folder / "a_x2.png") as made:
        assert made.size == (48, 32)
    assert "yours" in world.run("weights", "list")[1]
    assert world.run("weights", "convert", "me.pth", "me.safetensors")[0] == 0
    code, out, _ = world.run("weights", "show", "me.safetensors")
    assert "of srcli" in out
    assert world.run("weights", "remove", "my-atd")[0] == 0
    code, _, error = world.run("upscale", image, "-m", "my-atd", "-s", 2, "--overwrite")
    assert code == 2
    assert "no weights for a model named 'my-atd' (have adaformer" in error
    assert not list((world.cache / "imported").iterdir())


def test_a_teams_own_manifest(world: World, image: Path) -> None:
    """As `srcli train` leaves it: weights, and beside them a manifest without an address."""
    text = world.server.manifest(world.manifest).read_text("utf-8")
    (world.folder / "far.safetensors").write_bytes(SHIPPED.read_bytes())
    world.manifest.write_text(text.replace('variant = "far"\n', ""), "utf-8")
    assert world.run("upscale", image, "-m", "far_x4", "--offline")[0] == 0
    assert "yours" in world.run("weights", "show", "far_x4")[1]
    code, _, error = world.run("weights", "remove", "far_x4")
    assert code == 2
    assert "far_x4 is not srcli's to delete" in error
    world.manifest.write_text("weights = 3", "utf-8")
    code, _, error = world.run("upscale", image, "--overwrite")
    assert code == 3
    assert "team.toml: not a manifest of weights" in error


def test_bench_takes_weights_by_name(world: World) -> None:
    torch.manual_seed(0)
    save_file(model_spec("adaformer-s").build(2).state_dict(), world.folder / "me.safetensors")
    assert world.run("weights", "import", "me.safetensors", "--name", "me")[0] == 0
    code, out, error = world.run(
        "bench", "--latency", "16x16", "-m", "me", "-s", 2, "--effort", "exact", "--repeats", 1
    )
    assert code == 0, error
    assert "me exact" in out


def test_a_stranger_is_described(world: World) -> None:
    save_file({"body.0.weight": torch.zeros(3, 3)}, world.folder / "odd.safetensors")
    code, out, _ = world.run("weights", "show", "odd.safetensors")
    assert code == 0
    assert "not recognised" in out
    assert "none; first parameters: body.0.weight" in out


def test_a_stranger_does_not_write_on_the_terminal(world: World) -> None:
    odd = "x\x1b]0;mine\x07\nsrcli: all fine"
    tensors = model_spec("adaformer-s").build(4).state_dict()
    save_file({**tensors, odd: torch.zeros(3, 3)}, world.folder / "odd.safetensors")
    for command in (["show", "odd.safetensors"], ["import", "odd.safetensors"]):
        _, out, error = world.run("weights", *command)
        said = out + error
        assert r"x\x1b]0;mine\x07\nsrcli: all fine" in said
        assert "\x1b" not in said
        assert "\nsrcli: all fine" not in said
    name = world.folder / os.fsdecode(b"caf\xe9.safetensors")
    (world.folder / "odd.safetensors").rename(name)
    code, out, _ = world.run("weights", "show", name)
    assert code == 0
    assert r"caf\udce9.safetensors" in out
