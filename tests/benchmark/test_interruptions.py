"""`srcli bench` where something goes wrong while it measures: what is measured is kept."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srcli.benchmark.methods import Resampler
from srcli.errors import NonFiniteOutput
from tests.benchmark.conftest import Here


@pytest.fixture
def at_image(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], None]:
    """Have something happen when the first contender is handed the image of that number."""

    def arrange(number: int, happening: Callable[[], None]) -> None:
        prepare, seen = Resampler.prepare, iter(range(100))

        def preparing(self: Resampler, lr: np.ndarray) -> np.ndarray:
            if next(seen) == number:
                happening()
            return prepare(self, lr)

        monkeypatch.setattr(Resampler, "prepare", preparing)

    return arrange


def interrupt() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def run_out() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def overflow() -> None:
    raise NonFiniteOutput("net gave values that are not finite")


def test_ctrl_c_delivers_what_is_measured(
    tiny: Path, tmp_path: Path, bench_here: Here, at_image: Callable[..., None]
):
    at_image(2 * 2 + 1, interrupt)  # two contenders: in the midst of the third image
    files = {kind: tmp_path / f"run.{kind}" for kind in ("json", "csv", "md", "png")}
    code, out, err = bench_here(
        *("-d", "B100", "-m", "bicubic,lanczos", "--repeats", "1", "--data-root", tiny),
        *("--json", files["json"], "--csv", files["csv"], "--markdown", files["md"]),
        *("--plot", files["png"]),
    )
    assert code == 130
    assert err == "srcli: interrupted: these figures are over 2 of 3 images\n"
    assert "2 of 3 images" in out
    run = json.loads(files["json"].read_text())
    assert [(row["picture"], row["contender"]) for row in run["rows"]] == [
        ("0", "bicubic"), ("0", "lanczos"), ("1", "bicubic"), ("1", "lanczos"),
    ]  # fmt: skip
    assert (run["failed"], run["untried"]) == ({}, 1)
    assert len(files["csv"].read_text().splitlines()) == 5
    assert "2 of 3 images" in files["md"].read_text()
    with Image.open(files["png"]) as plot:
        plot.verify()
    assert bench_here("--compare", files["json"], files["json"])[0] == 0


def test_ctrl_c_before_the_first_image_leaves_files_alone(
    tiny: Path, tmp_path: Path, bench_here: Here, at_image: Callable[..., None]
):
    at_image(0, interrupt)
    file = tmp_path / "run.json"
    file.write_text("old")
    words = ("-d", "B100", "-m", "bicubic", "--data-root", tiny, "--json", file)
    assert bench_here(*words) == (
        130, "", "srcli: interrupted before any of 3 images was measured\n",
    )  # fmt: skip
    assert file.read_text() == "old"


def test_ctrl_c_while_it_starts_promises_nothing(
    tiny: Path, bench_here: Here, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("srcli.inference.device.pick_device", lambda _: interrupt())
    assert bench_here("-d", "B100", "-m", "bicubic", "--data-root", tiny) == (
        130, "", "srcli: interrupted; the same command measures everything again\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("happening", "reason"),
    [
        (run_out, "20x16 LR px takes more memory than is free on cpu; hint: close other programs"),
        (overflow, "net gave values that are not finite"),
    ],
)
def test_what_fails_on_one_image_leaves_the_others(
    happening: Callable[[], None], reason: str,
    tiny: Path, tmp_path: Path, bench_here: Here, at_image: Callable[..., None],
):  # fmt: skip
    at_image(1, happening)
    file = tmp_path / "run.json"
    words = ("-m", "bicubic", "--repeats", "1", "--device", "cpu", "--json", file)
    code, out, err = bench_here("-d", "B100", "--data-root", tiny, *words)
    assert code == 1
    assert err.startswith(f"left out: 1: {reason}")
    assert "2 of 3 images" in out
    run = json.loads(file.read_text())
    assert [row["picture"] for row in run["rows"]] == ["0", "2"]
    assert run["failed"]["1"].startswith(f"1: {reason}")
