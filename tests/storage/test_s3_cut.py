"""Connections to S3 that are cut, and a driver that is killed while it uploads."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.batches import skipped, wait_for
from tests.forked_python import ForkedPython
from tests.storage.cutting_proxy import CuttingProxy
from tests.storage.in_memory import PROGRAM
from tests.storage.s3_runs import expected, fill, run_s3, states, words_of
from tests.storage.s3_server import Bucket, S3Server

QUICK = {"AWS_MAX_ATTEMPTS": "1"}  # botocore's own attempts within each of srcli's


@pytest.fixture
def proxy(server: S3Server) -> Iterator[CuttingProxy]:
    with CuttingProxy(server.port) as found:
        yield found


def through(proxy: CuttingProxy) -> dict[str, str]:
    return S3Server.environment_of(proxy.port) | QUICK


def test_connections_that_are_cut_once(bucket: Bucket, proxy: CuttingProxy, tmp_path: Path) -> None:
    fill(bucket, tmp_path / "in", 4)
    seen = Counter[str]()

    def cut_first(line: str) -> str:
        seen[line] += 1
        transfer = "/in/" in line or "/out/" in line
        return "cut" if transfer and seen[line] == 1 and "HEAD" not in line else "pass"

    proxy.rule = cut_first
    ended = run_s3(bucket, cwd=tmp_path, **through(proxy))
    assert ended.returncode == 0, ended.stderr
    assert bucket.objects("out") == expected(tmp_path / "in")
    cut = [line.split()[0] for line, times in seen.items() if times > 1]
    assert {"GET", "PUT"} <= set(cut)


def test_one_that_is_cut_always_fails_its_image_alone(
    bucket: Bucket, proxy: CuttingProxy, tmp_path: Path
) -> None:
    fill(bucket, tmp_path / "in", 4)
    broken = ("GET /{}/in/01", "PUT /{}/out/02")
    broken = tuple(one.format(bucket.name) for one in broken)
    proxy.rule = lambda line: "cut" if line.startswith(broken) else "pass"
    ended = run_s3(bucket, cwd=tmp_path, **through(proxy))
    assert ended.returncode == 1, ended.stderr
    assert f"{bucket.url('in/01.png')}: cannot be read (3 times): " in ended.stderr
    assert f"{bucket.url('out/02.jpg')}: cannot be written (3 times): " in ended.stderr
    assert set(bucket.objects("out")) == {"00.jpg", "03.png"}
    assert states(tmp_path) == {"done": 2, "failed": 2}
    proxy.rule = lambda line: "pass"
    again = run_s3(bucket, cwd=tmp_path, **through(proxy))
    assert (again.returncode, skipped(again.stdout)) == (0, 2)
    assert bucket.objects("out") == expected(tmp_path / "in")


def test_a_driver_that_is_killed_while_it_uploads(
    bucket: Bucket, proxy: CuttingProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(bucket, tmp_path / "in", 8)
    plain = expected(tmp_path / "in")
    for name, value in (through(proxy) | {"TMPDIR": str(tmp_path / "tmp")}).items():
        monkeypatch.setenv(name, value)
    proxy.rule = lambda line: "hang" if line.startswith("PUT") and "/out/04" in line else "pass"
    command = [sys.executable, "-c", PROGRAM, "upscale", *words_of(bucket)]
    with ForkedPython(command, cwd=tmp_path, env=dict(os.environ)) as process:
        wait_for(proxy.hanging.is_set)
        process.kill()
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    proxy.released.set()
    there = bucket.objects("out")
    assert there.items() < plain.items()  # whole, and not all
    before = states(tmp_path)
    assert before["writing"] >= 1
    assert before.total() == 8
    proxy.rule = lambda line: "pass"
    again = run_s3(bucket, cwd=tmp_path, **through(proxy))
    assert again.returncode == 0, again.stderr
    assert skipped(again.stdout) == len(there)
    assert bucket.objects("out") == plain
    assert states(tmp_path) == {"done": 8}
    assert bucket.uploads() == []
    assert list((tmp_path / "tmp").iterdir()) == []
