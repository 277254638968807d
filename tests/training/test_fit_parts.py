"""Short ways and ranges fitted to trained weights; nothing else of them changes."""

import hashlib
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from srcli.data.degradation import degrader_named
from srcli.errors import UsageError
from srcli.models.adaformer import RANGES, SHORT_WAYS, AdaFormer
from srcli.models.adaformer_s import configuration
from srcli.models.layers.short_way import smooth_windows
from srcli.models.spec import Halting
from srcli.training import fit_parts
from srcli.training.checkpoint import read_tensors
from srcli.training.families import FAMILIES
from srcli.training.fit_short_ways import fit_short_ways
from srcli.weights import best_scale
from srcli.weights.identify import match_parameters
from srcli.weights.load import read_weights
from srcli.weights.local_files import file_of

HALTING = Halting(eps=0.05, smooth=32 / 255)


def slopes(seed: int, side: int = 96) -> torch.Tensor:
    """An image whose colours change slowly, with noise in a corner: (1, 3, h, w)."""
    numbers = torch.Generator().manual_seed(seed)
    coarse = 0.3 + 0.4 * torch.rand(1, 3, 3, 3, generator=numbers)
    lr = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)
    lr[..., :24, :24] = torch.rand(1, 3, 24, 24, generator=numbers)
    return lr


def learned() -> AdaFormer:
    network = AdaFormer(configuration(4)).eval().requires_grad_(requires_grad=False)
    network.load_state_dict(read_weights(best_scale("adaformer-s", 4)))
    return network


def test_smooth_windows_come_out_nearly_as_the_whole_network_gives_them():
    network = learned()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count = fit_short_ways(network, [slopes(n) for n in range(4)], HALTING)
    assert count > 10_000
    after = network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    lr = slopes(9)
    with torch.inference_mode():
        full = network(lr, replace(HALTING, smooth=0.0)).image
        short = network(lr, HALTING).image
        network.short_ways["encoder"].direct.weight.zero_()
        broken = network(lr, HALTING).image
    share = smooth_windows(lr, 8, HALTING.smooth).float().mean()
    assert 0.3 < share < 1
    assert (short - full).abs().mean() < 0.25 / 255
    assert (broken - full).abs().mean() > 4 * (short - full).abs().mean()


def test_one_coloured_images_keep_their_colour_to_a_tenth_of_a_level():
    network = learned()
    fit_short_ways(network, [slopes(n) for n in range(2)], HALTING)
    colours = torch.tensor([[1, 1, 1], [0, 0, 0], [0.9, 0.85, 0.7], [0, 1, 0], [0.2, 0.1, 1]])
    lr = colours[:, :, None, None].expand(-1, -1, 32, 40)
    with torch.inference_mode():
        off = network(lr, HALTING).image[..., 32:-32, 32:-32] - lr[..., :1, :1]
    assert off.abs().max() < 0.1 / 255


def test_the_same_images_give_the_same_parameters():
    parameters = []
    for _ in range(2):
        network = learned()
        fit_short_ways(network, [slopes(n) for n in range(2)], HALTING)
        parameters.append(network.short_ways.state_dict())
    assert all(torch.equal(parameters[0][name], tensor) for name, tensor in parameters[1].items())


