"""Disks that fail, and what a resumed run says of damage."""

import errno
import io
from pathlib import Path

import numpy as np
import pytest

from srcli.errors import UnreadableVideo
from srcli.jobs.clip_job import upscale_clip
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.job import CLIP, Job
from srcli.media.video import container as opening
from tests.video.conftest import Doubler, Recipe, make_clip, packets, upscaled
from tests.video.test_resume import interrupted

SETTINGS = ClipSettings(segment=10)


def noise(number: int, width: int, height: int) -> np.ndarray:
    """A frame that takes many bytes, so that clips are larger than FFmpeg's buffers."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


class Disk:
    """Fails reads beyond a place of a file, once it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path, healthy: float) -> None:
        self.broken = False
        limit = path.stat().st_size * healthy
        read = io.FileIO.read

        def failing(file: io.FileIO, size: int = -1) -> bytes | None:
            if self.broken and str(file.name) == str(path) and file.tell() >= limit:
                raise OSError(errno.EIO, "Input/output error")
            return read(file, size)

        class Broken(opening._ClipFile):
            def _read(self, size: int) -> bytes | None:
                return failing(self, size)

        monkeypatch.setattr(opening, "_ClipFile", Broken)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".ts", ".avi", ".flv"])
@pytest.mark.parametrize("after", [3, 40], ids=["while decoding", "while joining"])
def test_a_read_error_is_a_failure_and_keeps_the_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, after: int
) -> None:
    recipe = Recipe(frames=40, size=(96, 64), image=noise, tones=1 if suffix != ".avi" else 0)
    source = make_clip(tmp_path / f"in{suffix}", recipe)
    target = tmp_path / "out.mkv"
    disk = Disk(monkeypatch, source, 0.6)

    def fail(done: int, total: int) -> None:
        disk.broken = disk.broken or done >= after

    with pytest.raises(UnreadableVideo, match=r"reading failed .*hint: check the disk"):
        upscale_clip(Job(source, target, CLIP), Doubler(), SETTINGS, fail)
    assert not target.exists()
    disk.broken = False
    network = Doubler()
    notes = upscaled(source, target, SETTINGS, network)
    assert len(packets(target, "video")) == 40
    assert notes == upscaled(source, tmp_path / "plain.mkv", SETTINGS)
    assert target.read_bytes() == (tmp_path / "plain.mkv").read_bytes()
    if after == 40:
        assert sum(network.given) < 40


@pytest.mark.parametrize("place", [0.25, 0.85], ids=["before the kill", "after it"])
def test_a_resumed_run_tells_the_losses_of_an_undisturbed_one(tmp_path: Path, place: float) -> None:
    recipe = Recipe(30, codec="png", pix_fmt="rgb24", options={})
    source = make_clip(tmp_path / "in.mov", recipe)
    content = bytearray(source.read_bytes())
    middle = content.index(b"IHDR", int(content.rindex(b"IHDR") * place))
    content[middle : middle + 4] = b"XXXX"
    source.write_bytes(content)
    told = upscaled(source, tmp_path / "plain.mkv", SETTINGS)
    assert "1 frames lost" in told[0]
    interrupted(source, tmp_path / "out.mkv", SETTINGS, 25)
    network = Doubler()
    again = upscaled(source, tmp_path / "out.mkv", SETTINGS, network)
    assert sum(network.given) < 15
    assert again == told


@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".flv"])
def test_a_resumed_run_tells_that_the_file_ends_early(tmp_path: Path, suffix: str) -> None:
    source = make_clip(tmp_path / f"in{suffix}", Recipe(frames=60, image=noise))
    content = source.read_bytes()
    source.write_bytes(content[: len(content) * 6 // 10])
    told = upscaled(source, tmp_path / "plain.mkv", SETTINGS)
    assert "frames lost" in told[0]
    interrupted(source, tmp_path / "out.mkv", SETTINGS, 25)
    assert upscaled(source, tmp_path / "out.mkv", SETTINGS) == told
