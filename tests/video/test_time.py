"""Times: of frames, of sound against frames, of parts."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from srcli.jobs.clip_source import ClipSettings
from srcli.media.video import DecodeOptions
from tests.video.conftest import (
    RATE,
    Doubler,
    Recipe,
    make_clip,
    packets,
    upscaled,
    watch,
)

VARIED = [0, 512, 700, 1900, 2000, 2600, 5000, 5512, 6024, 9000, 9100, 9500]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("first", [0, 1000])
def test_a_variable_rate_stays_as_it_was(tmp_path: Path, suffix: str, first: int) -> None:
    recipe = Recipe(times=[first + t for t in VARIED])
    source = make_clip(tmp_path / f"in{suffix}", recipe)
    target = tmp_path / f"out{suffix}"
    upscaled(source, target, ClipSettings(segment=5))
    before, after = watch(source), watch(target)
    assert len(after.times) == len(VARIED)
    assert after.times == before.times
    assert after.images[0].shape == (48, 64, 3)
    for smaller, larger in zip(before.images, after.images, strict=True):
        difference = smaller.repeat(2, 0).repeat(2, 1).astype(int) - larger
        assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_flash_and_beep_stay_together_to_the_sample(tmp_path: Path, suffix: str) -> None:
    """The image turns white, and a tone begins, after half a second."""

    def flash(number: int, width: int, height: int) -> np.ndarray:
        return np.full((height, width, 3), 255 if number >= 13 else 0, np.uint8)

    source = make_clip(tmp_path / "in.mp4", Recipe(frames=25, image=flash, tones=1))
    target = tmp_path / f"out{suffix}"
    assert upscaled(source, target) == ()
    before, after = _flash_and_onset(source), _flash_and_onset(target)
    gap_before, gap_after = before[1] - before[0], after[1] - after[0]
    assert abs(gap_before - gap_after) <= (0 if suffix == ".mp4" else Fraction(1, 1000))
    sound = [p for _, p in packets(source, "audio")]
    assert [p for _, p in packets(target, "audio")] == sound
    if suffix == ".mp4":
        assert packets(target, "audio") == packets(source, "audio")


def _flash_and_onset(path: Path) -> tuple[Fraction, Fraction]:
    """When the image turns white, and when the 1000th loud sample sounds."""
    with av.open(str(path)) as clip:
        times = [f.pts * f.time_base for f in clip.decode(video=0) if f.to_ndarray()[0, 0] > 128]
    with av.open(str(path)) as clip:
        loud = 0
        for frame in clip.decode(audio=0):
            wave = np.abs(frame.to_ndarray()[0])
            for number in np.flatnonzero(wave > 0.3):
                loud += 1
                if loud == 1000:
                    return times[0], frame.pts * frame.time_base + Fraction(int(number), RATE)
    raise AssertionError("no sound")


def test_a_part_starts_at_nought_with_its_sound(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Recipe(frames=50, tones=1, chapters=True))
    target = tmp_path / "out.mp4"
    part = DecodeOptions(start=Fraction(3, 10), duration=Fraction(1))
    upscaled(source, target, ClipSettings(reading=part))
    whole, seen = watch(source), watch(target)
    taken = [t for t in whole.times if Fraction(3, 10) <= t < Fraction(13, 10)]
    assert len(seen.times) == len(taken) == 25
    assert seen.times == [t - Fraction(3, 10) for t in taken]
    assert np.abs(seen.images[0].astype(int)[::2, ::2] - whole.images[8]).mean() < 6
    sound = {p: t for t, p in packets(source, "audio")}
    for time, packet in packets(target, "audio"):
        assert abs(sound[packet] - Fraction(3, 10) - time) < Fraction(1, RATE)
    with av.open(str(target)) as clip:
        (chapter,) = clip.chapters()
        assert chapter["metadata"]["title"] == "two"
        assert chapter["start"] == 0


def test_the_start_of_a_broadcast_becomes_nought(tmp_path: Path) -> None:
    """MPEG-TS counts from anywhere; sound and image move together."""
    source = make_clip(tmp_path / "in.ts", Recipe(frames=20, tones=1))
    with av.open(str(source)) as clip:
        begins = Fraction(clip.start_time, av.time_base)
    assert begins > 0
    target = tmp_path / "out.mkv"
    upscaled(source, target)
    moved = [t - begins for t in watch(source).times]
    shown = watch(target).times
    assert len(shown) == 20
    assert max(abs(a - b) for a, b in zip(moved, shown, strict=True)) <= Fraction(1, 1000)
    heard = [t - begins for t, _ in packets(source, "audio")]
    for a, b in zip(heard, (t for t, _ in packets(target, "audio")), strict=True):
        assert abs(a - b) <= Fraction(1, 500)


def test_frames_that_repeat_are_computed_once_and_shown_each(tmp_path: Path) -> None:
    def on_twos(number: int, width: int, height: int) -> np.ndarray:
        rng = np.random.default_rng(number // 2)
        return rng.integers(0, 256, (height, width, 3), np.uint8)

    recipe = Recipe(frames=12, image=on_twos, codec="ffv1", pix_fmt="bgr0", options={})
    source = make_clip(tmp_path / "in.mkv", recipe)
    for batch in (1, 4):
        network = Doubler(batch)
        target = tmp_path / f"out{batch}.mkv"
        upscaled(source, target, ClipSettings(segment=6), network)
        assert sum(network.given) == 6
        assert watch(target).times == watch(source).times
    one, four = watch(tmp_path / "out1.mkv"), watch(tmp_path / "out4.mkv")
    assert all(np.array_equal(a, b) for a, b in zip(one.images, four.images, strict=True))
