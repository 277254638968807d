"""Killed at any instant and run again, a clip comes out as if nothing had happened."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from srcli.errors import UnreadableVideo, UnwritableVideo
from srcli.jobs.clip_job import upscale_clip
from srcli.jobs.clip_segments import SegmentStore
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.job import CLIP, Job
from tests.forked_python import ForkedPython
from tests.video.conftest import Doubler, Recipe, make_clip, packets, upscaled, watch

ROOT = Path(__file__).parents[2]
SLOW_RUN = """
import os, sys, time
from pathlib import Path
from tests.video.conftest import Doubler
from srcli.jobs.clip_segments import SegmentStore
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.clip_job import upscale_clip
from srcli.jobs.job import CLIP, Job

class Slow(Doubler):
    def upscale_frames(self, frames):
        time.sleep(0.01)
        return super().upscale_frames(frames)

def told(done, total):
    print(done, flush=True)
    if done >= int(sys.argv[3]):
        os.kill(os.getpid(), 9)

network = Slow()
upscale_clip(
    Job(Path(sys.argv[1]), Path(sys.argv[2]), CLIP), network, ClipSettings(segment=12),
    told,
)
print("computed", sum(network.given))
"""
FRAMES = 60


def start(source: Path, target: Path, killed_at: int = 10**9) -> subprocess.Popen[str]:
    """A run that is killed once so many frames are done."""
    return ForkedPython(
        [sys.executable, "-c", SLOW_RUN, str(source), str(target), str(killed_at)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_killed_three_times_it_ends_as_undisturbed(tmp_path: Path) -> None:
    varied = [n * 512 + (n * n) % 97 for n in range(FRAMES)]
    source = make_clip(tmp_path / "in.mp4", Recipe(times=varied, tones=1))
    plain = tmp_path / "plain.mp4"
    upscaled(source, plain, ClipSettings(segment=12))
    target = tmp_path / "out.mp4"
    for instant in (7, 25, 50):
        process = start(source, target, instant)
        said, _ = process.communicate(timeout=600)
        assert process.returncode == -signal.SIGKILL
        begun = int(said.splitlines()[0])
        assert begun % 12 == 0
        assert not target.exists()
        assert instant - begun < 50
    process = start(source, target)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    lines = said.splitlines()
    resumed_at = int(lines[0])
    assert resumed_at >= 24  # each kill cost a segment and what had not left the encoder
    assert lines[-1] == f"computed {FRAMES - resumed_at}"
    undisturbed, result = watch(plain), watch(target)
    assert result.times == undisturbed.times
    assert len(result.times) == FRAMES
    pairs = zip(result.images, undisturbed.images, strict=True)
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


def test_segments_of_other_settings_wait_until_the_clip_is_made(tmp_path: Path) -> None:
    """They come back with their settings, and go, with a line, once a result is there."""
    source = make_clip(tmp_path / "in.mp4", Recipe(frames=20))
    target = tmp_path / "out.mp4"
    other = ClipSettings(segment=5, key={"model": "other"})
    interrupted(source, target, ClipSettings(segment=5), 18)
    interrupted(source, target, other, 18)
    network = Doubler()
    (note,) = upscaled(source, target, ClipSettings(segment=5), network)
    assert sum(network.given) == 5
    assert "15 frames that an earlier run had finished with other settings" in note
    interrupted(source, target, other, 20)
    network = Doubler()
    (note,) = upscaled(source, target, ClipSettings(segment=5), network)
    assert sum(network.given) == 20
    assert "15 frames that an earlier run had finished with other settings" in note


def test_a_source_is_known_by_its_content(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Recipe(frames=20))
    target = tmp_path / "out.mp4"
    interrupted(source, target, ClipSettings(segment=5), 18)
    os.utime(source, ns=(1, 1))
    network = Doubler()
    assert upscaled(source, target, ClipSettings(segment=5), network) == ()
    assert sum(network.given) == 5
    interrupted(source, target, ClipSettings(segment=5), 18)
    content = bytearray(source.read_bytes())
    content[len(content) // 2] ^= 1
    source.write_bytes(content)
    network = Doubler()
    notes = upscaled(source, target, ClipSettings(segment=5), network)
    assert sum(network.given) == 20
    assert "another state of the source" in notes[-1]


def test_a_source_that_goes_or_changes_under_way_keeps_its_segments(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Recipe(frames=20))
    target = tmp_path / "out.mp4"
    away, content = tmp_path / "away.mp4", source.read_bytes()
    job, settings = Job(source, target, CLIP), ClipSettings(segment=5)

    def move(done: int, total: int) -> None:
        if done == 18:
            source.rename(away)

    def change(done: int, total: int) -> None:
        if done == 20:
            source.write_bytes(content[:-1])

    with pytest.raises(UnreadableVideo, match="gone or changed while it was read"):
        upscale_clip(job, Doubler(), settings, move)
    away.rename(source)
    with pytest.raises(UnreadableVideo, match="gone or changed while it was read"):
        upscale_clip(job, Doubler(), settings, change)
    assert not target.exists()
    source.write_bytes(content)
    network = Doubler()
    upscaled(source, target, settings, network)
    assert not network.given


def test_a_resumed_run_computes_only_what_is_missing(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", Recipe(frames=20))
    target = tmp_path / "out.mkv"
    interrupted(source, target, ClipSettings(segment=5), 18)
    network = Doubler()
    upscaled(source, target, ClipSettings(segment=5), network)
    assert sum(network.given) <= 10
    assert watch(target).times == watch(source).times


@pytest.mark.parametrize("name", ["in.ts", "in.h264", "in.avi"])
def test_clips_without_an_index_are_gone_on_with_too(tmp_path: Path, name: str) -> None:
    codec = "mpeg4" if name.endswith(".avi") else "libx264"
    recipe = Recipe(frames=30, codec=codec, options={"g": "8", "bf": "2"})
    source = make_clip(tmp_path / name, recipe)
    plain, target = tmp_path / "plain.mkv", tmp_path / "out.mkv"
    settings = ClipSettings(segment=10)
    upscaled(source, plain, settings)
    interrupted(source, target, settings, 29)
    network = Doubler()
    upscaled(source, target, settings, network)
    assert sum(network.given) in (10, 20)
    assert target.read_bytes() == plain.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on files there")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("fitting", [False, True])
def test_a_full_disk_is_told_in_one_line_and_gone_on_after(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, fitting: bool
) -> None:
    """Segments fit or do not; all of it together does not."""
    import resource

    def noise(number: int, width: int, height: int) -> np.ndarray:
        return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)

    source = make_clip(tmp_path / "in.mp4", Recipe(frames=20, image=noise, tones=1))
    plain = tmp_path / f"plain{suffix}"
    upscaled(source, plain, ClipSettings(segment=5))
    size = plain.stat().st_size
    target = tmp_path / f"out{suffix}"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // (2 if fitting else 10), before[1]))
    try:
        with pytest.raises(
            UnwritableVideo, match=rf"out\{suffix}: File too large; hint: make room"
        ):
            upscaled(source, target, ClipSettings(segment=5))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not target.exists()
    assert capfd.readouterr().err == ""
    network = Doubler()
    upscaled(source, target, ClipSettings(segment=5), network)
    assert sum(network.given) == (0 if fitting else 20)
    assert target.read_bytes() == plain.read_bytes()


def test_two_runs_do_not_make_one_clip(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Recipe(frames=6))
    target = tmp_path / "out.mp4"
    lines: list[str] = []

    class Meanwhile(Doubler):
        def upscale_frames(self, frames: list[np.ndarray]) -> object:
            if not lines:
                with pytest.raises(UnwritableVideo, match=r"another run is making it") as caught:
                    upscaled(source, target)
                lines.append(str(caught.value))
            return super().upscale_frames(frames)

    upscaled(source, target, network=Meanwhile())
    assert "out.mp4" in lines[0]
    assert len(watch(target).times) == 6


def test_what_cannot_go_on_leaves_nothing(tmp_path: Path) -> None:
    """A clip that changes its size never ends well: its segments are not kept."""
    for number, size in enumerate([(32, 24), (48, 32)]):
        make_clip(tmp_path / f"{number}.h264", Recipe(frames=12, size=size))
    changes = tmp_path / "changes.h264"
    changes.write_bytes(b"".join((tmp_path / f"{n}.h264").read_bytes() for n in (0, 1)))
    with pytest.raises(UnreadableVideo, match="change from 32x24 to 48x32 at"):
        upscaled(changes, tmp_path / "out.mkv", ClipSettings(segment=5))
    assert not [p for p in tmp_path.iterdir() if p.name.startswith((".", "out"))]
    source = make_clip(tmp_path / "in.mp4", Recipe(frames=20))
    interrupted(source, tmp_path / "out.mp4", ClipSettings(segment=20), 10)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith((".", "out"))]


@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from tests.video.conftest import Doubler, Recipe, make_clip
from srcli.jobs.clip_segments import SegmentStore
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.clip_job import upscale_clip
from srcli.jobs.job import CLIP, Job
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
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "MALLOC_ARENA_MAX": "2",
            },
        )
        peaks[frames] = int(ended.stdout)
        assert len(watch(tmp_path / f"{frames}_x2.mp4").times) == frames
    assert peaks[2000] < 1.1 * peaks[200], peaks


def test_long_names_that_begin_alike_do_not_meet(tmp_path: Path) -> None:
    first, second = (
        SegmentStore(tmp_path / f"{'lesson ' * 20}{n}.mp4", {"key": "1"}) for n in (1, 2)
    )
    assert first.folder != second.folder
    with first as one, second as two:
        assert one.resume() == two.resume() == []


def test_a_run_that_cleans_up_takes_nothing_from_the_next(tmp_path: Path) -> None:
    """Whoever waits at the door when the folder goes gets a new one."""
    target, gone = tmp_path / "out.mp4", SegmentStore(tmp_path / "out.mp4", {"key": "1"})
    with gone:
        held = os.open(gone.folder / "lock", os.O_RDWR)  # as the next run has just done
    assert not gone.folder.exists()
    os.close(held)
    with SegmentStore(target, {"key": "2"}) as parts:
        assert parts.folder.is_dir()
        with pytest.raises(UnwritableVideo, match="another run is making it"):
            SegmentStore(target, {"key": "2"}).__enter__()


def test_what_a_killed_rehearsal_left_is_removed(tmp_path: Path) -> None:
    source, target = make_clip(tmp_path / "in.mp4", Recipe()), tmp_path / "out.mp4"
    left = SegmentStore(target, {}).folder / "trial_abc"
    left.mkdir(parents=True)
    (left / "one.mkv").write_bytes(b"half")
    upscaled(source, target)
    assert target.exists()
