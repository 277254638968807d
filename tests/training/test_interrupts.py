"""Signals: the first ends the step, or the validation before its next image; the second all."""

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from srcli.data.benchmark_set import Pair
from srcli.training.checkpoint import read_notes
from srcli.training.config import TrainingConfig
from srcli.training.loop import RunOptions, train
from tests.training.conftest import Recorder

CHECKPOINT = "checkpoint.safetensors"


@pytest.fixture
def images_read(benchmark_set: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The set gets three images; SIGTERM comes when the first is to be measured."""
    for part in ("HR", "LR"):
        for name in ("two", "three"):
            folder = benchmark_set / "x2" / part
            shutil.copy(folder / "one.png", folder / f"{name}.png")
    read, load = list[str](), Pair.load

    def load_and_signal(self: Pair, scale: int) -> object:
        read.append(self.name)
        if len(read) == 4:  # all three were looked through before the first step
            os.kill(os.getpid(), signal.SIGTERM)
        return load(self, scale)

    monkeypatch.setattr(Pair, "load", load_and_signal)
    return read


@pytest.mark.parametrize(("every", "step"), [(3, 3), (0, 6)], ids=["on the way", "at the end"])
def test_a_signal_leaves_validation_between_images(
    config: TrainingConfig, tmp_path: Path, images_read: list[str], every: int, step: int
):
    config = replace(config, validation=replace(config.validation, every_steps=every))
    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt):
        train(config, RunOptions(tmp_path), [recorder])
    assert images_read[3:] == ["one"]
    assert not recorder.validations
    assert read_notes(tmp_path / CHECKPOINT)["step"] == str(step)
    assert not (tmp_path / "tiny.safetensors").exists()
    assert train(config, RunOptions(tmp_path, resume=True), [recorder]) is not None
    assert [r.step for r in recorder.steps] == [1, 2, 3, 4, 5, 6]


def test_a_second_signal_stops_in_the_midst_of_a_step_and_spares_the_checkpoint(
    config: TrainingConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    step, taken, said = torch.optim.Adam.step, list[int](), list[str]()

    def step_and_signal(self: torch.optim.Adam) -> None:
        step(self)
        taken.append(1)
        if len(taken) == 5:  # the weights have stepped, average and count have not
            os.kill(os.getpid(), signal.SIGINT)
            said.append(capfd.readouterr().err)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(torch.optim.Adam, "step", step_and_signal)
    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt):
        train(config, RunOptions(tmp_path), [recorder])
    assert said == ["srcli: stopping after this step; once more to stop at once\n"]
    assert [r.step for r in recorder.steps] == [1, 2, 3, 4]
    assert read_notes(tmp_path / CHECKPOINT)["step"] == "3"  # of the validation
    train(config, RunOptions(tmp_path, resume=True), [recorder])
    assert [r.step for r in recorder.steps[4:]] == [4, 5, 6]
