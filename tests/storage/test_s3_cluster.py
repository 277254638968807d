"""S3 to S3 with `--cluster`: workers download and upload themselves."""

from itertools import count
from pathlib import Path

import pytest

from srcli.extras import ray_is_here
from tests.cluster.batches import decoding, kill, running, skipped, wait_for, workers
from tests.storage.cutting_proxy import CuttingProxy
from tests.storage.s3_runs import expected, fill, run_s3, states, words_of
from tests.storage.s3_server import Bucket, S3Server

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not ray_is_here(), reason="Ray is absent: pip install 'srcli[cluster]'"),
]
LOCAL = ("--cluster", "local", "--workers", "2")


def test_20_images_of_which_two_are_bad(bucket: Bucket, tmp_path: Path) -> None:
    fill(bucket, tmp_path / "in", 20, bad=2)
    ended = run_s3(bucket, *LOCAL, cwd=tmp_path)
    assert ended.returncode == 1, ended.stderr
    assert bucket.objects("out") == expected(tmp_path / "in")
    assert states(tmp_path) == {"done": 18, "failed": 2}
    for number in range(2):
        assert f"{bucket.url('in')}/bad{number}.png: " in ended.stderr
    assert list((tmp_path / "tmp").glob(".srcli-copies.*")) == []
    without = run_s3(bucket, cwd=tmp_path)
    assert skipped(without.stdout) == 18  # by whichever way it was made


def test_from_s3_into_a_folder(bucket: Bucket, tmp_path: Path) -> None:
    fill(bucket, tmp_path / "in", 3)
    ended = run_s3(bucket, *LOCAL, "-o", "here", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    found = {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    assert found == expected(tmp_path / "in")
    assert skipped(run_s3(bucket, "-o", "here", cwd=tmp_path).stdout) == 3


def test_a_worker_that_is_lost_while_it_uploads_loses_no_image(
    bucket: Bucket, server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(bucket, tmp_path / "in", 16, bad=1)
    plain = expected(tmp_path / "in")
    before = {process.pid for process in workers()}
    with CuttingProxy(server.port) as proxy:
        whole = count()
        proxy.rule = lambda line: (
            "hang" if line.startswith(f"PUT /{bucket.name}/out/") and next(whole) >= 3 else "pass"
        )
        for name, value in S3Server.environment_of(proxy.port).items():
            monkeypatch.setenv(name, value)
        with running(None, *words_of(bucket, *LOCAL), cwd=tmp_path) as process:
            wait_for(proxy.hanging.is_set)
            kill(next(one for one in workers() if one.pid not in before and decoding(one)))
            proxy.rule = lambda line: "pass"
            proxy.released.set()
            _, told = process.communicate()
    assert process.returncode == 1, told
    assert "what it had begun is given to another" in told
    assert bucket.objects("out") == plain
    assert states(tmp_path) == {"done": 15, "failed": 1}
    assert bucket.uploads() == []


def test_a_driver_that_is_killed_while_a_worker_uploads(
    bucket: Bucket, server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(bucket, tmp_path / "in", 8)
    plain = expected(tmp_path / "in")
    with CuttingProxy(server.port) as proxy:
        proxy.rule = lambda line: "hang" if line.startswith("PUT") and "/out/04" in line else "pass"
        for name, value in S3Server.environment_of(proxy.port).items():
            monkeypatch.setenv(name, value)
        with running(None, *words_of(bucket, *LOCAL), cwd=tmp_path) as process:
            wait_for(proxy.hanging.is_set)
            kill(process)
            process.wait()
        wait_for(lambda: not workers())
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    there = bucket.objects("out")
    assert there.items() < plain.items()
    assert states(tmp_path)["writing"] >= 1
    again = run_s3(bucket, *LOCAL, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert skipped(again.stdout) == len(there)
    assert bucket.objects("out") == plain
    assert states(tmp_path) == {"done": 8}
