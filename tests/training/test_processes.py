"""Beyond one process: torchrun, and machines without what the command line needs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forked_python import run_forked

LEAN = """
import sys
for name in ("click", "rich", "platformdirs"):
    sys.modules[name] = None
import srcli.training.loop, srcli.training.config_file, srcli.training.loggers
"""


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, and those that it starts."""
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, check=False
    )


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")

# srcli train, in which the process of rank 1 alone is told to stop after its second step.
STOPPED = """
import os, signal, sys
from srcli.cli.main import run
from srcli.training.step import Stepper

take = Stepper.take

def take_and_stop(self, batch, rates):
    figures = take(self, batch, rates)
    if os.environ["RANK"] == "1" and batch.step == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    return figures

Stepper.take = take_and_stop
run()
"""


def steps(folder: Path) -> list[dict]:
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [entry for entry in log if entry["event"] == "steps"]


@pytest.mark.slow
def test_imports_without_the_command_lines_packages():
    ended = run("-c", LEAN)
    assert ended.returncode == 0, ended.stderr


def test_runs_as_a_module(config_toml: Path, tmp_path: Path):
    train = ("-m", "srcli.training", config_toml, "--out")
    ended = run_forked([*train, tmp_path / "run", "--steps", "2"])
    assert ended.returncode == 0, ended.stderr
    assert "100.0 % step 2" not in ended.stderr
    assert "50.0 % step 2  L1" in ended.stderr
    assert len(steps(tmp_path / "run")) == 2
    ended = run_forked([*train, tmp_path / "new", "--resume"])
    assert ended.returncode == 3
    assert ended.stderr.startswith("srcli: ")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.slow
def test_two_processes_equal_one(config_toml: Path, tmp_path: Path):
    """Each takes half of the batch that one process takes whole."""
    train = ("-m", "srcli", "train", config_toml, "--out")
    for ended in (
        run(*train, tmp_path / "one"),
        run(*TORCHRUN, *train, tmp_path / "two"),
    ):
        assert ended.returncode == 0, ended.stderr
    one, two = steps(tmp_path / "one"), steps(tmp_path / "two")
    assert len(one) == len(two) == 6
    for a, b in zip(one, two, strict=True):
        for figure in ("restoration", "uncertainty", "gradient"):
            assert b[figure] == pytest.approx(a[figure], rel=1e-4)
        assert b["live_windows"] == pytest.approx(a["live_windows"])


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both_after_the_same_step(config_toml: Path, tmp_path: Path):
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED)
    ended = run(*TORCHRUN, script, "train", config_toml, "--out", tmp_path / "two")
    assert ended.returncode != 0
    assert "Connection closed" not in ended.stderr
    assert len(steps(tmp_path / "two")) == 2
    again = run(
        *TORCHRUN, "-m", "srcli", "train", config_toml, "--out", tmp_path / "two", "--resume"
    )
    assert again.returncode == 0, again.stderr
    assert len(steps(tmp_path / "two")) == 6
