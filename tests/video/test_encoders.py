"""Encoders by name, their options, and what they refuse."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.codec import UnknownCodecError

from srcli.errors import UnwritableVideo, UsageError
from srcli.jobs.clip_source import ClipSettings
from srcli.media.video import (
    ClipReader,
    DecodeOptions,
    EncoderOptions,
    SegmentWriter,
    check_encoder_options,
    choose_encoding,
    encoders,
)
from srcli.media.video.choose_encoding import Encoding
from tests.video.conftest import Doubler, Recipe, make_clip, upscaled, watch
from tests.video.test_clip_keys import INFO


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = Recipe(frames=4, size=(64, 64))
    return make_clip(tmp_path_factory.mktemp("clip") / "in.mp4", recipe)


@pytest.mark.parametrize(
    ("wanted", "suffix", "stream"),
    [
        (EncoderOptions(), ".mp4", ("h264", "yuv420p")),
        (EncoderOptions("hevc", 20, "fast"), ".mp4", ("hevc", "yuv420p")),
        (EncoderOptions("av1", 30, "12"), ".mkv", ("av1", "yuv420p")),
        (EncoderOptions(), ".webm", ("av1", "yuv420p")),
        (EncoderOptions("prores"), ".mov", ("prores", "yuv422p10le")),
        (EncoderOptions("ffv1"), ".mkv", ("ffv1", "yuv420p")),
        (EncoderOptions("h264", pixel_format="yuv444p"), ".mkv", ("h264", "yuv444p")),
        (EncoderOptions("h264", pixel_format="yuv420p10le"), ".mov", ("h264", "yuv420p10le")),
    ],
)
def test_each_codec(
    clip: Path, tmp_path: Path, wanted: EncoderOptions, suffix: str, stream: tuple[str, str]
) -> None:
    target = tmp_path / f"out{suffix}"
    upscaled(clip, target, ClipSettings(wanted=wanted, segment=3))
    with av.open(str(target)) as made:
        context = made.streams.video[0].codec_context
        assert (context.codec.canonical_name, context.pix_fmt) == stream
        assert wanted.codec != "hevc" or context.codec_tag == "hvc1"
    assert len(watch(target).times) == 4


def test_crf_and_preset_change_something(clip: Path, tmp_path: Path) -> None:
    sizes = {}
    for name, wanted in {
        "fine": EncoderOptions(crf=4),
        "poor": EncoderOptions(crf=45),
        "quick": EncoderOptions(crf=4, preset="ultrafast"),
    }.items():
        upscaled(clip, tmp_path / f"{name}.mp4", ClipSettings(wanted=wanted))
        sizes[name] = (tmp_path / f"{name}.mp4").stat().st_size
    assert sizes["poor"] < sizes["fine"]
    assert sizes["quick"] != sizes["fine"]


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        (EncoderOptions("h265"), "--codec h265 is not known: h264, hevc"),
        (EncoderOptions("h264_vaapi"), "built without h264_vaapi"),
        (EncoderOptions("prores", crf=3), "prores has no --crf"),
        (EncoderOptions(crf=90), "--crf 90 is out of range: h264 takes 0 to 51"),
        (EncoderOptions(preset="warp"), "--preset warp is not a preset of h264"),
        (EncoderOptions("ffv1", preset="fast"), "it has none"),
        (EncoderOptions(pixel_format="pal8"), "--pix-fmt pal8 is not a format of libx264"),
    ],
)
def test_wrong_wishes_are_named(clip: Path, wanted: EncoderOptions, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        choose_encoding(wanted, ClipReader(clip, DecodeOptions()).info, Path("out.mkv"))


@pytest.mark.parametrize(
    ("wanted", "options"),
    [
        (
            EncoderOptions("hevc_nvenc", crf=22, preset="p6"),
            {"rc": "vbr", "b": "0", "cq": "22", "preset": "p6"},
        ),
        (EncoderOptions("h264_nvenc"), {"rc": "vbr", "b": "0", "cq": "20"}),
        (
            EncoderOptions("h264_qsv", crf=23, preset="slow"),
            {"global_quality": "23", "preset": "slow"},
        ),
        (
            EncoderOptions("h264_amf", crf=22, preset="balanced"),
            {"rc": "cqp", "qp_i": "22", "qp_p": "22", "qp_b": "22", "quality": "balanced"},
        ),
        (
            EncoderOptions("av1_amf", crf=200),
            {"rc": "cqp", "qp_i": "200", "qp_p": "200", "qp_b": "200"},
        ),
    ],
)
def test_hardware_encoders_are_spoken_to_in_their_words(
    clip: Path, wanted: EncoderOptions, options: dict[str, str]
) -> None:
    info = ClipReader(clip, DecodeOptions()).info
    try:
        encoding = choose_encoding(wanted, info, Path("out.mp4"))
    except UsageError as error:  # a wheel of another system
        pytest.skip(str(error))
    assert encoding.encoder == wanted.codec
    assert encoding.options == options


def test_encoders_that_this_ffmpeg_lacks_are_known_all_the_same() -> None:
    table = encoders._HARDWARE
    tool = replace(table["videotoolbox"], encoder="hevc_videotoolbox")
    assert encoders.quality_options(tool, "hevc_videotoolbox", 35) == {"global_quality": "7670"}
    vaapi = replace(table["vaapi"], encoder="h264_vaapi")
    assert encoders.quality_options(vaapi, "", None) == {"qp": "20", "global_quality": "20"}
    assert encoders.sample_formats(vaapi) == ["nv12", "p010le"]


HARDWARE = ("h264_nvenc", "hevc_nvenc", "av1_nvenc", "h264_qsv", "av1_qsv", "h264_amf")


@pytest.mark.parametrize("name", HARDWARE)
def test_a_device_that_is_missing_is_named_at_once(name: str) -> None:
    try:
        check_encoder_options(EncoderOptions(name), Path("out.mp4"))
    except UsageError as error:
        line = str(error)
    else:
        pytest.skip(f"{name} works here")
    assert line.startswith(f"--codec {name}")
    assert "did not answer" in line or "built without" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("prores", ".mp4"), ("ffv1", ".mov"), ("h264", ".webm"), ("av1", ".mov")],
)
def test_what_a_container_cannot_hold_is_said_before_the_work(
    clip: Path, tmp_path: Path, codec: str, suffix: str
) -> None:
    network = Doubler()
    target = tmp_path / f"out{suffix}"
    with pytest.raises(
        UnwritableVideo, match=rf"out\{suffix}: \{suffix} does not hold this"
    ) as caught:
        upscaled(clip, target, ClipSettings(wanted=EncoderOptions(codec)), network)
    assert "trial" not in str(caught.value)
    assert network.given == []
    assert list(tmp_path.iterdir()) == []


def test_alpha_is_kept_where_asked_for_and_said_where_not(tmp_path: Path) -> None:
    source = tmp_path / "in.mov"
    with av.open(str(source), "w") as out:
        video = out.add_stream("prores_ks", rate=25, options={"profile": "4444"})
        video.width, video.height, video.pix_fmt = 64, 64, "yuva444p10le"
        pixels = np.full((64, 64, 4), 200, np.uint8)
        pixels[:, :32, 3] = 40
        frame = av.VideoFrame.from_ndarray(pixels, "rgba").reformat(format="yuva444p10le")
        frame.pts = 0
        out.mux(video.encode(frame))
        out.mux(video.encode(None))
    (note,) = [n for n in upscaled(source, tmp_path / "flat.mp4") if "alpha is" in n]
    assert "alpha is dropped" in note
    target = tmp_path / "kept.mov"
    notes = upscaled(source, target, ClipSettings(wanted=EncoderOptions("prores")))
    assert not [note for note in notes if "alpha is" in note]
    with av.open(str(target)) as made:
        alpha = next(made.decode(video=0)).to_ndarray(format="rgba")[..., 3]
    assert abs(int(alpha[10, 10]) - 40) < 3
    assert abs(int(alpha[10, 100]) - 200) < 3


def test_an_encoder_that_does_not_open_leaves_no_file(tmp_path: Path) -> None:
    encoding = Encoding("no-such-encoder", "yuv420p", {})
    with pytest.raises(UnknownCodecError):
        SegmentWriter(tmp_path / "000000.mkv", encoding, INFO)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoder", ["libx264", "libx265", "libsvtav1"])
def test_the_same_frames_are_the_same_bytes_every_time(tmp_path: Path, encoder: str) -> None:
    """x264's macroblock tree in AVX-512 is not, of frames a few macroblocks wide."""
    info = replace(INFO, width=64, height=48, depth=8, pixel_format="yuv420p")
    with av.open(str(make_clip(tmp_path / "in.ts", Recipe(frames=20)))) as clip:
        small = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
    frames = [frame.repeat(2, 0).repeat(2, 1) for frame in small[10:]]
    assert frames[0].shape == (48, 64, 3)
    runs = set()
    for run in range(6):
        path = tmp_path / f"{run}.mkv"
        encoding = choose_encoding(EncoderOptions(encoder), info, path)
        writer = SegmentWriter(path, encoding, info)
        for number, frame in enumerate(frames):
            writer.add(number, 1, frame)
        writer.finish()
        with av.open(str(path)) as made:
            runs.add(tuple(bytes(packet) for packet in made.demux(video=0)))
    assert len(runs) == 1
