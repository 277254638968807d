"""`srcli visualize-mask` as a process of its own; and inside ours, with networks made for it."""

import hashlib
import json
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli import Upscaler, models
from srcli.cli import main as entry
from srcli.cli.visualize_mask import WHAT
from srcli.inference.report import Report
from srcli.jobs import outcome
from srcli.models.spec import EXACT, Halting, ModelSpec, PureTrace, SRNetwork, SROutput
from srcli.viz.colours import HALTED, LIVE
from srcli.viz.kinds import KINDS
from srcli.weights import WeightsEntry

MANIFEST = import_module("srcli.weights.manifest")
COMMAND = (sys.executable, "-m", "srcli", "visualize-mask")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
ROOT = Path(__file__).parents[2]


def visualize(
    *arguments: object, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**ENVIRONMENT, **environment},
        check=False,
        timeout=240,
    )


def run_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """The command in this process: its exit code, stdout and stderr."""
    with pytest.MonkeyPatch.context() as patch:
        # Types are checked here, and this one is imported only for type checkers.
        patch.setattr(outcome, "Report", Report, raising=False)
        patch.setattr(sys, "argv", ["srcli", "visualize-mask", *map(str, arguments)])
        code = int(entry._exit_code())
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def folder(tmp_path: Path, photo: np.ndarray) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    Image.fromarray(photo).save(tmp_path / "in" / "a.png")
    Image.fromarray(photo[:24, :30]).save(tmp_path / "in" / "sub" / "b.jpg")
    return tmp_path / "in"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder(folder: Path, photo: np.ndarray) -> None:
    ended = visualize(folder, "--npz", "--html", "--precision", "fp32")
    assert ended.returncode == 0, ended.stderr
    made = folder / "a_masks"
    kinds = ("confidence", "score", "local", "global")
    layered = [f"{kind}-{n}.png" for kind in kinds for n in range(1, 7)]
    others = ["contact-sheet.png", "depth.png", "sparsity.png", "maps.npz", "report.html"]
    assert files(made) == sorted([*layered, *others, "summary.json"])
    assert files(folder / "sub" / "b_masks") == files(made)
    assert "[2/2]" in ended.stderr
    assert ended.stdout.split("done")[1].split()[0] == "2"
    assert "halted before layer" in ended.stdout
    assert "GFLOPs (dense: " in ended.stdout
    assert "s (exact: about " in ended.stdout

    explained = Upscaler(device="cpu", precision="fp32").explain(photo)
    with np.load(made / "maps.npz", allow_pickle=False) as maps:
        layers = explained.layers
        for number, layer in enumerate(layers):
            assert np.array_equal(maps["local_mask"][number], layer.local_mask)
            assert np.array_equal(maps["global_mask"][number], layer.global_mask)
            assert np.array_equal(maps["confidence"][number], layer.confidence)
            assert np.array_equal(maps["score"][number], explained.score(number + 1))
        assert np.array_equal(maps["depth"], explained.depth)
        assert maps["size"].tolist() == [40, 56]
        assert (maps["window"], maps["scale"], maps["threshold"]) == (8, 4, 0.95)
        documented = (ROOT / "docs" / "visualize.md").read_text("utf-8")
        for name in maps.files:
            assert f"| `{name}` |" in documented
    summary = json.loads((made / "summary.json").read_text("utf-8"))
    assert summary["files"] == files(made)
    assert summary["halted_windows"] == pytest.approx([m.halted_windows for m in layers])
    assert summary["gflops"] == pytest.approx(explained.flops / 1e9)
    assert sum(summary["depth_shares"]) == pytest.approx(1)

    stamp = (made / "summary.json").stat().st_mtime_ns
    again = visualize(folder)  # the maps themselves are no pictures to explain
    assert again.returncode == 0
    assert again.stdout.split()[:4] == ["done", "0", "skipped", "2"]
    assert (made / "summary.json").stat().st_mtime_ns == stamp


