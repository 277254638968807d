"""`srcli upscale --cluster` on two nodes: the same results as without, and where they differ."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from srcli.weights import weights_named
from srcli.weights.local_files import file_of
from tests.cluster.batches import (
    SMALL,
    client_server_logs,
    contents,
    events_of_equal_run,
    images,
    journal,
    skipped,
    upscale,
)
from tests.cluster.conftest import CLIENT_PORT


def test_40_images_of_which_three_are_bad(two_nodes: Any, tmp_path: Path) -> None:
    images(tmp_path / "in", 40, bad=3)
    plain = upscale(None, "in", "-o", "plain", *SMALL, cwd=tmp_path)
    ended = upscale(
        two_nodes, "in", "-o", "shared", *SMALL, "--cluster", "auto", "--json", cwd=tmp_path
    )
    assert plain.returncode == ended.returncode == 1, ended.stderr
    assert contents(tmp_path / "shared") == contents(tmp_path / "plain")
    assert len(contents(tmp_path / "shared")) == 37
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    ends = [one["input"] for one in told if one["event"] in ("done", "failed")]
    assert len(ends) == len(set(ends)) == 40
    summary = told[-1]
    assert (summary["done"], summary["failed"], summary["skipped"]) == (37, 3, 0)
    assert summary["device"] == "2 workers: cpu, fp32"
    states = [entry.state for entry in journal(tmp_path / "shared").values()]
    assert (states.count("done"), states.count("failed"), len(states)) == (37, 3, 40)
    for line in (line for line in plain.stderr.splitlines() if "bad" in line):
        assert line in ended.stderr  # the same reasons, with the same names
    again = upscale(two_nodes, "in", "-o", "shared", *SMALL, "--cluster", "auto", cwd=tmp_path)
    assert skipped(again.stdout) == 37
    without = upscale(None, "in", "-o", "shared", *SMALL, cwd=tmp_path)
    assert skipped(without.stdout) == 37  # by whichever way it was made


def test_by_the_address_of_a_client(two_nodes: Any, tmp_path: Path) -> None:
    images(tmp_path / "in", 3)
    address = f"ray://127.0.0.1:{CLIENT_PORT}"
    ended = upscale(None, "in", "-o", "out", *SMALL, "--cluster", address, cwd=tmp_path)
    assert ended.returncode == 0, f"{ended.stderr}{client_server_logs()}"
    assert len(contents(tmp_path / "out")) == 3


def test_workers_get_weights_that_they_lack(two_nodes: Any, tmp_path: Path) -> None:
    images(tmp_path / "in", 3)
    (entry,) = weights_named("adaformer-s_x4")
    shutil.copy(file_of(entry), tmp_path / "mine.safetensors")
    mine = {"SRCLI_CACHE": str(tmp_path / "mine")}
    imported = upscale(None, "in", "-o", "plain", *SMALL, cwd=tmp_path)
    assert imported.returncode == 0
    ended = upscale(
        two_nodes, "in", "-o", "out", "-m", "mine.safetensors", *SMALL[2:], "--cluster", "auto",
        cwd=tmp_path, **mine,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert contents(tmp_path / "out") == contents(tmp_path / "plain")


def test_more_workers_than_cores(two_nodes: Any, tmp_path: Path) -> None:
    images(tmp_path / "in", 2)
    ended = upscale(
        two_nodes, "in", "-o", "out", *SMALL, "--cluster", "auto", "--workers", 9, cwd=tmp_path
    )
    assert ended.returncode == 2
    assert "the cluster has 2 cores and 0 GPUs, enough for 2; hint: --workers 2" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_no_cluster_answers(tmp_path: Path) -> None:
    images(tmp_path / "in", 2)
    ended = upscale(None, "in", *SMALL, "--cluster", "ray://127.0.0.1:9", cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert "--cluster ray://127.0.0.1:9: " in ended.stderr
    assert "hint: ray start --head" in ended.stderr


def test_large_document_is_done_page_by_page(two_nodes: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(4)
    for name, count in (("large.tif", 20), ("small.tif", 3)):
        with tifffile.TiffWriter(tmp_path / "in" / name) as file:
            for number in range(count):
                page = rng.integers(0, 256, (24, 24 + number, 3), np.uint8)
                file.write(page, photometric="rgb", description=f"page {number}")
    told = events_of_equal_run(two_nodes, tmp_path)
    pages = [(one["done"], one["total"]) for one in told if one["event"] == "page"]
    assert pages == [(number, 20) for number in range(1, 21)]  # of the large one alone
    assert [entry.state for entry in journal(tmp_path / "out").values()] == ["done"] * 2
    assert not list((tmp_path / "out").glob(".*.srcli-tmp"))
