"""A run's folder: earlier runs, other runs, and how a run continues."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from srcli.errors import FolderBusy, UsageError
from srcli.training.config import TrainingConfig
from srcli.training.folder import RunFolder
from srcli.training.loggers import JsonLogger
from srcli.training.loop import RunOptions, train
from tests.forked_python import ForkedPython, run_forked
from tests.training.conftest import Recorder


def interrupted(config: TrainingConfig, options: RunOptions, at: int = 2) -> Recorder:
    recorder = Recorder(interrupt_at=at)
    with pytest.raises(KeyboardInterrupt):
        train(config, options, [recorder])
    return recorder


def test_an_earlier_run_is_not_begun_anew(config: TrainingConfig, tmp_path: Path):
    out = tmp_path / "run"
    interrupted(config, RunOptions(out))
    before = (out / "checkpoint.safetensors").read_bytes()
    with pytest.raises(UsageError, match=r"run holds a run at step 2: --resume continues"):
        train(config, RunOptions(out), [])
    assert (out / "checkpoint.safetensors").read_bytes() == before


def test_one_run_at_a_time(config: TrainingConfig, tmp_path: Path):
    out = tmp_path / "run"
    with RunFolder(out).held(), pytest.raises(FolderBusy, match="in use by another run"):
        train(config, RunOptions(out), [])
    assert train(config, RunOptions(out, steps=1), []) is not None


@pytest.mark.slow
def test_what_the_command_line_says_when_interrupted_is_so(config_toml: Path, tmp_path: Path):
    out = tmp_path / "run"
    words = [sys.executable, "-m", "srcli", "train", str(config_toml), "--out", str(out)]
    endless = [*words, "--steps", "100000"]
    with ForkedPython(endless, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if " step 3 " in line:
                running.send_signal(signal.SIGINT)
                break
        rest = running.stderr.read()
    assert running.returncode == 130
    steps = int(json.loads((out / "log.jsonl").read_text().splitlines()[-1])["step"])
    assert "srcli: stopping after this step; once more to stop at once" in rest.splitlines()
    assert rest.splitlines()[-1] == f"srcli: interrupted; --resume continues from step {steps}"
    ended = run_forked([*words[1:], "--resume", "--steps", steps + 2])
    assert ended.returncode == 0, ended.stderr
    assert f"step {steps + 1} " in ended.stderr
    assert " step 1 " not in ended.stderr


def test_interrupted_before_the_first_step(tmp_path: Path):
    assert "nothing is lost" in RunFolder(tmp_path).how_to_go_on()


def test_resume_keeps_the_length_with_which_the_run_began(config: TrainingConfig, tmp_path: Path):
    interrupted(config, RunOptions(tmp_path, steps=4))  # the configuration says 6
    recorder = Recorder()
    train(config, RunOptions(tmp_path, resume=True), [recorder])
    assert [r.step for r in recorder.steps] == [3, 4]
    assert recorder.warnings == [
        "the run keeps its length, 4 steps; CONFIG says 6 steps: --resume --steps 6 takes that"
    ]
    longer = Recorder()
    train(config, RunOptions(tmp_path, resume=True, steps=5), [longer])
    assert [r.step for r in longer.steps] == [5]
    assert not longer.warnings


def test_resume_tells_which_settings_are_others(config: TrainingConfig, tmp_path: Path):
    interrupted(config, RunOptions(tmp_path))
    slower = replace(config, schedule=replace(config.schedule, lr=1e-3))
    recorder = Recorder()
    train(slower, RunOptions(tmp_path, resume=True), [recorder])
    assert recorder.warnings == ["schedule.lr was 0.002, and is 0.001 from step 2 on"]


def test_resume_refuses_other_images(config: TrainingConfig, images: Path, tmp_path: Path):
    interrupted(config, RunOptions(tmp_path / "run"))
    shutil.copy(images / "0.png", images / "00.png")
    with pytest.raises(UsageError, match=r"other training images: 3, sha256 \w+, now 4, sha256"):
        train(config, RunOptions(tmp_path / "run", resume=True), [])


def test_a_run_that_breaks_keeps_its_steps(config: TrainingConfig, tmp_path: Path):
    class Breaks(Recorder):
        def on_validation(self, report: object) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(config, RunOptions(tmp_path), [Breaks()])
    recorder = Recorder()
    train(config, RunOptions(tmp_path, resume=True), [recorder])
    assert [r.step for r in recorder.steps] == [4, 5, 6]


def no_memory(after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let memory run out in the midst of the optimizer step after so many."""
    step, taken = torch.optim.Adam.step, list[int]()

    def steps_and_fails(self: torch.optim.Adam) -> None:
        step(self)
        taken.append(1)
        if len(taken) > after:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(torch.optim.Adam, "step", steps_and_fails)


def test_what_fails_before_the_first_step_leaves_nothing_in_the_way(
    config: TrainingConfig, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patched:
        no_memory(0, patched)
        with pytest.raises(UsageError, match="4 patches of 16x16 LR px: lower data"):
            train(config, RunOptions(tmp_path / "run"), [])
    for image in images.iterdir():  # their heads are as before, so that they are not refused
        image.write_bytes(image.read_bytes()[:60])
    with pytest.raises(UsageError, match="none of the training images can be read"):
        train(config, RunOptions(tmp_path / "run"), [])
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_a_step_broken_off_half_way_is_not_kept(
    config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    interrupted(config, RunOptions(tmp_path))
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with monkeypatch.context() as patched:
        no_memory(0, patched)
        with pytest.raises(UsageError, match=r"not enough memory on cpu .* free some and --resume"):
            train(config, RunOptions(tmp_path, resume=True), [])
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_a_log_on_a_full_disk_is_told_once_and_the_run_goes_on(
    config: TrainingConfig, tmp_path: Path
):
    (tmp_path / "run").mkdir()
    log, told = tmp_path / "run" / "log.jsonl", list[str]()
    log.symlink_to("/dev/full")
    path = train(config, RunOptions(tmp_path / "run"), [JsonLogger(log, told.append)])
    assert path is not None
    assert told == [f"{log} lacks entries from here: No space left on device"]
