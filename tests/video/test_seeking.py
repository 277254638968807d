"""Where a part begins, and where a run continues, in files that do not lead to a key frame."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from srcli.jobs.clip_source import ClipSettings
from srcli.media.video import ClipReader, DecodeOptions
from tests.video.conftest import Recipe, make_clip, moving, upscaled, watch

FAR = {"g": "100", "bf": "0", "sc_threshold": "0"}  # frames between key frames: 4 s


Image = Callable[[int, int, int], np.ndarray]


def far_apart(path: Path, codec: str, image: Image = moving) -> Path:
    """Five seconds with key frames at 0 and 4."""
    recipe = Recipe(frames=125, size=(64, 48), codec=codec, options=FAR, image=image)
    return make_clip(path, recipe)


def noise(number: int, width: int, height: int) -> np.ndarray:
    """A frame that fills a pack of MPEG-PS: of those that share one only the first has a time."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


def read(path: Path, reading: DecodeOptions, *begin: int) -> list[tuple[int, bytes]]:
    frames = ClipReader(path, reading).frames(*begin or (0, None))
    return [(frame.pts, frame.pixels.tobytes()) for frame in frames]


@pytest.mark.parametrize(
    ("suffix", "codec", "image"),
    [(".ts", "libx264", moving), (".mpg", "libx264", noise), (".ts", "mpeg4", moving)],
)
def test_a_part_is_whole_wherever_the_key_frames_are(
    tmp_path: Path, suffix: str, codec: str, image: Image
) -> None:
    """These are sought by time; what a decoder makes of the rest of a group is no image."""
    source = far_apart(tmp_path / f"in{suffix}", codec, image)
    whole = read(source, DecodeOptions())
    assert len(whole) == 125
    for start in (Fraction(5, 2), Fraction(7, 2), Fraction(9, 2)):
        found = read(source, DecodeOptions(start=start))
        assert found == whole[int(start * 25 + Fraction(1, 2)) :]
    assert read(source, DecodeOptions(start=Fraction(9))) == []
    done = 90
    assert read(source, DecodeOptions(), done, whole[done - 1][0]) == whole[done:]


def test_a_part_of_a_broadcast_begins_with_its_image(tmp_path: Path) -> None:
    source, target = far_apart(tmp_path / "in.ts", "libx264"), tmp_path / "out.mkv"
    upscaled(source, target, ClipSettings(reading=DecodeOptions(start=Fraction(3))))
    times = watch(target).times
    assert (times[0], len(times)) == (0, 50)


def test_a_seek_that_fails_leads_nowhere(tmp_path: Path) -> None:
    """An FLV whose image begins after its sound: the demuxer then stands somewhere behind."""
    source = tmp_path / "in.flv"
    with av.open(str(source), "w") as out:
        video = out.add_stream("flv1", rate=25, options={"g": "12"})
        sound = out.add_stream("libmp3lame", rate=44100)
        video.width, video.height, video.pix_fmt = 32, 24, "yuv420p"
        for number in range(75):
            frame = av.VideoFrame.from_ndarray(moving(number, 32, 24), "rgb24")
            frame.pts, frame.time_base = number + 1, Fraction(1, 25)
            out.mux(video.encode(frame))
            silence = np.zeros((1, 1764 * 2), np.int16)
            heard = av.AudioFrame.from_ndarray(silence, "s16", "stereo")
            heard.sample_rate = 44100
            out.mux(sound.encode(heard))
        out.mux((*video.encode(None), *sound.encode(None)))
    whole = read(source, DecodeOptions())
    assert len(whole) == 75
    assert read(source, DecodeOptions(start=Fraction(1, 5))) == whole[4:]
