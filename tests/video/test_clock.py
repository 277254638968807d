"""Clocks that jump, times that are wrong or missing, and clips that begin late."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from srcli.jobs.clip_source import ClipSettings
from tests.video.conftest import STEP, TICKS, Doubler, Recipe, make_clip, packets, upscaled, watch

PLAIN = {"crf": "12", "preset": "veryfast", "bf": "0"}


def steps(path: Path) -> set[int]:
    """Steps between frames, ms."""
    return {round((b - a) * 1000) for a, b in pairwise(watch(path).times)}


def recording(path: Path, begins: int, frames: int = 25, **more: object) -> bytes:
    """A transport stream whose clock begins at some second."""
    first = round(begins / TICKS)
    recipe = Recipe(times=[first + n * STEP for n in range(frames)], **more)  # type: ignore[arg-type]
    return make_clip(path, recipe).read_bytes()


@pytest.mark.parametrize("second", [180, 88, 300], ids=["back 20 s", "back 112 s", "ahead 99 s"])
@pytest.mark.parametrize("frames", [25, 50])
def test_joined_recordings_follow_each_other(tmp_path: Path, second: int, frames: int) -> None:
    one = recording(tmp_path / "one.ts", 200)
    two = recording(tmp_path / "two.ts", second, frames)
    (tmp_path / "in.ts").write_bytes(one + two)
    (note,) = upscaled(tmp_path / "in.ts", tmp_path / "out.mkv", ClipSettings(segment=10))
    assert "in.ts: its clock jumps by" in note
    assert len(watch(tmp_path / "out.mkv").times) == 25 + frames
    assert steps(tmp_path / "out.mkv") <= {39, 40, 41}


def test_joined_recordings_keep_their_sound(tmp_path: Path) -> None:
    data = make_clip(tmp_path / "one.ts", Recipe(frames=50, tones=1)).read_bytes()
    (tmp_path / "in.ts").write_bytes(data + data)
    (note,) = upscaled(tmp_path / "in.ts", tmp_path / "out.mkv", ClipSettings(segment=20))
    assert "its clock jumps by" in note
    assert len(watch(tmp_path / "out.mkv").times) == 100
    heard = [time for time, _ in packets(tmp_path / "out.mkv", "audio")]
    assert len(heard) == len(packets(tmp_path / "in.ts", "audio"))
    assert max(b - a for a, b in pairwise(heard)) < Fraction(1, 10)


@pytest.mark.parametrize("options", [PLAIN, {**PLAIN, "bf": "2"}], ids=["IPP", "IBBP"])
def test_one_wrong_time_moves_nothing(tmp_path: Path, options: dict[str, str]) -> None:
    data = bytearray(recording(tmp_path / "good.ts", 2, 50, options=options, tones=1))
    place = -1
    for _ in range(24):
        place = data.index(b"\0\0\1\xe0", place + 1)
    data[place + 10] ^= 0x40  # bit 28 of the PTS: 2983 s
    (tmp_path / "in.ts").write_bytes(data)
    upscaled(tmp_path / "good.ts", tmp_path / "good.mkv")
    notes = upscaled(tmp_path / "in.ts", tmp_path / "out.mkv")
    assert all("its clock jumps by" in note for note in notes)
    assert len(watch(tmp_path / "out.mkv").times) == 50
    assert steps(tmp_path / "out.mkv") <= {39, 40, 41}
    assert packets(tmp_path / "out.mkv", "audio") == packets(tmp_path / "good.mkv", "audio")


def test_a_resumed_run_follows_the_same_clock(tmp_path: Path) -> None:
    data = recording(tmp_path / "one.ts", 200) + recording(tmp_path / "two.ts", 100)
    (tmp_path / "in.ts").write_bytes(data)
    plain = upscaled(tmp_path / "in.ts", tmp_path / "plain.mkv", ClipSettings(segment=10))

    class Stopped(Doubler):
        def upscale_frames(self, frames: list[np.ndarray]):  # type: ignore[no-untyped-def,override]
            if len(self.given) == 42:
                raise KeyboardInterrupt
            return super().upscale_frames(frames)

    with pytest.raises(KeyboardInterrupt):
        upscaled(tmp_path / "in.ts", tmp_path / "out.mkv", ClipSettings(segment=10), Stopped())
    network = Doubler()
    again = upscaled(tmp_path / "in.ts", tmp_path / "out.mkv", ClipSettings(segment=10), network)
    assert sum(network.given) < 50
    assert again == plain
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "plain.mkv").read_bytes()


@pytest.mark.parametrize("frames", ["0", "2"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_avi_shows_the_nth_picture_at_the_nth_place(
    tmp_path: Path, frames: str, codec: str
) -> None:
    """AVI holds no display times: pictures are shown in their order, one after the other."""

    def flash(number: int, width: int, height: int) -> np.ndarray:
        return np.full((height, width, 3), 255 if number == 13 else 0, np.uint8)

    options = {"bf": frames, **({"crf": "12"} if codec == "libx264" else {"b": "500k"})}
    source = tmp_path / "in.avi"
    with av.open(str(source), "w") as out:
        video = out.add_stream(codec, rate=25, options=options)
        video.codec_context.width, video.codec_context.height = 64, 48
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(flash(number, 64, 48), "rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    assert upscaled(source, tmp_path / "out.mkv") == ()
    seen = watch(tmp_path / "out.mkv")
    assert seen.times == [Fraction(n, 25) for n in range(25)]
    assert [n for n, image in enumerate(seen.images) if image.mean() > 128] == [13]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_clip_that_begins_late_is_no_damaged_one(tmp_path: Path, suffix: str) -> None:
    recipe = Recipe(times=[round(5 / TICKS) + n * STEP for n in range(25)])
    source = make_clip(tmp_path / f"in{suffix}", recipe)
    assert upscaled(source, tmp_path / f"out{suffix}") == ()
    assert len(watch(tmp_path / f"out{suffix}").times) == 25
