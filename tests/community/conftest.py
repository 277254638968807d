"""Small networks of the community, written with spandrel's own classes, and a cache of its own."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from srcli.inference.report import Report
from tests.community.networks import SPANDREL_IS_HERE, save
from tests.weights.conftest import cache

__all__ = ["cache"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    absent = pytest.mark.skip(reason="spandrel is absent: pip install 'srcli[community]'")
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.community)
            if not SPANDREL_IS_HERE:
                item.add_marker(absent)


@pytest.fixture
def network_file(tmp_path: Path, cache: Path) -> Callable[..., Path]:
    """Write a small network of a kind as a checkpoint; see `networks.NETWORKS`."""

    def write(kind: str, name: str = "", seed: int = 0) -> Path:
        path = tmp_path / (name or f"{kind}.pth")
        save(path, kind, seed)
        return path

    return write


@pytest.fixture
def srcli(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The command in this process: its exit code, stdout and stderr."""
    main = import_module("srcli.cli.main")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    # Types are checked here, and this one is imported only for type checkers.
    monkeypatch.setattr("srcli.jobs.job.Report", Report, raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["srcli", *map(str, arguments)])
        code = int(main._exit_code())
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
