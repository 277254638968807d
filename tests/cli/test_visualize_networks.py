"""Maps of networks that halt, exempt pure pixels, or do neither."""

import hashlib
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli import models
from srcli.models.spec import EXACT, Halting, ModelSpec, PureTrace, SRNetwork, SROutput
from srcli.weights import WeightsEntry
from tests.cli.visualizing import files, run_here

MANIFEST = import_module("srcli.weights.manifest")


class Bright(SRNetwork):
    """Repeats pixels; bright ones are pure, their class is the largest channel."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = 2
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        pure = None
        if halting.skip_pure:
            pure = PureTrace(lr.amax(1, keepdim=True) > 0.5, lr.argmax(1, keepdim=True))
        return SROutput(F.interpolate(lr * self.gain, scale_factor=2), pure=pure)

    def lower_precision(self, dtype: torch.dtype) -> None:
        self.to(dtype)


def register(patch: pytest.MonkeyPatch, box: Path, name: str, efforts: dict[str, Halting]) -> None:
    """Make `Bright` a network of srcli's, with a weights file."""
    spec = ModelSpec(name, "none", (2,), 16, 16, 100, efforts, lambda _: Bright())
    registry = dict(models._registry())
    registry[name] = spec
    patch.setattr(models, "_registry", lambda: registry)
    save_file(Bright().state_dict(), box / f"{name}.safetensors")
    content = (box / f"{name}.safetensors").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    about = ("none", "none", "none", "none")
    entry = WeightsEntry(name, name, 2, f"{name}.safetensors", len(content), sha256, *about)
    entries = (*MANIFEST.manifest(), entry)
    patch.setattr(MANIFEST, "manifest", lambda: entries)
    patch.setattr("srcli.weights.places.box", lambda: box)


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pure = {"exact": EXACT, "balanced": Halting(eps=None, skip_pure=True)}
    register(monkeypatch, tmp_path, "bright", pure)
    register(monkeypatch, tmp_path, "dense", {"exact": EXACT})


@pytest.mark.usefixtures("networks")
def test_a_network_with_pure_pixels(folder: Path, photo: np.ndarray, capsys) -> None:
    """Masks and classes come through tiles, pictures, report and arrays as the network told."""
    picture = folder / "a.png"
    code, out, error = run_here(
        capsys, picture, "-m", "bright", "-s", 2, "--npz", "--html", "--tile", 16
    )
    assert code == 0, error
    made = folder / "a_masks"
    assert files(made) == sorted(
        ["pure.png", "classes.png", "contact-sheet.png", "maps.npz", "report.html", "summary.json"]
    )
    expected = photo.max(-1) > 127
    with np.load(made / "maps.npz") as maps:
        assert np.array_equal(maps["pure_mask"], expected)
        assert np.array_equal(maps["pure_classes"], photo.argmax(-1))
    shown = np.asarray(Image.open(made / "pure.png").convert("RGB"))[:80, :112]
    bright = shown.astype(int).sum(-1) > 300
    assert np.array_equal(bright, expected.repeat(2, 0).repeat(2, 1))
    flat = photo[2, 2]  # all of one colour: its class is drawn about so
    assert np.asarray(Image.open(made / "classes.png").convert("RGB")).shape[0] > 80
    assert flat.argmax() == 0
    share = json.loads((made / "summary.json").read_text("utf-8"))["pure_pixels"]
    assert share == pytest.approx(expected.mean())
    assert "of pixels pure" in out


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["-m", "dense"],
            "dense has no masks, it computes everything (masks: adaformer, adaformer-s, bright)",
        ),
        (["--what", "pure"], "adaformer has no pure pixels (have: bright)"),
        (
            ["-m", "bright", "--what", "depth"],
            "bright has no halting depth (have: adaformer, adaformer-s)",
        ),
        (
            ["-m", "bright", "--effort", "exact"],
            "bright leaves out nothing with effort exact (use balanced)",
        ),
        (["-m", "bright", "--layers", "2"], "the network has no layers to choose from"),
    ],
)
def test_who_has_which_masks(folder: Path, capsys, arguments: list[str], line: str) -> None:
    code, _, error = run_here(capsys, folder, "-s", 2, *arguments)
    assert code == 2
    assert line in error