def test_too_few_smooth_px_are_refused():
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(
        UsageError, match=r"0 px of the images are smooth, and short ways need 4800"
    ):
        fit_short_ways(learned(), [noise], HALTING)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photographs of a kind, and a copy of weights beside them."""
    made = tmp_path / "photos"
    made.mkdir()
    for number in range(3):
        pixels = (slopes(number, 160)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        Image.fromarray(pixels).save(made / f"{number}.png")
    shutil.copy(file_of(best_scale("adaformer-s", 4)), tmp_path / "own.safetensors")
    return made


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["fit_parts", *words])
    return fit_parts.main()


def test_a_weights_file_gets_what_is_fitted_and_keeps_everything_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    path = folder.parent / "own.safetensors"
    before = read_tensors(path)
    for _ in range(2):  # the second time they are made anew
        assert run(monkeypatch, str(path), "--data", str(folder)) == 0
        content = path.read_bytes()
        said = capsys.readouterr().out
        assert f"size = {len(content)}\n" in said
        assert f'sha256 = "{hashlib.sha256(content).hexdigest()}"' in said
    after = read_tensors(path)
    assert after.notes == before.notes
    kept = {n: t for n, t in after.tensors.items() if not n.startswith((SHORT_WAYS, RANGES))}
    theirs = {n: t for n, t in before.tensors.items() if not n.startswith((SHORT_WAYS, RANGES))}
    added = {name.partition(".")[0] for name in after.tensors.keys() - kept.keys()}
    assert added == {"short_ways", "ranges"}
    assert kept.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in kept.items())
    assert {t.dtype for t in after.tensors.values()} == {torch.float16}
    shapes = {name: tuple(tensor.shape) for name, tensor in after.tensors.items()}
    found = [(one.model, one.scale) for one in match_parameters(shapes)]
    assert found == [("adaformer-s", 4)]


def test_one_part_is_fitted_and_the_other_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    path = folder.parent / "own.safetensors"
    read = [read_tensors(path).tensors]
    for parts in ("short-ways", "ranges", "short-ways"):
        words = (str(path), "--data", str(folder), "--parts", parts)
        assert run(monkeypatch, *words, *(("--every", "2") if len(read) == 3 else ())) == 0
        read.append(read_tensors(path).tensors)
    assert "px of smooth windows" in capsys.readouterr().out
    short, both, again = (
        {name: tensor for name, tensor in tensors.items() if name not in read[0]}
        for tensors in read[1:]
    )
    assert all(name.startswith(SHORT_WAYS) for name in short)
    added = both.keys() - short.keys()
    assert added == {"ranges.encoder", "ranges.decoder"}
    assert all(torch.equal(both[name], tensor) for name, tensor in short.items())
    assert all(torch.equal(again[name], both[name]) for name in added)
    assert any(not torch.equal(again[name], tensor) for name, tensor in short.items())


def test_a_file_with_half_of_the_short_ways_is_of_no_network(folder: Path):
    tensors = read_tensors(folder.parent / "own.safetensors").tensors
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    shapes["short_ways.encoder.direct.bias"] = (48,)
    assert not match_parameters(shapes)


def test_degradations_take_turns_at_lr_images_reduced_and_as_they_are(folder: Path):
    files = sorted(folder.iterdir())[:2]
    clean = list(fit_parts.lr_images(files, 4))
    assert [tuple(lr.shape) for lr in clean] == [(1, 3, 40, 40), (1, 3, 160, 160)] * 2
    names = ("none", "jpeg:30", "noise:9")
    turns = list(fit_parts.lr_images(files, 4, [degrader_named(name) for name in names]))
    changed = [(a - b).abs().mean().item() * 255 for a, b in zip(clean, turns, strict=True)]
    assert changed[0] == changed[3] == 0
    assert 0 < changed[1] < 6 < changed[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("own.safetensors", "--data", "nowhere"), "there is no folder nowhere"),
        (("own.safetensors", "--data", "photos", "--every", "0"), "--every is 0, and at least 1"),
        (("own.safetensors", "--data", "empty"), "no images in empty"),
        (("own.safetensors", "--data", "photos", "--parts", "wings"), "no part named 'wings'"),
        (("own.safetensors", "--data", "photos", "--parts", ","), "--parts names no part"),
        (("own.safetensors", "--data", "photos", "--degrade", "fog:3"), "fog:3"),
        (("other.safetensors", "--data", "photos"), "other.safetensors is no weights file of"),
    ],
)
def test_what_cannot_be_fitted_is_told_in_a_line(
    words: tuple[str, ...], said: str, folder: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.chdir(folder.parent)
    Path("empty").mkdir()
    save_file({"head.weight": torch.zeros(3)}, "other.safetensors")
    assert run(monkeypatch, *words) == 2
    assert said in capsys.readouterr().err


def test_training_begins_from_weights_without_what_is_fitted():
    network = learned()
    network.add_part(SHORT_WAYS)
    network.add_part(RANGES)
    given = network.state_dict()
    begun = FAMILIES["adaformer"].started(network.config, given)
    assert begun.keys() == {n for n in given if not n.startswith((SHORT_WAYS, RANGES))}
