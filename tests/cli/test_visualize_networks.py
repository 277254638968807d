"""Maps of networks that halt, exempt pure pixels, or do neither."""

import hashlib
import json
import os
import sys
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
from srcli.models.layers.windows import extend_by_mirroring
from srcli.models.spec import (
    EXACT,
    Halting,
    MemoryProfile,
    ModelSpec,
    PureTrace,
    SRNetwork,
    SROutput,
)
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


class Extending(Bright):
    """The network on the image extended to whole windows of 16 px, with work that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Nothing of it: its only convolution is the first."""

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        output = super().forward(self.conv(extend_by_mirroring(lr, 16)), halting)
        image = output.image[..., : 2 * lr.shape[2], : 2 * lr.shape[3]]
        return SROutput(image, pure=output.pure)


def register(
    patch: pytest.MonkeyPatch,
    box: Path,
    name: str,
    efforts: dict[str, Halting],
    kind: type[Bright] = Bright,
) -> None:
    """Make a network one of srcli's, with a weights file."""
    spec = ModelSpec(name, "none", (2,), 16, 16, MemoryProfile(100), efforts, lambda _: kind())
    registry = dict(models._registry())
    registry[name] = spec
    patch.setattr(models, "_registry", lambda: registry)
    save_file(kind().state_dict(), box / f"{name}.safetensors")
    content = (box / f"{name}.safetensors").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    about = ("none", "none", "none", "none")
    entry = WeightsEntry(name, name, 2, f"{name}.safetensors", len(content), sha256, *about)
    entries = (*MANIFEST.manifest(), entry)
    patch.setattr(MANIFEST, "manifest", lambda: entries)
    patch.setattr("srcli.weights.local_files.box", lambda: box)


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pure = {"exact": EXACT, "balanced": Halting(eps=None, skip_pure=True)}
    register(monkeypatch, tmp_path, "bright", pure)
    register(monkeypatch, tmp_path, "dense", {"exact": EXACT})
    register(monkeypatch, tmp_path, "extending", pure, Extending)


@pytest.mark.usefixtures("networks")
def test_a_network_with_pure_pixels(folder: Path, photo: np.ndarray, capsys) -> None:
    """Masks and classes come through tiles, images, report and arrays as the network told."""
    image = folder / "a.png"
    code, out, error = run_here(
        capsys, image, "-m", "bright", "-s", 2, "--npz", "--html", "--tile", 16
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


def test_smooth_windows_are_what_an_adaformer_exempts(folder: Path, capsys) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    photo[:, :40] = np.linspace(90, 110, 40).astype(np.uint8)[:, None]
    image = folder / "half.png"
    Image.fromarray(photo).save(image)
    code, _, error = run_here(capsys, image, "--what", "pure", "--npz")
    assert code == 0, error
    made = folder / "half_masks"
    assert files(made) == [
        "contact-sheet.png", "maps.npz", "pure.png", "sparsity.png", "summary.json"
    ]  # fmt: skip
    with np.load(made / "maps.npz") as maps:
        smooth = maps["local_mask"][0]
    expected = np.zeros((6, 8), np.bool_)
    expected[:, :4] = True  # the fifth column sees the noise
    assert np.array_equal(smooth, expected)
    shown = np.asarray(Image.open(made / "pure.png").convert("RGB"))[:192, :256]
    bright = shown.astype(int).sum(-1) > 300
    assert np.array_equal(bright, smooth.repeat(32, 0).repeat(32, 1))
    code, _, error = run_here(capsys, image, "--what", "pure", "--effort", "exact", "--overwrite")
    assert code != 0
    assert "leaves out nothing with effort exact" in error


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["-m", "dense"],
            "dense has no masks, it computes everything (masks: adaformer, adaformer-published, "
            "adaformer-s, pp-atd-light, bright, extending)",
        ),
        (
            ["-m", "adaformer-published", "--what", "pure"],
            "adaformer-published has no pure pixels (have: adaformer, adaformer-s, pp-atd-light, "
            "bright, extending)",
        ),
        (
            ["-m", "bright", "--what", "depth"],
            "bright has no halting depth (have: adaformer, adaformer-published, adaformer-s)",
        ),
        (
            ["-m", "bright", "--effort", "exact"],
            "bright leaves out nothing with effort exact; hint: --effort balanced",
        ),
        (["-m", "bright", "--layers", "2"], "the network has no layers to choose from"),
    ],
)
def test_who_has_which_masks(folder: Path, capsys, arguments: list[str], line: str) -> None:
    code, _, error = run_here(capsys, folder, "-s", 2, *arguments)
    assert code == 2
    assert line in error


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize("tile", [0, 16])
def test_dense_figures_of_a_network_that_extends_images(folder: Path, capsys, tile: int) -> None:
    """It leaves out nothing that is counted, so that what was executed is the dense work."""
    arguments = ("-m", "extending", "-s", 2, "--tile", tile)
    assert run_here(capsys, folder / "a.png", *arguments)[0] == 0
    summary = json.loads((folder / "a_masks" / "summary.json").read_text("utf-8"))
    assert summary["gflops"] > 0
    assert summary["dense_gflops"] == pytest.approx(summary["gflops"], rel=1e-9)


@pytest.mark.usefixtures("networks")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names of any bytes")
@pytest.mark.parametrize(
    ("name", "shown"), [(b"caf\xe9.png", r"caf\udce9.png"), (b"a\x1b[2J\n.png", r"a\x1b[2J\n.png")]
)
def test_names_that_are_no_text(folder: Path, capsys, name: bytes, shown: str) -> None:
    image = folder / os.fsdecode(name)
    (folder / "a.png").rename(image)
    code, out, error = run_here(capsys, image, "-m", "bright", "-s", 2, "--html")
    assert code == 0, error
    assert f"{shown}:  " in out
    assert "\x1b" not in out + error
    title = shown if b"\xe9" in name else image.name
    assert f"<title>{title}" in (image.with_name(f"{image.stem}_masks") / "report.html").read_text(
        "utf-8"
    )


@pytest.mark.usefixtures("networks")
def test_further_pages_are_told_of(folder: Path, photo: np.ndarray, capsys) -> None:
    first, *more = (Image.fromarray(photo[n:]) for n in (0, 8, 16))
    first.save(folder / "scan.tif", save_all=True, append_images=more)
    code, _, error = run_here(capsys, folder / "scan.tif", "-m", "bright", "-s", 2)
    assert code == 0, error
    line = f"{folder / 'scan.tif'}: 2 more pages or frames left out: only the first is explained"
    assert error.count(line) == 1
    run_here(capsys, folder / "a.png", "-m", "bright", "-s", 2)
    assert "left out" not in capsys.readouterr().err


@pytest.mark.usefixtures("networks")
def test_what_webp_cannot_hold_is_known_before_the_work(
    folder: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """16,384 px across are too many; 16,380 px down are, with the legend below."""
    monkeypatch.setattr("srcli.inference.upscaler.Upscaler.explain", None)
    for width, height in ((8192, 1), (1, 8190)):
        Image.new("RGB", (width, height)).save(folder / "long.png")
        code, _, error = run_here(
            capsys, folder / "long.png", "-m", "bright", "-s", 2, "--format", "webp"
        )
        assert code == 3
        assert f"maps: {2 * width}x" in error
        assert "limit of WebP 16383 a side; hint: use --format png" in error
