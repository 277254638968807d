"""A batch left alone: killed, out of disk, among hostile files, in company, interrupted."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.cli.processes import (
    FAST,
    PATIENCE,
    counts,
    folder_of,
    hashes,
    instants,
    require_whole,
    srcli,
    start,
    start_signalled,
    wait_until,
)

SMALL = ("-m", "adaformer-s")


def kill_and_rerun(tmp_path: Path, rng: np.random.Generator, kills: int, images: int) -> None:
    source = folder_of(tmp_path / "in", rng, images, (24, 32))
    calm = tmp_path / "calm"
    began = time.monotonic()
    assert srcli("upscale", source, "-o", calm, *FAST, *SMALL).returncode == 0
    longest = time.monotonic() - began
    expected = hashes(calm)
    assert len(expected) == images
    done, rounds, midway = 0, 0, 0
    while done < kills:
        out = tmp_path / f"out{rounds}"
        rounds += 1
        finished: dict[str, tuple[int, int]] = {}
        while done < kills:
            command = ("upscale", source, "-o", out, *FAST, *SMALL)
            if done % 3 == 0:  # surely at work: with the fourth begun, the first is whole
                process = start_signalled(signal.SIGKILL, 4, *command)
            else:
                process = start(*command)
                time.sleep(rng.uniform(0.3, 1) * longest)
                process.kill()
            process.communicate()
            done += 1
            now = instants(out)
            assert {name: now[name] for name in finished} == finished  # none made twice
            assert hashes(out).items() <= expected.items()  # none that is not whole
            midway += 0 < len(now) < images
            finished = now
            if len(now) == images:
                break
        ended = srcli("upscale", source, "-o", out, *FAST, *SMALL)
        assert ended.returncode == 0, ended.stderr
        assert hashes(out) == expected
        assert {name: instants(out)[name] for name in finished} == finished
        assert not list(out.glob(".*srcli-tmp"))
        assert srcli("status", out).returncode == srcli("verify", out).returncode == 0
    assert midway, "no kill hit a run at work"


def test_killed_and_run_again(tmp_path: Path, rng: np.random.Generator) -> None:
    kill_and_rerun(tmp_path, rng, kills=2, images=6)


@pytest.mark.slow
def test_killed_thirty_times(tmp_path: Path, rng: np.random.Generator) -> None:
    kill_and_rerun(tmp_path, rng, kills=30, images=12)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system here")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8M", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small file system: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.slow
def test_a_disk_that_fills_up(small_disk: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    source = folder_of(tmp_path / "in", rng, 5, (40, 60))
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(8 * 2**20 - 330_000))  # room for two results and the journal
    ended = srcli("upscale", source, "-o", small_disk / "out", *FAST, *SMALL)
    assert ended.returncode == 1, ended.stderr
    done, _, failed = counts(ended.stdout)
    assert done > 0 < failed
    assert done + failed == 5
    assert "No space left on device" in ended.stderr or "disk is full" in ended.stderr
    assert "Traceback" not in ended.stderr
    made = instants(small_disk / "out")
    assert len(made) == done
    for path in (small_disk / "out").glob("[!.]*"):
        require_whole(path)
    assert not list((small_disk / "out").glob(".*srcli-tmp"))
    ballast.unlink()
    again = srcli("upscale", source, "-o", small_disk / "out", *FAST, *SMALL)
    assert again.returncode == 0, again.stderr
    assert counts(again.stdout) == [failed, done, 0]
    now = instants(small_disk / "out")
    assert {name: now[name] for name in made} == made
    assert srcli("verify", small_disk / "out").returncode == 0


def test_too_little_disk_is_refused_first(
    small_disk: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    source = folder_of(tmp_path / "in", rng, 8, (400, 600))
    ended = srcli("upscale", source, "-o", small_disk / "out")
    assert ended.returncode == 4
    assert "MB are free" in ended.stderr
    assert not (small_disk / "out").exists()


@pytest.fixture
def long(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Enough work to meddle with."""
    return folder_of(tmp_path / "long", rng, 6, (32, 48))


