"""Colours read, converted and written, and colours that are refused."""

from pathlib import Path

import av
import numpy as np
import pytest

from srcli.errors import UnreadableVideo
from srcli.jobs.clip_source import ClipSettings
from srcli.media.video import ClipReader, DecodeOptions, EncoderOptions
from srcli.media.video.colour import Colour
from tests.video.conftest import Recipe, make_clip, upscaled, watch

LUMA = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
PATCHES = np.array(
    [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [90, 140, 200]], np.uint8
)


def rgb_of(y: float, u: float, v: float, matrix: int, *, full: bool, depth: int) -> np.ndarray:
    """Plain BT.601/709/2020 arithmetic, in [0, 1]: the reference."""
    red, blue = LUMA[matrix]
    top = 2**depth - 1
    unit = 2 ** (depth - 8)
    luma = y / top if full else (y - 16 * unit) / (219 * unit)
    cb, cr = ((c - 128 * unit) / top if full else (c - 128 * unit) / (224 * unit) for c in (u, v))
    r = luma + 2 * (1 - red) * cr
    b = luma + 2 * (1 - blue) * cb
    return np.array([r, (luma - red * r - blue * b) / (1 - red - blue), b])


def stored(path: Path, index: int = 0) -> tuple[av.VideoFrame, list[np.ndarray]]:
    """A frame as it is in the file, and its planes."""
    with av.open(str(path)) as clip:
        frame = next(f for n, f in enumerate(clip.decode(video=0)) if n == index)
        kind = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
        planes = [
            np.frombuffer(p, kind).reshape(p.height, -1)[:, : p.width].astype(float)
            for p in frame.planes
        ]
        return frame, planes


