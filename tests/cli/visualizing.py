"""`srcli visualize-mask`, in this process or another."""

import subprocess
import sys
from pathlib import Path

import pytest

from srcli.cli import main as entry
from srcli.inference.report import Report
from srcli.jobs import job
from tests.cli.processes import srcli


def visualize(
    *arguments: object, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return srcli("visualize-mask", *arguments, cwd=cwd, timeout=240, **environment)


def run_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """The command in this process: its exit code, stdout and stderr."""
    with pytest.MonkeyPatch.context() as patch:
        # Types are checked here, and this one is imported only for type checkers.
        patch.setattr(job, "Report", Report, raising=False)
        patch.setattr(sys, "argv", ["srcli", "visualize-mask", *map(str, arguments)])
        code = int(entry._exit_code())
    said = capsys.readouterr()
    return code, said.out, said.err


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
