"""Clips decoded in a process of their own: the same frames; a crash fails one clip alone."""

import signal
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import psutil
import pytest

from srcli.errors import UnreadableVideo
from srcli.inference.report import Report
from srcli.inference.upscaler import Upscaler
from srcli.jobs.clip_job import run_clips
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.job import CLIP, Job
from srcli.media.video import ClipReader, DecodeOptions, IsolatedClip, clip_process
from tests.video.conftest import Recipe, make_clip

FAULTY = """
import os, resource, signal
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump takes its time
from srcli.media.video import clip_worker
whole = clip_worker.ClipReader
class Faulty(whole):
    def __init__(self, path, reading):
        if "header" in path.name: os.kill(os.getpid(), signal.SIGSEGV)
        super().__init__(path, reading)
    def frames(self, done, last, most=None):
        for number, frame in enumerate(super().frames(done, last, most)):
            if number == 5 and "crash" in self.path.name: os.kill(os.getpid(), signal.SIGSEGV)
            if number == 5 and "killed" in self.path.name: os.kill(os.getpid(), signal.SIGKILL)
            yield frame
clip_worker.ClipReader = Faulty
clip_worker.serve()
"""
DEEP = Recipe(codec="libx265", pix_fmt="yuv420p10le", options={"x265-params": "log-level=none"})
CUT = DecodeOptions(start=Fraction(1, 10), duration=Fraction(1, 5))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "good.mp4", Recipe(tones=1))


def alike(clip: IsolatedClip | ClipReader, done: int = 0, last: int | None = None) -> object:
    frames = [
        (f.pts, f.duration, f.pixels.dtype, f.pixels.shape, f.pixels.tobytes())
        for f in clip.frames(done, last)
    ]
    return frames, clip.info, clip.notes, clip.lossy


@pytest.mark.usefixtures("fresh_decoders")
@pytest.mark.parametrize("recipe", [Recipe(aspect=Fraction(4, 3)), DEEP], ids=["8 bits", "10 bits"])
@pytest.mark.parametrize("reading", [DecodeOptions(), CUT], ids=["whole", "a part"])
def test_frames_are_those_of_the_plain_reader(
    tmp_path: Path, recipe: Recipe, reading: DecodeOptions
) -> None:
    path = make_clip(tmp_path / "a.mkv", recipe)
    isolated, plain = IsolatedClip(path, reading), ClipReader(path, reading)
    assert alike(isolated) == alike(plain)
    last = next(isolated.frames(0, None)).pts
    isolated = IsolatedClip(path, reading)
    assert alike(isolated, 1, last) == alike(plain, 1, last)


def test_damage_is_told_and_counted_again(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", Recipe(frames=40))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = bytes(400)
    path.write_bytes(content)
    isolated, plain = IsolatedClip(path, DecodeOptions()), ClipReader(path, DecodeOptions())
    assert alike(isolated) == alike(plain)
    for each in (isolated, plain):
        each.recount()
    assert isolated.notes == plain.notes


def test_errors_come_through_as_they_are(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "none.mp4").write_bytes(b"no clip at all" * 100)
    for path in (tmp_path / "none.mp4", tmp_path / "nowhere.mp4"):
        with pytest.raises(UnreadableVideo) as isolated:
            IsolatedClip(path, DecodeOptions())
        with pytest.raises(UnreadableVideo) as plain:
            ClipReader(path, DecodeOptions())
        assert str(isolated.value) == str(plain.value)


def end_all(sources: Sequence[Path], out: Path) -> list[tuple[str, str]]:
    """Upscale clips as the command does; state and reason of each."""
    jobs = [Job(source, out / source.name, CLIP) for source in sources]
    settings = ClipSettings(isolated=True, segment=4)
    upscaler = Upscaler("adaformer-s", 2, effort="fast", precision="fp32")
    ends = run_clips(jobs, upscaler, settings, recorded="", on_frame=lambda *_: None)
    return [(end.state.value, end.reason) for end in ends]


def test_decoder_crash_fails_only_that_clip(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_process, "_PROGRAM", FAULTY)
    monkeypatch.setattr("srcli.jobs.job.Report", Report, raising=False)  # for beartype
    names = ("crash.mp4", "header.mp4", "good.mp4", "killed.mp4")
    sources = [clip.with_name(name) for name in names]
    for source in sources:
        source.write_bytes(clip.read_bytes())
    crash, header, good, killed = end_all(sources, tmp_path / "out")
    assert good == ("done", "")
    for state, reason in (crash, header):
        assert state == "failed"
        assert "its decoder crashed (SIGSEGV)" in reason
    assert killed[0] == "failed"
    assert "killed (SIGKILL)" in killed[1]
    assert "damaged" not in killed[1]
    assert not [child for child in psutil.Process().children() if "clip_worker" in str(child)]


def test_worker_is_ended_where_frames_are_not_read_to_the_end(clip: Path) -> None:
    source = IsolatedClip(clip, DecodeOptions())
    worker = source._worker
    frames = source.frames(0, None)
    next(frames)
    worker.send_signal(signal.SIGTERM)  # to the whole group: the parent's business
    next(frames)
    frames.close()
    assert worker.poll() == -signal.SIGKILL
    source = IsolatedClip(clip, DecodeOptions())
    worker = source._worker
    del source
    assert worker.poll() == -signal.SIGKILL