def flat(path: Path, name: str, codes: list[tuple[int, ...]], colour: tuple[int, ...]) -> Path:
    """A clip of frames of one colour each, stored as they are."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 32, 24, name
        context = video.codec_context
        context.color_range, context.color_primaries, context.color_trc, context.colorspace = colour
        for number, code in enumerate(codes):
            frame = av.VideoFrame(32, 24, name)
            kind = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
            for plane, value in zip(frame.planes, code, strict=True):
                plane.update(np.full(plane.buffer_size // np.dtype(kind).itemsize, value, kind))
            frame.pts = number
            out.mux(context.encode(frame))
        out.mux(context.encode(None))
    return path


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("depth", [8, 10])
def test_colours_come_to_rgb_and_back(tmp_path: Path, matrix: int, full: bool, depth: int) -> None:
    """Flat patches of any code, against plain arithmetic, on the way in and on the way out."""
    top, unit = 2**depth - 1, 2 ** (depth - 8)
    codes = [(60, 128, 128), (200, 110, 150), (120, 160, 90), (40, 140, 120)]
    planes = [(y * unit + 1, u * unit, v * unit) for y, u, v in codes]
    source = tmp_path / "in.mkv"
    name = "yuv420p" if depth == 8 else "yuv420p10le"
    transfer = 14 if matrix == 9 else matrix
    colour = (2 if full else 1, matrix, transfer, matrix)
    flat(source, name, planes, colour)
    reader = ClipReader(source, DecodeOptions())
    assert reader.info.depth == depth
    assert reader.info.colour == Colour(full, matrix, transfer, matrix)
    for frame, code in zip(reader.frames(0, None), planes, strict=True):
        most = 255 if depth == 8 else 65535
        assert frame.pixels.dtype == (np.uint8 if depth == 8 else np.uint16)
        expected = rgb_of(*code, matrix, full=full, depth=depth).clip(0, 1)
        assert np.abs(frame.pixels[12, 16] / most - expected).max() < 1.5 / top
    target = tmp_path / "out.mkv"
    upscaled(source, target, ClipSettings(wanted=EncoderOptions(codec="ffv1")))
    for number, code in enumerate(planes):
        frame, made = stored(target, number)
        assert frame.format.name == name
        assert (frame.color_range, frame.color_primaries, frame.color_trc, frame.colorspace) == (
            colour
        )
        for plane, value in zip(made, code, strict=True):
            assert np.abs(plane - value).max() <= 1, (plane, value)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("depth", [10, 12])
def test_alpha_stays_what_it_is(tmp_path: Path, depth: int, full: bool) -> None:
    """Opaque stays opaque, and nothing else becomes so."""
    top, middle = 2**depth - 1, 2 ** (depth - 1)
    alphas = [0, 1, top // 3, middle, middle + 1, top * 4 // 5, top - 1, top]
    codes = [(middle, middle, middle, alpha) for alpha in alphas]
    source = flat(tmp_path / "in.mkv", f"yuva444p{depth}le", codes, (2 if full else 1, 1, 1, 1))
    for frame, alpha in zip(
        ClipReader(source, DecodeOptions()).frames(0, None), alphas, strict=True
    ):
        assert abs(int(frame.pixels[0, 0, 3]) - 65535 * alpha / top) <= 0.5
    target = tmp_path / "out.mkv"
    upscaled(source, target, ClipSettings(wanted=EncoderOptions("ffv1")))
    for number, alpha in enumerate(alphas):
        _, planes = stored(target, number)
        assert (planes[3] == alpha).all()
    upscaled(source, tmp_path / "out.mov", ClipSettings(wanted=EncoderOptions("prores")))
    for number in (0, len(alphas) - 1):
        frame, planes = stored(tmp_path / "out.mov", number)
        most = 2 ** frame.format.components[3].bits - 1
        assert (planes[3] == (most if number else 0)).all()


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_full_range_becomes_what_prores_is(tmp_path: Path, suffix: str) -> None:
    """ProRes cannot say that its samples are full: every decoder takes them as limited."""
    codes = [(60, 128, 128), (200, 110, 150), (255, 128, 128), (0, 128, 128)]
    source = flat(tmp_path / "in.mkv", "yuv420p", codes, (2, 1, 1, 1))
    target = tmp_path / f"out{suffix}"
    upscaled(source, target, ClipSettings(wanted=EncoderOptions("prores")))
    for number, code in enumerate(codes):
        frame, planes = stored(target, number)
        assert frame.color_range == 1
        seen = [float(np.median(plane)) for plane in planes]
        shown = rgb_of(*seen, 1, full=False, depth=10)
        assert np.abs(shown - rgb_of(*code, 1, full=True, depth=8)).max() < 0.02


@pytest.mark.parametrize(
    ("codec", "suffix", "name"),
    [
        ("h264", ".mp4", "yuv420p10le"),
        ("hevc", ".mp4", "yuv420p10le"),
        ("av1", ".mkv", "yuv420p10le"),
        ("prores", ".mov", "yuv422p10le"),
    ],
)
def test_ten_bits_stay_ten_and_tags_are_written(
    tmp_path: Path, codec: str, suffix: str, name: str
) -> None:
    def ramp(number: int, width: int, height: int) -> np.ndarray:
        return np.broadcast_to(
            np.linspace(30, 200, width).astype(np.uint8)[None, :, None], (height, width, 3)
        ).copy()

    recipe = Recipe(
        frames=3,
        size=(64, 64),
        pix_fmt="yuv420p10le",
        image=ramp,
        colour=(1, 1, 1, 1),
    )
    source = make_clip(tmp_path / "in.mkv", recipe)
    target = tmp_path / f"out{suffix}"
    assert upscaled(source, target, ClipSettings(wanted=EncoderOptions(codec=codec))) == ()
    frame, planes = stored(target, 1)
    assert frame.format.name == name
    assert (frame.color_range, frame.color_primaries, frame.color_trc, frame.colorspace) == (
        (1, 1, 1, 1)
    )
    _, before = stored(source, 1)
    assert np.abs(planes[0][::2, ::2] - before[0]).mean() < 8
    assert (planes[0] % 4 != 0).any()  # more than 8 bits in use


def test_standard_definition_keeps_its_matrix_when_it_grows(tmp_path: Path) -> None:
    """Untagged, 400 lines are read as BT.601; the 800 of the result would be read as BT.709."""
    recipe = Recipe(frames=2, size=(64, 400), colour=(0, 2, 2, 2))
    source = make_clip(tmp_path / "in.mp4", recipe)
    target = tmp_path / "out.mp4"
    upscaled(source, target)
    frame, _ = stored(target)
    assert frame.colorspace == 6


def hdr_clip(path: Path, transfer: int) -> Path:
    recipe = Recipe(
        frames=3,
        size=(64, 64),
        codec="libx265",
        pix_fmt="yuv420p10le",
        options={"x265-params": "log-level=none"},
        colour=(1, 9, transfer, 9),
    )
    return make_clip(path, recipe)


@pytest.mark.parametrize(("name", "transfer"), [("PQ", 16), ("HLG", 18)])
def test_hdr_is_refused_unless_said_how(tmp_path: Path, name: str, transfer: int) -> None:
    source = hdr_clip(tmp_path / "in.mkv", transfer)
    with pytest.raises(UnreadableVideo, match=rf"HDR \({name}\).*--tonemap.*--force-sdr"):
        upscaled(source, tmp_path / "never.mkv")
    target = tmp_path / "out.mkv"
    upscaled(source, target, ClipSettings(reading=DecodeOptions(hdr="sdr")))
    frame, planes = stored(target)
    assert frame.format.name == "yuv420p10le"
    assert (frame.color_primaries, frame.color_trc, frame.colorspace) == (1, 1, 1)
    assert np.abs(planes[0][::2, ::2] - stored(source)[1][0]).mean() < 60  # the same numbers


@pytest.mark.slow
@pytest.mark.parametrize("transfer", [16, 18])
def test_tone_mapping_makes_sdr(tmp_path: Path, transfer: int) -> None:
    """FFmpeg takes some seconds to tabulate the mapping."""
    source = hdr_clip(tmp_path / "in.mkv", transfer)
    target = tmp_path / "out.mkv"
    upscaled(source, target, ClipSettings(reading=DecodeOptions(hdr="tonemap")))
    frame, planes = stored(target)
    assert frame.format.name == "yuv420p10le"
    assert (frame.color_primaries, frame.color_trc, frame.colorspace) == (1, 1, 1)
    before = stored(source)[1][0]
    assert np.abs(planes[0][::2, ::2] - before).mean() > 8  # not the same numbers
    ranks = np.corrcoef(planes[0][::2, ::2].ravel(), before.ravel())
    assert ranks[0, 1] > 0.8  # but in their order


def test_a_matrix_that_is_not_converted_is_refused(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", Recipe(frames=2, colour=(1, 9, 14, 10)))
    with pytest.raises(UnreadableVideo, match=r"matrix 10 of H.273.*BT.709"):
        upscaled(source, tmp_path / "never.mkv")


def test_interlaced_is_said_and_refused(tmp_path: Path) -> None:
    recipe = Recipe(
        frames=14,
        size=(32, 32),
        options={"crf": "12", "flags": "+ildct+ilme", "x264-params": "tff=1"},
    )
    source = make_clip(tmp_path / "in.mp4", recipe)
    with pytest.raises(UnreadableVideo, match=r"interlaced.*--deinterlace"):
        upscaled(source, tmp_path / "never.mp4")
    target = tmp_path / "out.mp4"
    upscaled(source, target, ClipSettings(reading=DecodeOptions(deinterlace=True)))
    with av.open(str(target)) as clip:
        frames = list(clip.decode(video=0))
        assert len(frames) == 14
        assert [frame.pts * frame.time_base for frame in frames] == watch(source).times
        assert not any(frame.interlaced_frame for frame in frames)
