"""Inputs that `srcli bench` leaves out or refuses."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.metrics.protocols import PROTOCOLS
from tests.benchmark.conftest import bench


def test_a_bad_image_is_left_out_and_said(tiny: Path):
    lr = tiny / "B100" / "x4" / "LR" / "1.png"
    lr.write_bytes(lr.read_bytes()[:100])
    ended = bench("-d", "B100", "-m", "bicubic", data=tiny)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"left out: {lr}")
    assert "2 of 3 images" in ended.stdout
    for number in (0, 2):
        (tiny / "B100" / "x4" / "LR" / f"{number}.png").write_bytes(b"")
    ended = bench("-d", "B100", "-m", "bicubic", data=tiny)
    assert ended.returncode == 2
    assert "none of 3 images could be measured" in ended.stderr


@pytest.mark.parametrize(
    ("scale", "side", "reason"),
    [
        (2, 15, "14x14 px (whole LR px) is too small to compare at x2; both sides must have 16 px"),
        (4, 3, "3x3 px is less than one LR px at x4; both sides must have 4 px"),
    ],
)
def test_a_image_too_small_is_left_out_and_said(
    scale: int, side: int, reason: str, tmp_path: Path, rng: np.random.Generator
):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name, size in (("good", 40), ("small", side)):
        pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    file = tmp_path / "mixed.json"
    ended = bench("--hr", folder, "-s", str(scale), "-m", "bicubic", "--json", file)
    assert ended.returncode == 1
    assert ended.stderr == f"left out: {folder / 'small.png'}: {reason}" + (
        " (time alone: --lr)\n" if scale == 2 else "\n"
    )
    assert "1 of 2 images" in ended.stdout
    run = json.loads(file.read_text())
    assert [row["picture"] for row in run["rows"]] == ["good"]
    assert list(run["failed"]) == ["small"]


def test_a_smallest_image_is_compared(tmp_path: Path, rng: np.random.Generator):
    (tmp_path / "hr").mkdir()
    pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "hr" / "a.png")
    ended = bench("--hr", tmp_path / "hr", "-s", "2", "-m", "bicubic", "--json", "-")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["rows"][0]["ssim"] is not None
    smallest = {one.name: one.smallest(2) for one in PROTOCOLS.values()}
    assert smallest == {"basicsr-y": 15, "rgb": 15, "camixer-rgb": 11, "adaformer-y": 11}
    for one in PROTOCOLS.values():
        enough = np.zeros((one.smallest(2), 30, 3), np.uint8)
        one.compare(enough, enough, 2)
        with pytest.raises(ValueError, match="smaller than SSIM's window"):
            one.compare(enough[1:], enough[1:], 2)


def test_weights_that_are_not_here_are_named_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SRCLI_CACHE", str(tmp_path))
    ended = bench("--latency", "8x8", "-m", "atd-light", data=tmp_path)
    assert ended.returncode == 3
    assert "atd-light_x4 is not here yet: srcli weights download atd-light_x4 --tr" in ended.stderr
    assert "hint: --yes, or SRCLI_ACCEPT_LICENCES=1, downloads without asking" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "give inputs to measure on"),
        (("-d", "Set5", "--latency", "8x8"), "give inputs to measure on"),
        (("-d", "Set55"), "no data set named 'Set55'; did you mean Set5?"),
        (("-d", "Set5"), "Set5 x4 is not on this machine"),
        (("--hr", "absent"), "there is no folder absent"),
        (("--latency", "8x8", "-m", ","), "no model to measure; hint: name some with -m"),
        (("--latency", "8x8", "-m", "swin"), "no model named 'swin' (have bicubic, lanczos, ada"),
        (("--latency", "8x8", "--effort", "most"), "adaformer has no effort most (have exact"),
        (("--latency", "8x8", "-s", "7", "--random-weights"), "adaformer has no scale 7 (have 2"),
        (("--latency", "8x8", "--protocol", "y"), "no protocol named 'y'"),
        (
            ("--latency", "8x8", "--effort", "exact,blanced"),
            "adaformer has no effort blanced (have exact, balanced, fast)",
        ),
        (
            ("--latency", "8x8", "-m", "atd-light,bicubic", "--effort", "balanced,exact"),
            "atd-light has no effort balanced (have exact)",
        ),
        (
            ("--latency", "8x8", "-m", "bicubic", "--effort", "blanced"),
            "have no effort blanced (hav",
        ),
        (("-d", "Set5", "--json", "/none/x.json"), "cannot write /none/x.json: there is no folder"),
        (("-d", "Set5", "--plot", "/none/x.png"), "cannot write /none/x.png: there is no folder"),
        (("-d", "Set5", "--json", "."), "cannot write .: it is a folder; hint: name a file in it"),
        (("--latency", "8x8", "--random-weights", "--end-to-end"), "random weights cannot"),
        (
            ("--latency", "8x8", "--without", "flat-areas,fog"),
            "no saving named 'fog' (have flat-areas, local-mask, global-mask, smooth-windows, "
            "pure-pixels); hint: ",
        ),
        (("--latency", "8x8", "--without", ","), "no saving to switch off (have flat-areas"),
        (
            ("--latency", "8x8", "--without", "pure-pixels", "--effort", "balanced"),
            "nothing that is measured saves by pure-pixels; hint: adaformer saves by flat-areas",
        ),
    ],
)
def test_wrong_requests_get_one_line(words: tuple[str, ...], line: str, tmp_path: Path):
    ended = bench(*words, data=tmp_path)
    assert ended.returncode == 2
    assert line in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told_before_measuring(tmp_path: Path):
    locked = tmp_path / "locked"
    locked.mkdir(0o500)
    (tmp_path / "old.csv").touch(0o400)
    for option, path in (("--json", locked / "x.json"), ("--csv", tmp_path / "old.csv")):
        ended = bench("-d", "Set5", option, path, data=tmp_path)
        assert ended.returncode == 2
        assert f"cannot write {path}: you may not write" in ended.stderr
