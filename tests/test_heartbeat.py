"""Long work says so soon, and again whenever nothing was said for a while."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from srcli import heartbeat
from srcli.cli.main import main
from srcli.heartbeat import Heartbeat
from srcli.training.loggers import LineLogger
from tests.forked_python import ForkedPython


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(heartbeat, "_FIRST", 0.05)
    monkeypatch.setattr(heartbeat, "_BETWEEN", 0.1)
    return []


def test_lines_come_until_the_work_is_over(said: list[str]) -> None:
    third = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 3:
            third.set()

    with Heartbeat(say, "reading my.pth"):
        assert third.wait(30)
    assert said[0] == "reading my.pth"
    assert set(said[1:3]) == {"reading my.pth: 0:00 so far"}
    count = len(said)
    time.sleep(0.3)
    assert len(said) == count


def test_nothing_is_said_while_others_speak(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "_BETWEEN", 60.0)
    beat = Heartbeat(said.append, "training", first=0.1)
    with Path("/dev/null").open("w") as stream:
        LineLogger(stream, beat.heard).note("step 20")
    with beat:
        time.sleep(0.3)
    assert said == []


@pytest.mark.parametrize(("words", "line"), [(["show"], "reading "), (["import"], "importing ")])
def test_weights_commands_tell_what_they_read(
    said: list[str], words: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "_FIRST", 0.0)
    path = tmp_path / "w.safetensors"
    save_file({"w": torch.zeros(3)}, path)
    ended = CliRunner().invoke(main, ["weights", *words, str(path)])
    assert f"srcli: {line}{path}\n" in ended.stderr


@pytest.mark.parametrize("module", [["srcli", "train"], ["srcli.training"]])
def test_training_says_so_before_it_reads_the_configuration(
    module: list[str], tmp_path: Path
) -> None:
    """A configuration that nobody writes: reading it takes forever."""
    pipe = tmp_path / "never.toml"
    os.mkfifo(pipe)
    words = [sys.executable, "-m", *module, str(pipe)]
    with ForkedPython(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.kill()
    assert first == f"srcli: training with {pipe}\n"
