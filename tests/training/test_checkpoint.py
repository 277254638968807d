"""A checkpoint is whole or it is the previous one."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from srcli.errors import UsageError, WeightsError
from srcli.training.checkpoint import read_tensors, write_whole
from srcli.training.config import TrainingConfig
from srcli.training.loop import RunOptions, train
from srcli.training.schedule import rates
from srcli.training.state import TrainingState
from tests.training.conftest import Recorder

KILLED_WHILE_WRITING = """
import os, signal, sys, torch
from pathlib import Path
from srcli.training.checkpoint import write_whole
os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
write_whole(Path(sys.argv[1]), {"w": torch.zeros(9)}, {})
"""


@pytest.fixture
def tiny_disk():
    """Files cannot grow beyond 20 kB, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_keeps_tensors_and_notes(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    write_whole(path, {"w": torch.arange(3)}, {"step": 7, "name": "ä"})
    file = read_tensors(path)
    assert file.tensors["w"].tolist() == [0, 1, 2]
    assert (file.note("step"), file.note("name"), file.note("none")) == (7, "ä", None)


def test_full_disk_leaves_the_previous_one(tmp_path: Path, request: pytest.FixtureRequest):
    path = tmp_path / "a.safetensors"
    write_whole(path, {"w": torch.ones(4)}, {})
    request.getfixturevalue("tiny_disk")
    with pytest.raises(OSError, match="File too large"):
        write_whole(path, {"w": torch.zeros(9000)}, {})
    assert read_tensors(path).tensors["w"].tolist() == [1, 1, 1, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_kill_leaves_the_previous_one(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    write_whole(path, {"w": torch.ones(4)}, {})
    ended = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, path], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert read_tensors(path).tensors["w"].tolist() == [1, 1, 1, 1]


def test_run_goes_on_when_the_disk_is_full(
    config: TrainingConfig, tmp_path: Path, request: pytest.FixtureRequest
):
    train(config, RunOptions(tmp_path, steps=2), [])
    recorder = Recorder()
    request.getfixturevalue("tiny_disk")
    with pytest.raises(UsageError, match=r"cannot write .*tiny.safetensors: File too large"):
        train(config, RunOptions(tmp_path, resume=True, steps=4), [recorder])
    assert [r.step for r in recorder.steps] == [3, 4]
    assert "no checkpoint at step 4, the last one stays" in recorder.warnings[-1]
    state = TrainingState(config, torch.device("cpu"))
    state.resume(tmp_path / "checkpoint.safetensors")
    assert state.step == 2


def test_refuses_what_is_no_checkpoint(config: TrainingConfig, tmp_path: Path):
    state = TrainingState(config, torch.device("cpu"))
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"garbage")
    with pytest.raises(WeightsError, match=r"a\.safetensors"):
        state.resume(path)
    write_whole(path, {"w": torch.ones(4)}, {})
    with pytest.raises(WeightsError, match="is no checkpoint; weights to start from go to --init"):
        state.resume(path)


def test_the_average_holds_on_to_no_graph(config: TrainingConfig):
    state = TrainingState(config, torch.device("cpu"))
    for parameter in state.network.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = state.average.tail.weight.clone()
    state.update(rates(config.schedule, 0.5))
    assert not torch.equal(state.average.tail.weight, before)
    assert not any(parameter.requires_grad for parameter in state.average.parameters())
