"""Options of a cluster that do not go together, and a machine without Ray."""

import socket
from pathlib import Path
from typing import Any

import pytest

from srcli.cli.cluster_options import ClusterOptions
from srcli.cluster import connection
from srcli.errors import UsageError
from srcli.extras import ray_is_here
from tests.cli.processes import srcli


@pytest.mark.skipif(ray_is_here(), reason="Ray is here")
def test_without_ray_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    ended = srcli("upscale", "x.png", "--cluster", "local", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.strip().endswith(
        "--cluster local needs Ray, which is not installed; hint: pip install 'srcli[cluster]' "
        "adds Ray"
    )
    assert len(ended.stderr.splitlines()) == 1


def test_options_of_a_cluster_need_one() -> None:
    with pytest.raises(UsageError, match="--workers 2 is for a cluster; hint: add --cluster"):
        ClusterOptions(None, 2, None)
    with pytest.raises(UsageError, match=r"--gpus-per-worker 0\.5 is for a cluster"):
        ClusterOptions(None, None, 0.5)


def test_address_of_no_kind(tmp_path: Path) -> None:
    ended = srcli("upscale", "x.png", "--cluster", "10.0.0.1", cwd=tmp_path)
    assert ended.returncode == 2
    assert "'10.0.0.1' is none of local, auto and ray://HOST:PORT" in ended.stderr


class _HeadWithoutServers:
    """Ray's module beside a head that cannot start the process for a client at first."""

    def __init__(self, failures: int) -> None:
        self.failures, self.attempts, self.parted = failures, 0, 0

    def init(self, **options: Any) -> None:
        self.attempts += 1
        if self.attempts <= self.failures:
            raise ConnectionAbortedError("Starting Ray client server failed")

    def shutdown(self) -> None:
        self.parted += 1


def _connect(head: _HeadWithoutServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "import_module", lambda name: head)
    monkeypatch.setattr(connection, "_RETRY_SECONDS", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"ray://127.0.0.1:{server.getsockname()[1]}"
        with connection.connected(address) as ray:
            assert ray is head


def test_client_connects_again_when_its_server_did_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head = _HeadWithoutServers(failures=2)
    _connect(head, monkeypatch)
    assert head.attempts == 3
    assert head.parted == 3  # after each failure, and at the end


def test_client_gives_up_after_three_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    head = _HeadWithoutServers(failures=9)
    with pytest.raises(UsageError, match="Starting Ray client server failed; hint: ray start"):
        _connect(head, monkeypatch)
    assert head.attempts == 3
