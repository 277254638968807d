"""`srcli upscale clip.mp4`, as a process of its own."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.forked_python import run_forked
from tests.video.conftest import Recipe, make_clip, packets, watch


def srcli(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return run_forked(["-m", "srcli", *arguments], cwd=cwd, env=environment)


def test_a_folder_of_clips_and_images(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    make_clip(root / "clip.mp4", Recipe(frames=3, size=(16, 16), tones=1))
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(root / "p.png")
    (root / "bad.mkv").write_text("no clip")
    ended = srcli("upscale", "in", "-s", 2, "--effort", "fast", cwd=tmp_path)
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout.split()[:6] == ["done", "2", "skipped", "0", "failed", "1"]
    assert "in/bad.mkv: not a supported video" in ended.stderr
    assert "Traceback" not in ended.stderr
    made = watch(tmp_path / "in_x2" / "clip.mp4")
    assert made.images[0].shape == (32, 32, 3)
    assert made.times == watch(root / "clip.mp4").times
    assert packets(tmp_path / "in_x2" / "clip.mp4", "audio") == packets(root / "clip.mp4", "audio")
    assert sorted(p.name for p in (tmp_path / "in_x2").iterdir()) == ["clip.mp4", "p.png"]
    again = srcli("upscale", "in", "-s", 2, "--effort", "fast", cwd=tmp_path)
    assert again.stdout.split()[:6] == ["done", "0", "skipped", "2", "failed", "1"]


@pytest.mark.slow
def test_options_of_clips_reach_the_clip(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", Recipe(frames=10, size=(16, 16)))
    ended = srcli(
        *("upscale", "in.mp4", "-s", 2, "--effort", "fast", "-o", "out.mkv", "--codec", "ffv1"),
        *("--start", "0.1", "--duration", "0:00:00.12", "--pix-fmt", "yuv444p"),
        cwd=tmp_path,
    )
    assert ended.returncode == 0, ended.stderr
    seen = watch(tmp_path / "out.mkv")
    assert seen.kinds == [("video", "ffv1")]
    assert len(seen.times) == 3
    ended = srcli(
        *("upscale", "in.mp4", "-s", 2, "--effort", "fast", "--frames-dir", "f"),
        *("--duration", "0.08"),
        cwd=tmp_path,
    )
    assert ended.returncode == 0, ended.stderr
    assert sorted(p.name for p in (tmp_path / "f").glob("*.png")) == ["000000.png", "000001.png"]


def test_temporal_reuse_is_a_setting_of_the_result(tmp_path: Path) -> None:
    """A GIF of one moving dot: the same frames, and the record tells of another setting."""
    frames = [Image.new("RGB", (200, 64), (90, 120, 150)) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.paste((250, 250, 250), (4 + number, 20, 8 + number, 24))
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=40)
    command = ("upscale", "in.gif", "-s", 2, "-m", "adaformer-s", "--effort", "exact")
    for folder, temporal in (("off", ()), ("reused", ("--temporal", "exact"))):
        ended = srcli(*command, "--frames-dir", folder, *temporal, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
    for number in range(3):
        one, other = (
            np.asarray(Image.open(tmp_path / folder / f"{number:06}.png")).astype(int)
            for folder in ("off", "reused")
        )
        assert np.abs(one - other).max() <= 1
    to_clip = (*command, "-o", "out.mp4")
    assert srcli(*to_clip, cwd=tmp_path).returncode == 0
    kept = srcli(*to_clip, "--temporal", "fast", "--on-mismatch", "keep", cwd=tmp_path)
    assert "made with other settings (temporal default, now fast)" in kept.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["in.mp4", "--codec", "divx"], 2, "--codec divx is not known: h264"),
        (["in.mp4", "--crf", "99"], 2, "--crf 99 is out of range: h264 takes 0 to 51"),
        (["in.mp4", "--start", "soon"], 2, "'soon' is not a time"),
        (["in.mp4", "--start", "1/0"], 2, "'1/0' is not a time"),
        (["in.mp4", "-o", "x.webm", "--preset", "slow"], 2, "--preset slow is not a preset of av1"),
        (["in.mp4", "-o", "out.avi"], 2, "out.avi: srcli writes .mp4, .m4v, .mov, .mkv, .webm"),
        (["in.mp4", "--start", "100"], 3, "no frame of it is in the part"),
        (["in.mp4", "--tonemap", "--force-sdr"], 2, "exclude each other"),
        (
            ["in.mp4", "-o", "out.png"],
            2,
            "in.mp4 is a clip, which .png cannot hold; hint: --frames-dir",
        ),
        (["in.mp4", "in.mp4/..", "-o", "x.mp4"], 2, "does not exist"),
        (["%04d.png", "--fps", "0"], 2, "'0' is not a frame rate"),
        (["%04d.png"], 2, "add --fps 24"),
        (["%04d.png", "--fps", "24"], 3, "no image has such a name"),
    ],
)
def test_wrong_wishes(tmp_path: Path, arguments: list[str], code: int, line: str) -> None:
    make_clip(tmp_path / "in.mp4", Recipe(frames=2))
    ended = srcli("upscale", "-s", "2", *arguments, cwd=tmp_path)
    assert line in ended.stderr
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4"]
