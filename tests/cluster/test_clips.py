"""Clips by `srcli upscale --cluster`: workers make their segments, the driver joins them."""

from pathlib import Path
from typing import Any

import psutil

from tests.cluster.batches import (
    SMALL,
    contents,
    events_of_equal_run,
    images,
    kill,
    running,
    upscale,
    wait_for,
    workers,
)
from tests.video.conftest import Recipe, make_clip

FRAMES = 400  # four segments
CLIP = Recipe(frames=FRAMES, size=(48, 32), tones=1)


def busy(process: psutil.Process) -> bool:
    """Tell if a worker makes a segment: the clip is decoded by a process of its own."""
    return any("clip_worker" in " ".join(child.cmdline()) for child in process.children())


def test_clip_has_the_same_bytes_as_without_a_cluster(two_nodes: Any, tmp_path: Path) -> None:
    images(tmp_path / "in", 3)
    make_clip(tmp_path / "in" / "clip.mp4", CLIP)
    told = events_of_equal_run(two_nodes, tmp_path)
    assert told[-1]["done"] == 4
    assert told[-1]["device"] == "2 workers: cpu, fp32"
    frames = [one["done"] for one in told if one["event"] == "frame"]
    assert (min(frames), frames[-1]) == (0, FRAMES)
    assert len(frames) < FRAMES  # told by segments, not by frames
    assert not list((tmp_path / "out").glob(".*.srcli-parts"))


def test_worker_is_killed_in_the_midst_of_a_segment(two_nodes: Any, tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mkv", CLIP)
    plain = upscale(None, "clip.mkv", "-o", "plain", *SMALL, cwd=tmp_path)
    assert plain.returncode == 0, plain.stderr
    with running(
        two_nodes, "clip.mkv", "-o", "out", *SMALL, "--cluster", "auto", cwd=tmp_path
    ) as driver:
        kill(wait_for(lambda: [process for process in workers() if busy(process)])[0])
        _, text = driver.communicate(timeout=200)
    assert driver.returncode == 0, text
    assert "is lost; what it had begun is given to another" in text
    assert contents(tmp_path / "out") == contents(tmp_path / "plain")
    assert not list((tmp_path / "out").glob(".*.srcli-parts"))


def test_damaged_clip_fails_alone_with_the_reason_of_one_machine(
    two_nodes: Any, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.mp4").write_bytes(b"no clip")
    make_clip(tmp_path / "in" / "good.mp4", Recipe(frames=130, size=(32, 24)))
    plain = upscale(None, "in", "-o", "plain", *SMALL, cwd=tmp_path)
    ended = upscale(two_nodes, "in", "-o", "out", *SMALL, "--cluster", "auto", cwd=tmp_path)
    assert plain.returncode == ended.returncode == 1, ended.stderr
    (line,) = [line for line in plain.stderr.splitlines() if "bad.mp4" in line]
    assert line in ended.stderr
    assert contents(tmp_path / "out") == contents(tmp_path / "plain")
