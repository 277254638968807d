"""Which files are clips, what they become, and what a dry run says of them."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from srcli.errors import UnreadableVideo
from srcli.jobs.clip_forecast import forecast_clips
from srcli.jobs.clip_frames import upscale_animation
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.discover import discover
from srcli.jobs.job import ANIMATION, CLIP, Job
from srcli.jobs.plan import plan_jobs
from srcli.media.video import AnimationReader, EncoderOptions
from srcli.media.video.structure import is_fast_start
from tests.video.conftest import Doubler, Recipe, make_clip, moving, packets, upscaled, watch
from tests.video.test_command import srcli


def planned(folder: Path, image_format: str | None = None) -> dict[str, Job]:
    jobs = plan_jobs(
        discover([folder], clips=True),
        folder.parent / "out",
        label="x2",
        image_format=image_format,
    )
    return {job.source.name: job for job in jobs}


def gif(path: Path, frames: int = 10) -> Path:
    images = [Image.fromarray(moving(n, 32, 24)) for n in range(frames)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=100, loop=0)
    return path


@pytest.mark.parametrize(
    ("suffix", "muxer"),
    [
        *((".divx", "avi"), (".f4v", "mp4"), (".3g2", "3g2"), (".m2t", "mpegts"), (".qt", "mov")),
        *((".m2v", "mpeg2video"), ("", "mp4"), (".bin", "matroska"), (".tmp", "mpegts")),
    ],
)
def test_clips_are_known_by_more_than_the_usual_names(
    tmp_path: Path, suffix: str, muxer: str
) -> None:
    path = tmp_path / f"clip{suffix}"
    codec = "mpeg2video" if muxer == "mpeg2video" else "libx264"
    with av.open(str(path), "w", format=muxer) as out:
        video = out.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(moving(number, 64, 48), "rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    (job,) = plan_jobs(discover([path], clips=True), None, label="x2", image_format=None)
    assert (job.image_format, job.target.name) == (CLIP, "clip_x2.mkv")
    upscaled(path, tmp_path / "out.mkv")
    assert len(watch(tmp_path / "out.mkv").times) == 5
    if suffix not in ("", ".bin", ".tmp"):
        assert len(discover([tmp_path], clips=True)) == 2


def test_one_clip_of_a_folder_does_not_stop_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    gif(folder / "moving.gif")
    for name in ("a.avi", "a.flv", "b.mp4"):
        make_clip(folder / name, Recipe(frames=2))
    jobs = planned(folder)
    failing = {name: job.settled.reason for name, job in jobs.items() if job.settled}
    assert {name: job.target.name for name, job in jobs.items() if name not in failing} == {
        "a.avi": "a.mkv",
        "b.mp4": "b.mp4",
        "moving.gif": "moving.gif",
    }
    assert list(failing) == ["a.flv"]
    assert "a.flv would become" in failing["a.flv"]
    jobs = planned(folder, "webp")
    assert jobs["moving.gif"] == Job(
        folder / "moving.gif", tmp_path / "out" / "moving.webp", ANIMATION
    )
    jobs = planned(folder, "jpg")
    failing = {name: job.settled.reason for name, job in jobs.items() if job.settled}
    assert set(failing) == {"a.flv", "moving.gif"}
    assert "moving.gif is a clip" in failing["moving.gif"]


def test_an_apng_is_an_animation(tmp_path: Path) -> None:
    images = [Image.fromarray(moving(n, 32, 24)) for n in range(3)]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:])
    (tmp_path / "a.png").rename(tmp_path / "a.apng")
    (job,) = plan_jobs(discover([tmp_path], clips=True), None, label="x2", image_format=None)
    assert (job.image_format, job.target.name) == (ANIMATION, "a.png")


def deep_apng(path: Path) -> Path:
    with av.open(str(path), "w", format="apng") as out:
        video = out.add_stream("apng", rate=10)
        video.width, video.height, video.pix_fmt = 32, 24, "rgb48be"
        for number in range(3):
            pixels = moving(number, 32, 24).astype(np.uint16) * 257
            frame = av.VideoFrame.from_ndarray(pixels, "rgb48le").reformat(format="rgb48be")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


def enlarged(source: Path, target: Path) -> tuple[str, ...]:
    job = Job(source, target, ANIMATION)
    return upscale_animation(job, Doubler(), ClipSettings(), lambda done, total: None)[0]


def test_deep_animations_say_that_they_are_read_with_8_bits(tmp_path: Path) -> None:
    source = deep_apng(tmp_path / "in.png")
    assert any("16 bits become 8" in line for line in enlarged(source, tmp_path / "out.png"))
    assert any("16 bits become 8" in line for line in upscaled(source, tmp_path / "out.mkv"))


@pytest.mark.parametrize("share", [0.3, 0.55, 0.8])
@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_an_animation_that_is_cut_off_is_told_in_plain_words(
    tmp_path: Path, suffix: str, share: float
) -> None:
    source = gif(tmp_path / f"in{suffix}")
    content = source.read_bytes()
    source.write_bytes(content[: int(len(content) * share)])
    try:
        told = " ".join(enlarged(source, tmp_path / f"out{suffix}"))
    except UnreadableVideo as error:
        told = str(error)
    assert "ends early" in told or "damaged" in told or "can be decoded" in told
    for raw in ("out of range", "unpack", "NoneType"):
        assert raw not in told


def test_a_gif_cut_between_frames_is_told(tmp_path: Path) -> None:
    source = gif(tmp_path / "in.gif")
    content = source.read_bytes()
    marks = [n for n in range(len(content)) if content.startswith(b"\x21\xf9\x04", n)]
    source.write_bytes(content[: marks[5]])
    assert len(AnimationReader(source).durations) == 5
    assert any("ends early" in line for line in enlarged(source, tmp_path / "out.gif"))


def test_a_dry_run_looks_into_clips(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Recipe(frames=10))
    (one,) = forecast_clips([Job(source, tmp_path / "out.mp4", CLIP)], ClipSettings(), 2)
    assert (one.size, one.frames, one.pixels) == ((64, 48), 10, 32 * 24 * 10)
    assert one.disk >= source.stat().st_size
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    (bad,) = forecast_clips(
        [Job(tmp_path / "bad.mp4", tmp_path / "o.mp4", CLIP)], ClipSettings(), 2
    )
    assert bad.size is None
    assert "not a supported video" in bad.reason


def test_frames_and_a_clip_are_not_made_at_once(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", Recipe(frames=2))
    done = srcli("upscale", "in.mp4", "--frames-dir", "f", "-o", "o.mkv", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert "--frames-dir f and -o o.mkv exclude each other" in done.stderr
    assert all(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v"])
def test_a_clip_that_starts_fast_still_does(tmp_path: Path, suffix: str) -> None:
    slow = make_clip(tmp_path / f"slow{suffix}", Recipe(frames=5, tones=1))
    upscaled(slow, tmp_path / f"slow_out{suffix}")
    assert not is_fast_start(tmp_path / f"slow_out{suffix}")
    fast = tmp_path / f"fast{suffix}"
    options = {"movflags": "faststart"}
    with av.open(str(slow)) as clip, av.open(str(fast), "w", container_options=options) as out:
        streams = {s.index: out.add_stream_from_template(s) for s in clip.streams}
        for packet in clip.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    assert is_fast_start(fast)
    upscaled(fast, tmp_path / f"out{suffix}")
    assert is_fast_start(tmp_path / f"out{suffix}")
    assert packets(tmp_path / f"out{suffix}", "audio") == packets(fast, "audio")


def test_alpha_that_is_kept_is_not_said_to_be_lost(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as out:
        video = out.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 32, 24, "yuva420p"
        video.metadata["alpha_mode"] = "1"
        frame = av.VideoFrame.from_ndarray(np.full((24, 32, 4), 128, np.uint8), "rgba")
        out.mux([*video.encode(frame.reformat(format="yuva420p")), *video.encode(None)])
    settings = ClipSettings(wanted=EncoderOptions("ffv1"))
    assert upscaled(source, tmp_path / "out.mkv", settings) == ()
    with av.open(str(tmp_path / "out.mkv")) as clip:
        assert next(clip.decode(video=0)).format.name == "yuva420p"


def test_tta_keeps_all_its_samples(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    wave = (np.sin(np.arange(20000) / 9) * 9000).astype(np.int16)
    with av.open(str(source), "w") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 32, 24, "yuv420p"
        sound = out.add_stream("tta", rate=8000)
        sound.layout, sound.format = "mono", "s16"
        frame = av.VideoFrame.from_ndarray(np.zeros((24, 32, 3), np.uint8), "rgb24")
        out.mux([*video.encode(frame.reformat(format="yuv420p")), *video.encode(None)])
        for start in range(0, 20000, 8359):
            piece = av.AudioFrame.from_ndarray(wave[None, start : start + 8359], "s16", "mono")
            piece.sample_rate, piece.pts, piece.time_base = 8000, start, Fraction(1, 8000)
            out.mux(sound.encode(piece))
        out.mux(sound.encode(None))
    (note,) = upscaled(source, tmp_path / "out.mkv")
    assert note.endswith("becomes flac, re-encoded")
    with av.open(str(tmp_path / "out.mkv")) as clip:
        heard = np.concatenate([f.to_ndarray().ravel() for f in clip.decode(audio=0)])
    assert np.array_equal(heard, wave)
