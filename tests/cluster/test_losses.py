"""Workers, nodes and drivers that are killed: no result and no job is lost."""

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cluster.batches import (
    SMALL,
    contents,
    decoding,
    images,
    journal,
    kill,
    running,
    skipped,
    upscale,
    wait_for,
    workers,
)
from tests.cluster.conftest import SMALL_STORE

CLUSTER = ("--cluster", "auto")
COUNT = 10
LONG = 400  # px to a side: some seconds on one core


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Results without a cluster."""
    folder = tmp_path_factory.mktemp("plain")
    images(folder / "in", COUNT, side=160)
    ended = upscale(None, "in", "-o", "plain", *SMALL, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    return contents(folder / "plain")


def busy_workers() -> list[psutil.Process]:
    return [process for process in workers() if decoding(process)]


def leftovers(folder: Path) -> list[Path]:
    return list(folder.glob(".*.srcli-tmp"))


def test_worker_is_killed_in_the_midst_of_a_job(
    two_nodes: Any, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    images(tmp_path / "in", COUNT, side=160)
    with running(two_nodes, "in", "-o", "out", *SMALL, *CLUSTER, cwd=tmp_path) as driver:
        kill(wait_for(busy_workers)[0])
        _, text = driver.communicate(timeout=200)
    assert driver.returncode == 0, text
    assert "is lost; what it had begun is given to another" in text
    assert contents(tmp_path / "out") == expected
    assert {entry.state for entry in journal(tmp_path / "out").values()} == {"done"}
    assert not leftovers(tmp_path / "out")


def test_job_that_loses_its_worker_three_times_fails(two_nodes: Any, tmp_path: Path) -> None:
    images(tmp_path / "in", 1, side=LONG)
    killed: set[int] = set()

    def next_one() -> psutil.Process | None:
        return next((one for one in busy_workers() if one.pid not in killed), None)

    with running(two_nodes, "in", "-o", "out", *SMALL, *CLUSTER, cwd=tmp_path) as driver:
        for _ in range(3):
            process = wait_for(next_one)
            killed.add(process.pid)
            kill(process)
        _, text = driver.communicate(timeout=200)
    assert driver.returncode == 3, text  # nothing was done
    assert "00.jpg: its worker was lost 3 times" in text


def test_node_is_removed(two_nodes: Any, tmp_path: Path, expected: dict[str, bytes]) -> None:
    images(tmp_path / "in", COUNT, side=160)
    node = next(node for node in two_nodes.worker_nodes)
    with running(two_nodes, "in", "-o", "out", *SMALL, *CLUSTER, cwd=tmp_path) as driver:
        wait_for(lambda: len(busy_workers()) == 2)
        two_nodes.remove_node(node, allow_graceful=False)
        _, text = driver.communicate(timeout=200)
    two_nodes.add_node(num_cpus=1, **SMALL_STORE)
    two_nodes.wait_for_nodes()
    assert driver.returncode == 0, text
    assert "is lost; what it had begun is given to another" in text
    assert contents(tmp_path / "out") == expected
    assert {entry.state for entry in journal(tmp_path / "out").values()} == {"done"}


def test_driver_is_killed_and_run_again(
    two_nodes: Any, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    images(tmp_path / "in", COUNT, side=160)
    with running(two_nodes, "in", "-o", "out", *SMALL, *CLUSTER, cwd=tmp_path) as driver:
        wait_for(lambda: (tmp_path / "out").exists() and contents(tmp_path / "out"))
        driver.kill()
        driver.communicate()
    states = [entry.state for entry in journal(tmp_path / "out").values()]
    assert "pending" in states
    assert len(states) == COUNT
    wait_for(lambda: not workers())  # they end with their driver
    ended = upscale(two_nodes, "in", "-o", "out", *SMALL, *CLUSTER, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert 0 < skipped(ended.stdout) < COUNT
    assert contents(tmp_path / "out") == expected
    assert {entry.state for entry in journal(tmp_path / "out").values()} == {"done"}
    assert not leftovers(tmp_path / "out")


def test_ctrl_c_finishes_what_runs(tmp_path: Path) -> None:
    images(tmp_path / "in", COUNT, side=160)
    local = ("--cluster", "local", "--workers", "1")
    with running(None, "in", "-o", "out", *SMALL, *local, cwd=tmp_path) as driver:
        wait_for(lambda: (tmp_path / "out").exists() and contents(tmp_path / "out"))
        os.killpg(driver.pid, signal.SIGINT)  # as a terminal does
        summary, text = driver.communicate(timeout=100)
    assert driver.returncode == 130, text
    assert "failed    0" in summary
    made = contents(tmp_path / "out")
    states = [entry.state for entry in journal(tmp_path / "out").values()]
    assert states.count("done") == len(made) < COUNT
    assert states.count("pending") == COUNT - len(made)
    assert not leftovers(tmp_path / "out")
    ended = upscale(None, "in", "-o", "out", *SMALL, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert skipped(ended.stdout) == len(made)
