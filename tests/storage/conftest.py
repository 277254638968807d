"""Storage for tests: in memory, and a server that speaks S3 in a process of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.storage.in_memory import Ended, memory, srcli
from tests.storage.s3_server import Bucket, S3Server, why_absent

NEEDS_S3 = ("test_s3.py", "test_s3_cut.py", "test_s3_cluster.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here, reason = Path(__file__).parent, why_absent()
    for item in items:
        if item.path.parent == here and item.path.name in NEEDS_S3:
            item.add_marker(pytest.mark.filterwarnings("ignore"))  # of the drivers' own
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals of URLs are each test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))


@pytest.fixture
def storage() -> Iterator[Any]:
    """Storage in memory, empty."""
    with memory() as found:
        yield found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """`srcli` in this process, which sees what is in memory."""
    return lambda *words: srcli(capsys, *words)


@pytest.fixture(scope="session")
def server() -> Iterator[S3Server]:
    """A server that speaks S3."""
    with S3Server() as found:
        yield found


@pytest.fixture
def bucket(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A new bucket there, empty."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server.bucket()
