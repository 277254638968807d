"""A server, a cache and a box of weights of one's own."""

import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from srcli.inference.report import Report
from srcli.weights import box
from tests.cli.processes import COMMAND
from tests.forked_python import ForkedPython
from tests.weights.conftest import Server

entry = import_module("srcli.cli.main")
SHIPPED = box() / "adaformer_x4.safetensors"
CLEARED = ("SRCLI_OFFLINE", "SRCLI_WEIGHTS_MIRROR", "SRCLI_AUTO_DOWNLOAD", "SRCLI_WEIGHTS_MANIFEST",
           "SRCLI_DATA", "SRCLI_DATASETS_URL",
           "SRCLI_WEIGHTS_URL", "SRCLI_ACCEPT_LICENCES", "SRCLI_TRUST_FIRST")  # fmt: skip


class World:
    """A machine with an empty cache, a server, and a manifest that names what it serves."""

    def __init__(self, folder: Path, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.server, self.capsys = folder, server, capsys
        self.cache = folder / "cache"
        self.manifest = server.manifest(folder / "team.toml", "ok")
        clean = {name: value for name, value in os.environ.items() if name not in CLEARED}
        self.environment = {
            **clean, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "SRCLI_CACHE": str(self.cache),
            "SRCLI_WEIGHTS_MANIFEST": str(self.manifest),
        }  # fmt: skip

    def start(self, said: Path, *arguments: object) -> subprocess.Popen[bytes]:
        """The command as a process of its own, that writes to a file."""
        with said.open("wb") as file:
            return ForkedPython(
                [*COMMAND, *map(str, arguments)], cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=file, stderr=file, env=self.environment,
            )  # fmt: skip

    def run(self, *arguments: object, **more: str) -> tuple[int, str, str]:
        """The command in this process: its exit code, stdout and stderr."""
        with pytest.MonkeyPatch.context() as patch:
            for name in CLEARED:
                patch.delenv(name, raising=False)
            for name, value in {**self.environment, **more}.items():
                patch.setenv(name, value)
            # Types are checked here, and this one is imported only for type checkers.
            patch.setattr("srcli.jobs.job.Report", Report, raising=False)
            patch.setattr(sys, "argv", ["srcli", *map(str, arguments)])
            patch.chdir(self.folder)
            code = int(entry._exit_code())
        said = self.capsys.readouterr()
        return code, said.out, said.err

    @property
    def file(self) -> Path:
        return self.cache / "weights" / "far.safetensors"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def at_a_terminal(world: World, answer: str, *arguments: object) -> tuple[int, str]:
    """The command in a terminal, where a question gets an answer: exit code, all it showed."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 120))
    process = ForkedPython(
        [*COMMAND, *map(str, arguments)],
        stdin=slave, stdout=slave, stderr=slave, env={**world.environment, "TERM": "xterm"},
    )  # fmt: skip
    os.close(slave)
    shown = b""
    answered = False
    try:
        while part := os.read(master, 4096):
            shown += part
            if not answered and b"[y/N]" in shown:
                os.write(master, f"{answer}\n".encode())
                answered = True
    except OSError:
        pass  # how Linux says that the other side has closed
    os.close(master)
    return process.wait(timeout=600), shown.decode()
