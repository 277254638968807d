"""Sound that a container does not take as it is: re-encoded, and nothing of it moves."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from srcli.jobs.clip_source import ClipSettings
from srcli.media.video import DecodeOptions
from tests.video.conftest import moving, upscaled, watch

RATE = 44100
ENCODED = {".mkv": "flac", ".mp4": "aac", ".mov": "aac", ".webm": "libopus"}


def chirp(samples: int) -> np.ndarray:
    """A tone that rises, so that no part of it is like another; int16 (1, n)."""
    moments = np.arange(samples) / RATE
    return (np.sin(2 * np.pi * (300 + 400 * moments) * moments) * 12000).astype(np.int16)[None]


def sounding(path: Path, codec: str, heard: int = 2) -> Path:
    """Two seconds of image, and seconds of sound."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=25, options={"q": "2"})
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sound = out.add_stream(codec, rate=RATE)
        sound.codec_context.layout, sound.metadata["title"] = "mono", "chirp"
        if codec.startswith("wma"):
            sound.codec_context.bit_rate = 128000
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(moving(number, 64, 64), "rgb24")
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        tone = av.AudioFrame.from_ndarray(chirp(heard * RATE), "s16", "mono")
        tone.sample_rate = RATE
        out.mux((*sound.encode(tone), *sound.encode(None)))
    return path


def hear(path: Path) -> tuple[Fraction, np.ndarray]:
    """When the sound begins, and its samples in [-1, 1] at `RATE`."""
    with av.open(str(path)) as clip:
        frames = list(clip.decode(audio=0))
        to = av.AudioResampler("fltp", "mono", RATE)
        pieces = [made for frame in (*frames, None) for made in to.resample(frame)]
        begins = Fraction(frames[0].pts) * frames[0].time_base
    return begins, np.concatenate([piece.to_ndarray()[0] for piece in pieces])


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".webm"])
@pytest.mark.parametrize(
    ("name", "codec"), [("in.wmv", "wmav2"), ("in.wmv", "wmav1"), ("in.avi", "adpcm_ms")]
)
def test_what_does_not_fit_is_encoded_anew(
    tmp_path: Path, name: str, codec: str, suffix: str
) -> None:
    source, target = sounding(tmp_path / name, codec), tmp_path / f"out{suffix}"
    (note,) = upscaled(source, target)
    short = ENCODED[suffix].removeprefix("lib")
    assert note == f"{target}: audio stream 1 ({codec}) becomes {short}, re-encoded"
    (before, old), (after, new) = hear(source), hear(target)
    assert watch(target).kinds[1] == ("audio", short)
    assert abs(len(new) / RATE + after - len(old) / RATE - before) < 0.05
    if suffix == ".mkv":
        assert (after, len(new)) == (before, len(old))
        assert np.abs(new - old).max() <= 1 / 2**15
    else:
        assert abs(lag(before, old, after, new)) <= Fraction(2, 1000)


def lag(before: Fraction, old: np.ndarray, after: Fraction, new: np.ndarray) -> Fraction:
    """By how much the new sound, after a second, comes later than the old, which it is."""
    middle = Fraction(1)
    heard = new[round((middle - after) * RATE) :][: RATE // 2]
    most, place = 0.0, 0
    for moved in range(-RATE // 50, RATE // 50):
        same = old[round((middle - before) * RATE) - moved :][: RATE // 2]
        alike = float(np.corrcoef(heard, same)[0, 1])
        most, place = max((most, place), (alike, moved))
    assert most > 0.98
    return Fraction(place, RATE)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_part_of_it_is_cut_to_the_sample(tmp_path: Path, suffix: str) -> None:
    source, target = sounding(tmp_path / "in.avi", "adpcm_ms"), tmp_path / f"out{suffix}"
    part = DecodeOptions(start=Fraction(12, 25), duration=Fraction(1))
    upscaled(source, target, ClipSettings(reading=part))
    (_, old), (begins, new) = hear(source), hear(target)
    wanted = old[RATE * 12 // 25 : RATE * 37 // 25]
    assert (watch(target).times[0], begins) == (0, 0)
    if suffix == ".mkv":
        assert np.abs(new - wanted).max() <= 1 / 2**15  # of as many
    else:
        assert np.corrcoef(new[:RATE], wanted)[0, 1] > 0.98


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm"])
def test_a_part_without_sound_moves_nothing(tmp_path: Path, suffix: str) -> None:
    source, target = sounding(tmp_path / "in.avi", "adpcm_ms", heard=1), tmp_path / f"out{suffix}"
    upscaled(source, target, ClipSettings(reading=DecodeOptions(start=Fraction(3, 2))))
    seen = watch(target)
    assert len(seen.times) in (12, 13)
    assert seen.times[0] == 0


def test_sound_that_nothing_decodes_is_left_out(tmp_path: Path) -> None:
    source, target = sounding(tmp_path / "in.avi", "adpcm_ms"), tmp_path / "out.mkv"
    data = source.read_bytes()
    with av.open(str(source)) as clip:
        packets = [bytes(p) for p in clip.demux(audio=0) if p.size]
    for packet in packets:
        data = data.replace(packet, b"\xff" * len(packet))  # predictor 255: there is none
    source.write_bytes(data)
    (note,) = upscaled(source, target)
    assert "audio stream 1 (adpcm_ms) is left out, .mkv cannot hold it" in note
    assert len(watch(target).kinds) == 1
