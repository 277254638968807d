"""Covers, timecodes, data and what else cameras and editors put beside the image."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from srcli.jobs.clip_source import ClipSettings
from srcli.media.video import DecodeOptions
from tests.video.conftest import (
    TICKS,
    moving,
    packets,
    upscaled,
    watch,
)

Out = av.container.OutputContainer


def make(path: Path, before: Callable[[Out], None], after: Callable[[Out], None]) -> Path:
    """A clip of ten frames with something beside it."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"crf": "12"})
        video.width, video.height, video.pix_fmt = 32, 24, "yuv420p"
        video.codec_context.time_base = TICKS
        before(out)
        after(out)
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(moving(number, 32, 24), "rgb24")
            frame.pts, frame.time_base = number * 512, TICKS
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


def image(codec: str) -> bytes:
    """A cover image's file."""
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.time_base = 16, 16, TICKS
    context.pix_fmt = "yuvj420p" if codec == "mjpeg" else "rgb24"
    frame = av.VideoFrame.from_ndarray(moving(3, 16, 16), "rgb24").reformat(format=context.pix_fmt)
    return b"".join(map(bytes, (*context.encode(frame), *context.encode(None))))


def with_cover(path: Path, codec: str) -> Path:
    data = image(codec)
    if path.suffix == ".mkv":
        name = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}[codec]
        return make(path, lambda out: out.add_attachment(*name, data), lambda out: None)

    def add(out: Out) -> None:
        stream = out.add_mux_stream(codec, width=16, height=16)
        stream.time_base = TICKS
        stream.disposition = av.stream.Disposition.attached_pic

    def put(out: Out) -> None:
        packet = av.Packet(data)
        packet.stream, packet.pts, packet.dts = out.streams[1], 0, 0
        packet.time_base, packet.is_keyframe = TICKS, True
        out.mux(packet)

    return make(path, add, put)


def covers(path: Path) -> list[bytes]:
    with av.open(str(path)) as clip:
        found = [
            s for s in clip.streams.video if s.disposition & av.stream.Disposition.attached_pic
        ]
        return [bytes(p) for s in found for p in clip.demux(s) if p.size]


@pytest.mark.parametrize("codec", ["mjpeg", "png"])
@pytest.mark.parametrize("into", [".mp4", ".mkv"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_cover_stays_a_cover(tmp_path: Path, suffix: str, into: str, codec: str) -> None:
    source, target = with_cover(tmp_path / f"in{suffix}", codec), tmp_path / f"out{into}"
    assert covers(source) == [image(codec)]
    part = DecodeOptions(start=Fraction(2, 25))
    assert upscaled(source, target, ClipSettings(reading=part)) == ()
    assert covers(target) == [image(codec)]
    with av.open(str(target)) as clip:
        assert len(clip.streams.video) == 2
    assert watch(target).times[0] == 0


def test_quicktime_holds_no_cover_and_that_is_said(tmp_path: Path) -> None:
    source, target = with_cover(tmp_path / "in.mp4", "png"), tmp_path / "out.mov"
    (note,) = upscaled(source, target)
    assert "cover image 1 (png) is left out, .mov cannot hold it" in note
    assert covers(target) == []


def coded(path: Path, code: str, rate: str) -> Path:
    """A clip with a timecode track, as cameras write it."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=Fraction(rate))
        video.width, video.height, video.pix_fmt = 32, 24, "yuv420p"
        video.metadata["timecode"] = code
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(moving(number, 32, 24), "rgb24")
            frame.pts, frame.time_base = number, 1 / Fraction(rate)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


def timecodes(path: Path) -> list[str]:
    """Of the timecode tracks."""
    with av.open(str(path)) as clip:
        return [s.metadata["timecode"] for s in clip.streams if s.type == "data"]


@pytest.mark.parametrize(("code", "rate"), [("01:00:00:05", "25"), ("01:00:00;04", "30000/1001")])
@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_a_timecode_track_is_made_again(tmp_path: Path, suffix: str, code: str, rate: str) -> None:
    source, target = coded(tmp_path / "in.mov", code, rate), tmp_path / f"out{suffix}"
    assert timecodes(source) == [code]
    assert upscaled(source, target) == ()
    assert timecodes(target) == ([] if suffix == ".mkv" else [code])
    tags = {key.lower(): value for key, value in watch(target).tags[0].items()}
    assert tags["timecode"] == code


def test_a_timecode_that_would_be_wrong_is_left_out(tmp_path: Path) -> None:
    source, target = coded(tmp_path / "in.mov", "01:00:00:05", "25"), tmp_path / "out.mov"
    (note,) = upscaled(source, target, ClipSettings(reading=DecodeOptions(start=Fraction(1, 25))))
    assert "out.mov: timecode 01:00:00:05 is left out" in note
    assert timecodes(target) == []
    source = make(
        tmp_path / "odd.mkv",
        lambda out: out.streams[0].metadata.update(TIMECODE="01:00:00;05"),
        lambda out: None,
    )
    (note,) = upscaled(source, target)
    assert "it does not go with 25 frames a second" in note


def sensors(path: Path) -> Path:
    """A clip with a GoPro's kind of data: a track of text, named otherwise."""

    def add(out: Out) -> None:
        words = out.add_stream("mov_text")
        words.time_base = words.codec_context.time_base = Fraction(1, 1000)
        words.codec_context.subtitle_header = b"[Script Info]\n"

    def put(out: Out) -> None:
        for number in range(4):
            packet = av.Packet(b"DEVC\x01\x00\x00%d" % number)
            packet.stream, packet.time_base = out.streams[1], Fraction(1, 1000)
            packet.pts = packet.dts = number * 100
            packet.duration = 100
            out.mux(packet)

    data = make(path, add, put).read_bytes()
    path.write_bytes(data.replace(b"tx3g", b"gpmd").replace(b"sbtl", b"meta"))
    return path


def test_data_of_a_camera_is_kept_or_its_loss_said(tmp_path: Path) -> None:
    source = sensors(tmp_path / "in.mp4")
    assert watch(source).kinds[1][0] == "data"
    for suffix in (".mp4", ".mov"):
        assert upscaled(source, tmp_path / f"out{suffix}") == ()
        assert packets(tmp_path / f"out{suffix}", "data") == packets(source, "data") != []
        assert b"gpmd" in (tmp_path / f"out{suffix}").read_bytes()
    (note,) = upscaled(source, tmp_path / "out.mkv")
    assert note.endswith("data stream 1 (bin_data, und) is left out, .mkv cannot hold it")


def test_only_true_tags_stay(tmp_path: Path) -> None:
    tags = {"title": "kept", "BPS": "1", "encoder": "old", "VENDOR_ID": "FFMP", "DURATION": "9"}
    tags |= {"rotate": "90", "alpha_mode": "1"}
    source = make(
        tmp_path / "in.mkv", lambda out: out.streams[0].metadata.update(tags), lambda out: None
    )
    target = tmp_path / "out.mkv"
    (note,) = upscaled(source, target)
    assert "in.mkv: the alpha beside its video" in note
    made = watch(target).tags[0]
    assert made["title"] == "kept"
    assert {key.upper() for key in made} <= {"TITLE", "DURATION"}
    assert made.get("DURATION") != "9"
    assert np.shape(watch(target).images) == (10, 48, 64, 3)
