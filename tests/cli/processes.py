"""`srcli` in processes of its own, and what it leaves behind."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.forked_python import ForkedPython, run_forked

COMMAND = (sys.executable, "-m", "srcli")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
PATIENCE = 600  # seconds: no test is about speed, and machines can be slow
FAST = ("--effort", "fast", "--precision", "fp32", "--no-disk-check")


def srcli(
    *arguments: object,
    cwd: Path | None = None,
    text: str | None = None,
    timeout: float = 600,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """The command, ended; `text` is its stdin."""
    return run_forked(
        [*COMMAND[1:], *arguments], input=text, cwd=cwd, env={**ENVIRONMENT, **environment},
        timeout=timeout,
    )  # fmt: skip


def start(*arguments: object, command: Sequence[str] = COMMAND) -> subprocess.Popen[str]:
    return ForkedPython(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


# `srcli` that sends itself a signal as the network begins with its n-th image.
SIGNALLED = """
import os, sys
from srcli.cli.main import run
from srcli.cli.reporter import BatchReporter

number, countdown = int(sys.argv.pop(1)), int(sys.argv.pop(1))
if number < 0:
    os.setpgrp()

def begun(self, job):
    global countdown
    countdown -= 1
    if countdown == 0:
        os.kill(os.getpid() if number > 0 else 0, abs(number))

BatchReporter.begun = begun
run()
"""


def start_signalled(
    number: signal.Signals, image: int, *arguments: object, group: bool = False
) -> subprocess.Popen[str]:
    """The command, which gets a signal as its `image`-th image begins.

    With `group`, so do all processes that it has started, as by a terminal or a supervisor.
    """
    command = (sys.executable, "-c", SIGNALLED)
    return start(-number if group else int(number), image, *arguments, command=command)


def folder_of(root: Path, rng: np.random.Generator, count: int, size: tuple[int, int]) -> Path:
    root.mkdir()
    for number in range(count):
        pixels = rng.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(root / f"{number:02}.png")
    return root


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("[!.]*")}


def require_whole(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def instants(folder: Path) -> dict[str, tuple[int, int]]:
    """Identity of one version of a file."""
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.glob("[!.]*")}


def counts(stdout: str) -> list[int]:
    return [int(stdout.split()[i]) for i in (1, 3, 5)]


def wait_until(done: "object", process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
