"""`srcli visualize-mask` as a process of its own; and inside ours, with networks made for it."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli import Upscaler
from srcli.cli.visualize_mask import WHAT
from srcli.viz.colours import HALTED, LIVE
from srcli.viz.map_types import KINDS
from tests.cli.visualizing import files, run_here, visualize

ROOT = Path(__file__).parents[2]


def test_a_folder(folder: Path, photo: np.ndarray) -> None:
    ended = visualize(folder, "--npz", "--html", "--precision", "fp32")
    assert ended.returncode == 0, ended.stderr
    made = folder / "a_masks"
    kinds = ("confidence", "score", "local", "global")
    layered = [f"{kind}-{n}.png" for kind in kinds for n in range(1, 7)]
    others = ["contact-sheet.png", "depth.png", "pure.png", "sparsity.png", "maps.npz"]
    others.append("report.html")
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
    smooth = (explained.depth == 0).mean()  # windows in no layer
    assert smooth > 0
    assert sum(summary["depth_shares"]) + smooth == pytest.approx(1)

    stamp = (made / "summary.json").stat().st_mtime_ns
    again = visualize(
        folder, "--npz", "--html", "--precision", "fp32"
    )  # the maps themselves are no images to explain
    assert again.returncode == 0
    assert again.stdout.split()[:4] == ["done", "0", "skipped", "2"]
    assert (made / "summary.json").stat().st_mtime_ns == stamp


@pytest.mark.slow
def test_choices(folder: Path, capsys) -> None:
    code, _, error = run_here(
        capsys, folder, "-o", folder.parent / "out", "--what", "depth,local", "--layers", "6,2",
        "--format", "webp", "--effort", "fast", "-s", 2.5, "--tile", 32,
    )  # fmt: skip
    assert code == 0, error
    made = folder.parent / "out" / "a_masks"
    images = ["contact-sheet.png", "depth.webp", "local-2.webp", "local-6.webp", "sparsity.webp"]
    assert files(made) == sorted([*images, "summary.json"])
    assert files(folder.parent / "out" / "sub") == ["b_masks"]
    mask = np.asarray(Image.open(made / "local-2.webp").convert("RGB"))[:100, :140]
    colours = set(map(tuple, mask.reshape(-1, 3).tolist()))
    assert colours == {LIVE, HALTED}  # lossless: no other colour in between
    assert (made / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")


def test_overwriting_takes_only_what_is_ours(folder: Path, capsys) -> None:
    image, made = folder / "sub" / "b.jpg", folder / "sub" / "b_masks"
    small = (image, "-m", "adaformer-s")
    quick = (*small, "--what", "depth")
    made.mkdir()
    (made / "mine.txt").write_text("mine")
    code, _, error = run_here(capsys, *quick)
    assert code == 3
    assert "was not made by srcli visualize-mask; hint: move it" in error
    (made / "mine.txt").rename(folder / "mine.txt")
    made.rmdir()

    assert run_here(capsys, *quick)[0] == 0
    assert run_here(capsys, *quick)[1].split()[:4] == ["done", "0", "skipped", "1"]
    assert run_here(capsys, *small, "--what", "local", "--layers", 1, "--overwrite")[0] == 0
    assert files(made) == ["contact-sheet.png", "local-1.png", "sparsity.png", "summary.json"]

    (made / "mine.txt").write_text("mine")
    code, _, error = run_here(capsys, *quick, "--overwrite")
    assert code == 3
    assert "holds mine.txt, which srcli did not make" in error
    assert (made / "local-1.png").exists()
    (made / "summary.json").write_text("{}")
    (made / "mine.txt").unlink()
    for options in ((), ("--overwrite",)):
        code, _, error = run_here(capsys, *quick, *options)
        assert code == 3
        assert "was not made by srcli visualize-mask; hint: move it" in error
    assert not [path for path in made.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_scales_near_one(folder: Path, capsys) -> None:
    """Layers are known where a small image is not enlarged; one that is not says so."""
    image, tiny = folder / "sub" / "b.jpg", folder / "tiny.png"
    near = ("-s", 1.05, "--what", "local", "--layers", "2,6")
    code, _, error = run_here(capsys, image, *near)
    assert code == 0, error
    made = ["contact-sheet.png", "local-2.png", "local-6.png", "sparsity.png", "summary.json"]
    assert files(folder / "sub" / "b_masks") == made
    Image.new("RGB", (8, 6)).save(tiny)
    code, _, error = run_here(capsys, tiny, *near)
    assert code == 3
    assert f"{tiny}: 8x6 px are no more at x1.05, so no network ran" in error
    assert not (folder / "tiny_masks").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["nowhere"], 2, "nowhere does not exist"),
        (["in", "-s", "9"], 2, "scale 9 is out of range"),
        (["in", "-m", "adaforner"], 2, "no model named 'adaforner'"),
        (["in", "-m", "bicubic"], 2, "bicubic has no masks, it computes everything (masks: adaf"),
        (["in", "--what", "classes"], 2, "'classes' is not a map (have all, "),
        (["in", "-m", "bicubic", "--what", "pure"], 2, "bicubic has no masks"),
        (["in", "--what", "depht"], 2, "'depht' is not a map (have all, confidence,"),
        (["in", "--layers", "0,7"], 2, "there is no layer 0: the network has layers 1 to 6"),
        (["in", "--layers", "first"], 2, "layers 'first'; hint: use all, or numbers like 1,3,6"),
        (["in", "--tile", "7"], 2, "tile 7 is too small"),
        (["in", "--effort", "most"], 2, "'most' is not one of"),
        (["in", "twin/a.png", "-o", "out"], 2, "would both become"),
        (["in", "-o", "in/a.png"], 2, "in/a.png is a file; hint: name a folder"),
        (
            ["in", "-o", "in/a.png/sub"],
            2,
            "in/a.png is not a folder; hint: name another output folder",
        ),
        (["empty"], 3, "no images in empty"),
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


@pytest.mark.slow
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
    image, made = folder / "sub" / "b.jpg", folder / "sub" / "b_masks"
    for options, name in (
        (["--html", "--what", "depth"], "report.html"),
        ([], "contact-sheet.png"),
    ):
        ended = visualize(image, "--open", *options, PATH=path)  # the second time it is there
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
