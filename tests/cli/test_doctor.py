"""`srcli doctor`, and the device in a run's summary."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from srcli.cli.main import main
from srcli.inference import self_check
from srcli.inference.device import pick_device
from srcli.inference.self_check import attention_backends, self_test
from srcli.media.video import encoders
from tests.cli.processes import srcli

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_check, "_SECONDS", 0.0)
    monkeypatch.setattr(self_check, "_SIDES", {"cpu": (16, 24)})


@pytest.mark.slow
def test_a_sound_machine_passes() -> None:
    ended = CliRunner().invoke(main, ["doctor"], standalone_mode=False)
    assert ended.return_value == 0
    for part in ("torch  ", "av  ", "libavcodec", "adaformer_x4", "device  ", "cpu", "GB free"):
        assert part in ended.output
    assert ended.output.count("ok: ") >= 3
    assert "WRONG" not in ended.output
    assert "ms for 24x16 px at x4, balanced" in ended.output


@pytest.mark.slow
def test_a_device_that_computes_otherwise_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_check, "_largest", lambda found, expected: float("nan"))
    ended = CliRunner().invoke(main, ["doctor", "--device", "cpu", "--json"], standalone_mode=False)
    assert ended.return_value == 1
    found = json.loads(ended.output[ended.output.index("{") :])
    (device,) = found["devices"]
    assert not device["passed"]
    assert [check["passed"] for check in device["checks"][:1]] == [False]
    assert device["checks"][-1]["passed"]  # whole images are compared in another way
    assert found["versions"]["torch"].startswith(torch.__version__.split("+")[0])
    assert "adaformer_x4" in found["weights"]


@pytest.mark.slow
def test_a_device_that_breaks_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available\nmore lines")

    monkeypatch.setattr(self_check, "_timings", broken)
    found = self_test(CPU)
    assert not found.passed
    assert found.error == "RuntimeError: CUDA error: no kernel image is available"
    assert all(check.passed for check in found.checks)


def test_a_device_that_is_not_here_is_refused() -> None:
    ended = srcli("doctor", "--device", "cuda:9")
    assert ended.returncode == 2
    assert "device 'cuda:9' is not on this machine" in ended.stderr


def test_backends_are_those_that_pytorch_takes() -> None:
    assert attention_backends(CPU, torch.float32, 16) == ("flash", "math")


def test_hardware_encoders_without_their_device_say_why() -> None:
    found = encoders.hardware_encoders()
    assert all(name.split("_")[0] in ("h264", "hevc", "av1") for name in found)
    for name, reason in found.items():
        assert reason == "" or len(reason) > 5, name


def test_auto_takes_the_card_with_most_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    free = [5, 9, 9]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (free[number], 10))
    assert pick_device("auto") == torch.device("cuda:1")
    free[:] = [1]
    assert pick_device("auto") == torch.device("cuda")  # the only one is not asked


def test_the_summary_names_the_device(image: Path) -> None:
    ended = srcli("upscale", image, "-m", "adaformer-s", "-s", 2, "--precision", "fp32")
    assert "device    cpu, fp32" in ended.stdout
    again = srcli("upscale", image, "-m", "adaformer-s", "-s", 2, "--precision", "fp32")
    assert "device" not in again.stdout
    events = srcli("upscale", image, "-m", "adaformer-s", "--precision", "fp32", "--json")
    assert json.loads(events.stdout.splitlines()[-1])["device"] == "cpu, fp32"