def test_two_runs_in_one_folder(long: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = start_signalled(signal.SIGSTOP, 1, "upscale", long, "-o", out, *SMALL)
    wait_until(lambda: psutil.Process(first.pid).status() == psutil.STATUS_STOPPED, first)
    try:
        second = srcli("upscale", long, "-o", out, *SMALL)
        third = start("upscale", long, "-o", out, "--wait", *SMALL)
        assert third.stderr is not None
        told = third.stderr.readline()
    finally:
        first.send_signal(signal.SIGCONT)
    first_out, _ = first.communicate(timeout=PATIENCE)
    third_out, _ = third.communicate(timeout=PATIENCE)
    assert second.returncode == 2
    assert f"in use by another run, process {first.pid}" in second.stderr
    assert f"is in use by process {first.pid}" in told
    assert (first.returncode, third.returncode) == (0, 0)
    assert counts(first_out) == [6, 0, 0]
    assert counts(third_out) == [0, 6, 0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_finishes_the_present_file(long: Path, number: signal.Signals) -> None:
    out = long.parent / "long_x4"
    process = start_signalled(number, 1, "upscale", long, "--json", *SMALL, group=True)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    events = [json.loads(line) for line in stdout.splitlines()]
    assert process.returncode == 130, stderr
    assert "stopping after the present file" in stderr
    begun = [e["input"] for e in events if e["event"] == "started"]
    done = [e["input"] for e in events if e["event"] == "done"]
    assert begun == done
    assert len(done) == len(list(out.glob("[!.]*"))) == 1
    status = srcli("status", out)
    assert status.returncode == 1
    assert "stopped" in status.stdout
    assert "pending    5" in status.stdout
    again = srcli("upscale", long, *SMALL)
    assert counts(again.stdout) == [5, 1, 0]


@pytest.mark.slow
def test_the_second_signal_stops_at_once(tmp_path: Path, rng: np.random.Generator) -> None:
    source = folder_of(tmp_path / "in", rng, 2, (600, 800))  # many seconds each
    with start("upscale", source, "--json", "--effort", "exact", "--tile", "64", *SMALL) as process:
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["event"] != "tile":
            pass
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert any("once more" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.stdout.read(), process.stderr.read()
        process.wait(PATIENCE)
    assert process.returncode == 130, stderr
    assert json.loads(stdout.splitlines()[-1])["done"] == 0
    assert not list((tmp_path / "in_x4").glob("*.png"))
    assert not list((tmp_path / "in_x4").glob(".*srcli-tmp"))


def test_nothing_outlives_a_killed_run(long: Path) -> None:
    process = start("upscale", long, *SMALL)
    wait_until(lambda: psutil.Process(process.pid).children(), process)
    children = psutil.Process(process.pid).children()
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert all(_has_ended(child) for child in alive)


def _has_ended(process: psutil.Process) -> bool:
    """Also if nobody, as in some containers, has asked how."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.slow
def test_settings_that_changed(tmp_path: Path, rng: np.random.Generator) -> None:
    source = folder_of(tmp_path / "in", rng, 2, (12, 16))
    out = tmp_path / "out"
    assert srcli("upscale", source, "-o", out, *FAST).returncode == 0
    before = hashes(out)
    other = ("upscale", source, "-o", out, "--precision", "fp32", "--effort", "exact")
    refused = srcli(*other, "--on-mismatch", "fail")
    assert refused.returncode == 2
    assert "made with other settings (effort fast, now exact) (2 such outputs)" in refused.stderr
    kept = srcli(*other, "--on-mismatch", "keep", "-v")
    assert counts(kept.stdout) == [0, 2, 0]
    assert "skipped, made with other settings" in kept.stderr
    assert hashes(out) == before
    assert counts(srcli(*other).stdout) == [2, 0, 0]
    assert counts(srcli(*other).stdout) == [0, 2, 0]
    (out / "00.png").unlink()
    Image.new("RGB", (5, 5)).save(out / "01.png")
    assert counts(srcli(*other).stdout) == [1, 1, 0]  # what was altered is not touched unasked
    assert srcli("verify", out).returncode == 1
    assert counts(srcli(*other, "--on-mismatch", "redo").stdout) == [1, 1, 0]
    assert srcli("verify", out).returncode == 0
    shutil.rmtree(out / ".srcli")
    assert counts(srcli(*other).stdout) == [0, 2, 0]  # and what nobody knows neither