def test_choices(folder: Path, capsys) -> None:
    code, _, error = run_here(
        capsys, folder, "-o", folder.parent / "out", "--what", "depth,local", "--layers", "6,2",
        "--format", "webp", "--effort", "fast", "-s", 2.5, "--tile", 32,
    )  # fmt: skip
    assert code == 0, error
    made = folder.parent / "out" / "a_masks"
    pictures = ["contact-sheet.png", "depth.webp", "local-2.webp", "local-6.webp", "sparsity.webp"]
    assert files(made) == sorted([*pictures, "summary.json"])
    assert files(folder.parent / "out" / "sub") == ["b_masks"]
    mask = np.asarray(Image.open(made / "local-2.webp").convert("RGB"))[:100, :140]
    colours = set(map(tuple, mask.reshape(-1, 3).tolist()))
    assert colours == {LIVE, HALTED}  # lossless: no other colour in between
    assert (made / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")


def test_overwriting_takes_only_what_is_ours(folder: Path, capsys) -> None:
    picture, made = folder / "sub" / "b.jpg", folder / "sub" / "b_masks"
    quick = (picture, "--what", "depth")
    made.mkdir()
    (made / "mine.txt").write_text("mine")
    code, _, error = run_here(capsys, *quick)
    assert code == 3
    assert "was not made by srcli visualize-mask; move it" in error
    (made / "mine.txt").rename(folder / "mine.txt")
    made.rmdir()

    assert run_here(capsys, *quick)[0] == 0
    assert run_here(capsys, *quick)[1].split()[:4] == ["done", "0", "skipped", "1"]
    assert run_here(capsys, picture, "--what", "local", "--layers", 1, "--overwrite")[0] == 0
    assert files(made) == ["contact-sheet.png", "local-1.png", "sparsity.png", "summary.json"]

    (made / "mine.txt").write_text("mine")
    code, _, error = run_here(capsys, *quick, "--overwrite")
    assert code == 3
    assert "holds mine.txt, which srcli did not make" in error
    assert (made / "local-1.png").exists()
    (made / "summary.json").write_text("[1]")
    (made / "mine.txt").unlink()
    code, _, error = run_here(capsys, *quick, "--overwrite")
    assert code == 3
    assert "holds contact-sheet.png, which srcli did not make" in error
    assert not [path for path in made.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["nowhere"], 2, "nowhere does not exist"),
        (["in", "-s", "9"], 2, "scale 9 is out of range"),
        (["in", "-m", "adaforner"], 2, "no model named 'adaforner'"),
        (["in", "-m", "bicubic"], 2, "bicubic has no masks, it computes everything (masks: adaf"),
        (["in", "--what", "pure"], 2, "adaformer has no pure pixels (have: "),
        (["in", "--what", "depht"], 2, "'depht' is no map (have all, confidence,"),
        (["in", "--layers", "0,7"], 2, "there is no layer 0: the network has layers 1 to 6"),
        (["in", "--layers", "first"], 2, "layers 'first': use all, or numbers like 1,3,6"),
        (["in", "--tile", "7"], 2, "tile 7 is too small"),
        (["in", "--effort", "most"], 2, "'most' is not one of"),
        (["in", "twin/a.png", "-o", "out"], 2, "would both become"),
        (["in", "-o", "in/a.png"], 2, "in/a.png is a file: name a folder"),
        (["empty"], 3, "no pictures in empty"),
        (["rotten"], 3, "rotten/x.png"),
    ],
)
def test_wrong_input(
    folder: Path, capsys, monkeypatch, arguments: list[str], code: int, line: str
) -> None:
    root = folder.parent
    for name in ("empty", "rotten", "twin"):
        (root / name).mkdir()
    (root / "rotten" / "x.png").write_bytes(b"\x89PNG")
    (folder / "sub" / "b.jpg").unlink()
    (root / "twin" / "a.png").write_bytes((folder / "a.png").read_bytes())
    (root / "in" / "a.jpg").write_bytes((folder / "a.png").read_bytes())
    if "twin/a.png" not in arguments:
        (root / "in" / "a.jpg").unlink()
    monkeypatch.chdir(root)
    ended, _, error = run_here(capsys, *arguments)
    assert ended == code, error
    assert line in error
    assert not list(root.rglob("*_masks"))


def test_open_shows_the_report(folder: Path, tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("what opens a file is faked with Linux's xdg-open")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "xdg-open").write_text(
        f'#!/bin/sh\necho "$1" > {tmp_path}/new\nmv {tmp_path}/new {tmp_path}/opened\n'
    )
    (tools / "xdg-open").chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    picture, made = folder / "sub" / "b.jpg", folder / "sub" / "b_masks"
    for options, name in (
        (["--html", "--what", "depth"], "report.html"),
        ([], "contact-sheet.png"),
    ):
        ended = visualize(picture, "--open", *options, PATH=path)  # the second time it is there
        assert ended.returncode == 0, ended.stderr
        wait_for(tmp_path / "opened")
        assert (tmp_path / "opened").read_text().strip() == str(made / name)
        (tmp_path / "opened").unlink()


def wait_for(path: Path) -> None:
    """The desktop's opener runs on its own."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_names_are_those_of_the_kinds() -> None:
    assert set(WHAT) - {"all"} == set(KINDS) - {"classes"}


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
