"""A checkpoint is whole or it is the previous one."""

import itertools
import json
import resource
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from srcli.errors import UsageError, WeightsError
from srcli.models.adaformer import AdaFormerConfig
from srcli.models.atd import ATDConfig
from srcli.training.checkpoint import read_checkpoint, read_tensors, write_whole
from srcli.training.config import DataConfig, ScheduleConfig, TrainingConfig, WeightsConfig
from srcli.training.loop import RunOptions, train
from srcli.training.schedule import rates
from srcli.training.state import TrainingState
from tests.forked_python import run_forked
from tests.training.conftest import Recorder, whole_checkpoint

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
    ended = run_forked(["-c", KILLED_WHILE_WRITING, path])
    assert ended.returncode == -signal.SIGKILL
    assert read_tensors(path).tensors["w"].tolist() == [1, 1, 1, 1]


def test_a_checkpoint_is_two_files_of_the_last_step(config: TrainingConfig, tmp_path: Path):
    often = replace(config, run=replace(config.run, checkpoint_minutes=0.0))
    train(often, RunOptions(tmp_path), [])
    names = {path.name for path in tmp_path.glob("checkpoint*")}
    assert names == {"checkpoint.safetensors", "checkpoint-optimizer-6.safetensors"}
    (tmp_path / "checkpoint-optimizer-6.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"checkpoint-optimizer-6\.safetensors.*No such file"):
        TrainingState(config, torch.device("cpu")).resume(tmp_path / "checkpoint.safetensors")


def test_a_checkpoint_in_one_file_is_read_too(config: TrainingConfig, tmp_path: Path):
    """As checkpoints were before there were two."""
    train(config, RunOptions(tmp_path), [])
    path = tmp_path / "checkpoint.safetensors"
    both, wanted = read_checkpoint(path), whole_checkpoint(tmp_path)
    notes = {key: json.loads(value) for key, value in both.notes.items() if key != "optimizer"}
    write_whole(path, both.tensors, notes)
    (tmp_path / "checkpoint-optimizer-6.safetensors").unlink()
    state = TrainingState(config, torch.device("cpu"))
    state.resume(path)
    (tmp_path / "again").mkdir()
    state.save(tmp_path / "again" / "checkpoint.safetensors")
    found = whole_checkpoint(tmp_path / "again")
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


@pytest.mark.slow
def test_both_files_of_the_largest_network_come_back_from_a_lent_machine(tmp_path: Path):
    """Of what is trained there: 16 MiB a file are fetched."""
    for name, muon_lr in itertools.product(("adaformer", "atd-light"), (0.0, 1e-3)):
        network = AdaFormerConfig(scale=4) if name == "adaformer" else ATDConfig(scale=4)
        config = TrainingConfig(
            WeightsConfig("big", "CC0-1.0", "none"), network, DataConfig(("none",)),
            schedule=ScheduleConfig(steps=1, muon_lr=muon_lr),
        )  # fmt: skip
        state = TrainingState(config, torch.device("cpu"))
        for parameter in state.network.parameters():
            parameter.grad = torch.ones_like(parameter)
        state.apply(torch.zeros(()))
        (tmp_path / name).mkdir(exist_ok=True)
        state.save(tmp_path / name / "checkpoint.safetensors")
        sizes = [path.stat().st_size for path in (tmp_path / name).iterdir()]
        assert len(sizes) == 2
        assert max(sizes) < 15 << 20


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
    with pytest.raises(
        WeightsError, match="is not a checkpoint; hint: weights to start from go to --init"
    ):
        state.resume(path)


def test_the_average_holds_on_to_no_graph(config: TrainingConfig):
    state = TrainingState(config, torch.device("cpu"))
    for parameter in state.network.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = state.average.tail.weight.clone()
    state.set_rates(rates(config.schedule, 0.5))
    state.apply(torch.zeros(()))
    assert not torch.equal(state.average.tail.weight, before)
    assert not any(parameter.requires_grad for parameter in state.average.parameters())
