"""Checks of a device: all of them on a GPU, where there is one; their rehearsal everywhere."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from srcli.benchmark import check_device, device_checks
from srcli.benchmark.device_checks import CHECKS, QUICK, CheckSizes, run_checks
from srcli.errors import ExitCode
from srcli.inference.device import pick_device
from srcli.inference.self_check import Check

ROOT = Path(__file__).parents[2]
LACKING = ("av", "certifi", "click", "httpx", "imageio", "platformdirs", "rich")
CPU = torch.device("cpu")


@pytest.mark.gpu
@pytest.mark.parametrize("name", CHECKS)
def test_the_gpu_passes(name: str) -> None:
    """On CUDA or MPS: `pytest -m gpu -n 0`."""
    device = pick_device("auto")
    if device == CPU:
        pytest.skip("no GPU here")
    with torch.inference_mode():
        checks = list(CHECKS[name](device, CheckSizes()))
    assert checks
    assert not [check for check in checks if not check.passed]


def test_what_differs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Check("a", 1.0, 1.0).passed
    assert not Check("a", float("nan"), 1.0).passed

    def two(device: torch.device, sizes: CheckSizes):
        yield Check("one", 2.0, 1.0)
        raise LookupError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(device_checks, "CHECKS", {"mine": two, "other": lambda *_: iter(())})
    checks, errors = run_checks(CPU, QUICK)
    assert len(errors) == 1  # of any kind, and with its place
    expected = r"mine: LookupError: CUDA error: device-side assert triggered \(\w+\.py:\d+\)"
    assert re.fullmatch(expected, errors[0])
    assert checks == [Check("one", 2.0, 1.0)]  # what came before the error is kept


@pytest.mark.parametrize("part", ["checks", "times"])
def test_checks_and_timings_can_be_had_one_without_the_other(
    part: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(device_checks, "CHECKS", {"one": lambda *_: [Check("a", 0.0, 0.0)]})
    monkeypatch.setattr(check_device, "time_device", lambda *_: [{"way": "b"}])
    monkeypatch.setattr(sys, "argv", ["check_device", "--device", "cpu", "--quick", "--part", part])
    threads = torch.get_num_threads()
    try:
        assert check_device._main() == ExitCode.ALL_DONE
    finally:
        torch.set_num_threads(threads)
    found = json.loads(capsys.readouterr().out)
    assert [part for part in ("checks", "times") if found[part]] == [part]


def test_images_that_differ_by_a_level_are_told_from_others() -> None:
    image = np.full((4, 4, 3), 100, np.uint8)
    other = image.copy()
    other[0, 0, 0] = 101
    assert device_checks._levels("", other, image).passed
    other[0, 0, 0] = 102
    assert not device_checks._levels("", other, image).passed


@pytest.mark.slow
def test_the_command_of_the_page_runs_without_what_a_lent_machine_lacks(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "accelerator.md").read_text("utf-8")
    (line,) = re.findall(r"^python -m srcli.benchmark.check_device.*$", page, re.MULTILINE)
    for name in LACKING:
        (tmp_path / f"{name}.py").write_text("raise ImportError('not on this machine')\n")
    line = line.replace("check_device", "check_device --device cpu --quick", 1)
    (tmp_path / "out").mkdir()
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", re.sub(r"\bpython\b", sys.executable, line)],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}", "OUT": str(tmp_path / "out")},
        cwd=tmp_path, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = json.loads((tmp_path / "out" / "device.json").read_text())
    assert (found["device"], found["wrong"], found["errors"]) == ("cpu", [], [])
    assert len(found["checks"]) >= 20
    assert {row["way"] for row in found["times"]} >= {
        "exact", "balanced", "fast", "reference", "convolutions", "frames x2, pixels to pixels",
    }  # fmt: skip
    assert all(row["milliseconds"] > 0 for row in found["times"])
    assert found["checks"][0].keys() == {field.name for field in dataclasses.fields(Check)}
