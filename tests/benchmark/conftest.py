"""`srcli bench` in a process of its own, and a tiny set."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from PIL import Image

from srcli.benchmark.machine import Machine, describe_machine
from srcli.cli.main import run
from srcli.data.resize import downscale, resize
from tests.forked_python import run_forked

Here: TypeAlias = Callable[..., tuple[int, str, str]]


def bench(*words: str | Path, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "SRCLI_DATA": str(data or ""),
    }  # fmt: skip
    return run_forked(["-m", "srcli", "bench", *words], env=environment)


@cache
def machine() -> Machine:
    """This machine, whose speed is measured once, and not while tests are collected."""
    return describe_machine(torch.device("cpu"), torch.float32)


@pytest.fixture
def bench_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """`srcli bench` in this process, which something can be arranged in: code, stdout, stderr."""

    def ended(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["srcli", "bench", *map(str, words)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ending:
            run()
        said = capsys.readouterr()
        assert isinstance(ending.value.code, int)
        return ending.value.code, said.out, said.err

    return ended


@pytest.fixture
def tiny(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A set named B100 of three images."""
    root = tmp_path / "data"
    for number in range(3):
        hr = resize(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8), 64, 80)
        for part, picture in (("HR", hr), ("LR", downscale(hr, 4))):
            folder = root / "B100" / "x4" / part
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / f"{number}.png")
    return root
