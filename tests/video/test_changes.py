"""Clips that change midway, and frames of two moments."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from srcli.errors import UnreadableVideo
from srcli.jobs.clip_source import ClipSettings
from srcli.media.video import DecodeOptions
from tests.video.conftest import STEP, TICKS, Doubler, Recipe, make_clip, upscaled, watch

LIMITED_709, FULL_709, LIMITED_601 = (1, 1, 1, 1), (2, 1, 1, 1), (1, 6, 6, 6)
TONE = (192, 64, 32)


def joined(folder: Path, one: Recipe, two: Recipe) -> Path:
    """Two recordings, whose common clock begins at 10 s, in one stream; 25 frames each."""
    data = b""
    for number, recipe in enumerate((one, two)):
        first = round((10 + number) / TICKS)
        times = [first + n * STEP for n in range(25)]
        data += make_clip(folder / f"{number}.ts", replace(recipe, times=times)).read_bytes()
    path = folder / "in.ts"
    path.write_bytes(data)
    return path


def plain(number: int, width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), TONE, np.uint8)


def part(start: str = "0", duration: str | None = None) -> ClipSettings:
    length = None if duration is None else Fraction(duration)
    return ClipSettings(reading=DecodeOptions(start=Fraction(start), duration=length))


def test_sizes_are_found_before_the_work_and_each_part_is_to_be_had(tmp_path: Path) -> None:
    source = joined(tmp_path, Recipe(size=(64, 48)), Recipe(size=(96, 64)))
    network = Doubler()
    wanted = r"from 64x48 to 96x64 at 1 s, .*--duration 1 and with --start 1\."
    with pytest.raises(UnreadableVideo, match=wanted):
        upscaled(source, tmp_path / "out.mkv", network=network)
    assert not network.given
    for settings, shape in ((part("0", "1"), (96, 128, 3)), (part("1"), (128, 192, 3))):
        assert upscaled(source, tmp_path / "out.mkv", settings) == ()
        seen = watch(tmp_path / "out.mkv")
        assert len(seen.images) == 25
        assert seen.times[0] == 0
        assert {image.shape for image in seen.images} == {shape}
    with pytest.raises(UnreadableVideo, match=r"--start 0.5 --duration 0.5 and with --start 1\."):
        upscaled(source, tmp_path / "out.mkv", part("0.5"))


@pytest.mark.parametrize("colours", [(LIMITED_601, LIMITED_709), (LIMITED_709, FULL_709)])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_every_frame_is_converted_by_its_own_colour(
    tmp_path: Path, colours: tuple[tuple[int, ...], tuple[int, ...]], suffix: str
) -> None:
    one, two = (Recipe(image=plain, colour=colour) for colour in colours)  # type: ignore[arg-type]
    source = joined(tmp_path, one, two)
    target = tmp_path / f"out{suffix}"
    assert upscaled(source, target) == ()
    with av.open(str(target)) as clip:
        frames = list(clip.decode(video=0))
    matrix = {1: "ITU709", 6: "ITU601"}[colours[0][3]]
    assert len(frames) == 50
    for frame in frames:
        assert frame.colorspace == colours[0][3]
        shown = frame.to_ndarray(format="rgb24", src_colorspace=matrix).mean(axis=(0, 1))
        assert np.abs(shown - TONE).max() < 5


def test_a_pixel_aspect_that_changes_is_told(tmp_path: Path) -> None:
    one, two = Recipe(aspect=Fraction(12, 11)), Recipe(aspect=Fraction(16, 11))
    source = joined(tmp_path, one, two)
    (note,) = upscaled(source, tmp_path / "out.mkv")
    assert "the pixel aspect changes from 12/11 to 16/11 at 1 s" in note
    assert upscaled(source, tmp_path / "out.mkv", part("1")) == ()
    with av.open(str(tmp_path / "out.mkv")) as clip:
        assert clip.streams.video[0].sample_aspect_ratio == Fraction(16, 11)


def fields(number: int, width: int, height: int) -> np.ndarray:
    """A box that moves from field to field, top field first."""
    image = np.full((height, width, 3), 40, np.uint8)
    for field in (0, 1):
        left = 4 + 3 * (2 * number + field)
        image[field::2, left : left + 16] = 220
    return image


def combing(path: Path) -> float:
    images = [image[..., 0].astype(float) for image in watch(path).images[2:-2]]
    return float(np.mean([np.abs(a[:-2] - 2 * a[1:-1] + a[2:]).mean() for a in images]))


def interlaced(path: Path, codec: str, order: int) -> Path:
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=25, options={"qscale": "2"})
        context = video.codec_context
        context.width, context.height = 96, 48
        context.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        context.field_order = order
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(fields(number, 96, 48), "rgb24")
            frame = frame.reformat(format=context.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


def test_deinterlacing_takes_frames_that_are_not_marked(tmp_path: Path) -> None:
    source = interlaced(tmp_path / "in.avi", "mpeg4", 0)
    upscaled(source, tmp_path / "as_is.mkv")
    settings = ClipSettings(reading=DecodeOptions(deinterlace=True))
    upscaled(source, tmp_path / "out.mkv", settings)
    assert combing(tmp_path / "out.mkv") < combing(tmp_path / "as_is.mkv") / 4


@pytest.mark.parametrize("order", [2, 3], ids=["top first", "bottom first"])
@pytest.mark.parametrize(("suffix", "codec"), [(".mov", "mjpeg"), (".mkv", "ffv1")])
def test_a_container_that_says_interlaced_is_believed(
    tmp_path: Path, suffix: str, codec: str, order: int
) -> None:
    source = interlaced(tmp_path / f"in{suffix}", codec, order)
    with pytest.raises(UnreadableVideo, match="interlaced"):
        upscaled(source, tmp_path / f"out{suffix}")
    settings = ClipSettings(reading=DecodeOptions(deinterlace=True))
    upscaled(source, tmp_path / f"out{suffix}", settings)
    assert combing(tmp_path / f"out{suffix}") < 8
