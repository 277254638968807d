"""SFTP, with a password in the URL and connections that are cut."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("paramiko", reason="paramiko is absent: pip install paramiko")

from tests.cluster.batches import SMALL, contents, images, skipped
from tests.forked_python import run_forked
from tests.storage.s3_runs import expected, upscale
from tests.storage.sftp_server import PASSWORD, SFTPServer

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SFTPServer]:
    with SFTPServer(tmp_path) as found:
        yield found


def test_from_sftp_to_sftp(server: SFTPServer, tmp_path: Path) -> None:
    images(tmp_path / "in", 5, bad=1)
    words = (server.url("in"), "-o", server.url("out"), "--journal", "run.sqlite", *SMALL)
    ended = upscale(*words, "-v", cwd=tmp_path)
    assert ended.returncode == 1, ended.stderr
    plain = expected(tmp_path / "in")
    assert contents(tmp_path / "out") == plain
    assert f"sftp://zoe@127.0.0.1:{server.port}/in/bad0.png: not a supported image" in ended.stderr
    again = upscale(*words, cwd=tmp_path)
    assert skipped(again.stdout) == 4
    status = run_forked(["-m", "srcli", "status", tmp_path / "run.sqlite"], env=dict(os.environ))
    shown = ended.stdout + ended.stderr + again.stderr + status.stdout + status.stderr
    assert PASSWORD not in shown
    assert PASSWORD.encode() not in (tmp_path / "run.sqlite").read_bytes()


def test_a_wrong_password_is_a_line(server: SFTPServer, tmp_path: Path) -> None:
    ended = upscale(server.url("in", "battery-staple"), *SMALL, cwd=tmp_path)
    assert ended.returncode == 3, ended.stderr
    assert "cannot be reached: Authentication failed" in ended.stderr
    assert "hint: check the credentials" in ended.stderr
    assert "battery-staple" not in ended.stderr


def test_connections_that_are_cut_are_made_again(server: SFTPServer, tmp_path: Path) -> None:
    images(tmp_path / "in", 12)
    out, over, cuts = tmp_path / "out", threading.Event(), list[int]()

    def cut_in_the_midst() -> None:
        for done in (3, 6):
            while not over.wait(0.002) and len(list(out.glob("[!.]*"))) < done:
                pass
            cuts.append(server.cut())

    cutter = threading.Thread(target=cut_in_the_midst)
    cutter.start()
    try:
        ended = upscale(server.url("in"), "-o", server.url("out"), *SMALL, cwd=tmp_path)
    finally:
        over.set()
        cutter.join()
    assert ended.returncode == 0, ended.stderr
    assert contents(out) == expected(tmp_path / "in")
    assert all(cuts)
