"""Killed at any instant and run again, a clip comes out as if nothing had happened."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from srcli.errors import UnwritableVideo
from srcli.jobs.clip_sources import ClipSettings
from srcli.jobs.clips import upscale_clip
from srcli.jobs.plan import CLIP, Job
from tests.video.conftest import Doubler, Recipe, make_clip, packets, upscaled, watch

ROOT = Path(__file__).parents[2]
SLOW_RUN = """
import sys, time
from pathlib import Path
from tests.video.conftest import Doubler
from srcli.jobs.clip_sources import ClipSettings
from srcli.jobs.clips import upscale_clip
from srcli.jobs.plan import CLIP, Job

class Slow(Doubler):
    def upscale_frames(self, frames):
        time.sleep(0.01)
        return super().upscale_frames(frames)

network = Slow()
upscale_clip(
    Job(Path(sys.argv[1]), Path(sys.argv[2]), CLIP), network, ClipSettings(segment=12),
    lambda done, total: print(done, flush=True),
)
print("computed", sum(network.given))
"""
FRAMES = 60


def start(source: Path, target: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN, str(source), str(target)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )


def test_killed_three_times_it_ends_as_undisturbed(tmp_path: Path) -> None:
    varied = [n * 512 + (n * n) % 97 for n in range(FRAMES)]
    source = make_clip(tmp_path / "in.mp4", Recipe(times=varied, tones=1))
    plain = tmp_path / "plain.mp4"
    upscaled(source, plain, ClipSettings(segment=12))
    target = tmp_path / "out.mp4"
    for instant in (7, 25, 50):
        process = start(source, target)
        assert process.stdout is not None
        begun = int(process.stdout.readline())
        assert begun % 12 == 0
        for line in process.stdout:
            if int(line) >= instant:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert not target.exists()
        assert instant - begun < 50
    process = start(source, target)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    lines = said.splitlines()
    resumed_at = int(lines[0])
    assert resumed_at >= 24  # each kill cost a segment and what had not left the encoder
    assert lines[-1] == f"computed {FRAMES - resumed_at}"
    undisturbed, result = watch(plain), watch(target)
    assert result.times == undisturbed.times
    assert len(result.times) == FRAMES
    pairs = zip(result.pictures, undisturbed.pictures, strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert packets(target, "video") == packets(plain, "video")
    assert packets(target, "audio") == packets(plain, "audio")
    assert target.read_bytes() == plain.read_bytes()
    assert not [p for p in tmp_path.iterdir() if p.name.endswith("srcli-parts")]


def interrupted(source: Path, target: Path, settings: ClipSettings, after: int) -> None:
    def stop(done: int, total: int) -> None:
        if done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_clip(Job(source, target, CLIP), Doubler(), settings, stop)


def test_segments_of_other_settings_are_of_no_use(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Recipe(frames=20))
    target = tmp_path / "out.mp4"
    interrupted(source, target, ClipSettings(segment=5), 20)
    for settings, computed in (
        (ClipSettings(segment=5, key={"model": "other"}), 20),
        (ClipSettings(segment=5), 20),
    ):
        network = Doubler()
        upscaled(source, target, settings, network)
        assert sum(network.given) == computed
    interrupted(source, target, ClipSettings(segment=5), 20)
    os.utime(source, ns=(1, 1))  # changed, for all that anyone can tell
    network = Doubler()
    upscaled(source, target, ClipSettings(segment=5), network)
    assert sum(network.given) == 20


def test_a_resumed_run_computes_only_what_is_missing(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", Recipe(frames=20))
    target = tmp_path / "out.mkv"
    interrupted(source, target, ClipSettings(segment=5), 18)
    network = Doubler()
    upscaled(source, target, ClipSettings(segment=5), network)
    assert sum(network.given) <= 10
    assert watch(target).times == watch(source).times


def test_a_full_disk_ends_the_clip_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from srcli.media.video import segments

    source = make_clip(tmp_path / "in.mp4", Recipe(frames=20))

    class Full(segments.SegmentWriter):
        def finish(self) -> segments.Segment:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("srcli.jobs.clips.SegmentWriter", Full)
    with pytest.raises((OSError, UnwritableVideo), match="No space left"):
        upscaled(source, tmp_path / "out.mp4", ClipSettings(segment=5))
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from tests.video.conftest import Doubler, Recipe, make_clip
from srcli.jobs.clip_sources import ClipSettings
from srcli.jobs.clips import upscale_clip
from srcli.jobs.plan import CLIP, Job
upscale_clip(Job(Path(sys.argv[1]), Path(sys.argv[2]), CLIP), Doubler(), ClipSettings(),
             lambda done, total: None)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    peaks = {}
    for frames in (200, 2000):
        source = make_clip(
            tmp_path / f"{frames}.mp4", Recipe(frames=frames, size=(96, 64), tones=1)
        )
        ended = subprocess.run(
            [sys.executable, "-c", program, str(source), str(tmp_path / f"{frames}_x2.mp4")],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        peaks[frames] = int(ended.stdout)
        assert len(watch(tmp_path / f"{frames}_x2.mp4").times) == frames
    assert peaks[2000] < 1.1 * peaks[200], peaks
