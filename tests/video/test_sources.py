"""Numbered images, animations, and frames into a folder."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.errors import UnreadableVideo, UsageError
from srcli.inference.frame_batch import upscale_batch
from srcli.inference.upscaler import Upscaler
from srcli.jobs.clip_frames import upscale_animation, upscale_to_frames
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.discover import discover
from srcli.jobs.job import ANIMATION, CLIP, FRAMES, Job
from srcli.jobs.plan import plan_jobs
from srcli.media import Metadata, read_image
from srcli.media.video import (
    AnimationReader,
    AnimationWriter,
    DecodeOptions,
    EncoderOptions,
    SequenceReader,
)
from srcli.media.video.sequence import as_rgb
from tests.video.conftest import Doubler, Recipe, make_clip, moving, upscaled, watch


def numbered(folder: Path, count: int, size: tuple[int, int] = (32, 24)) -> Path:
    folder.mkdir()
    for number in range(count):
        Image.fromarray(moving(number, *size)).save(folder / f"{number + 7:04}.png")
    return folder / "%04d.png"


def test_numbered_images_become_a_clip(tmp_path: Path) -> None:
    pattern = numbered(tmp_path / "frames", 6)
    (tmp_path / "frames" / "cover.png").write_bytes(b"not numbered")
    (job,) = plan_jobs(discover((pattern,), clips=True), None, label="x2", image_format=None)
    assert job.target == tmp_path / "frames_x2.mp4"
    with pytest.raises(UsageError, match="--fps 24"):
        upscaled(pattern, job.target)
    upscaled(pattern, job.target, ClipSettings(rate=Fraction(24000, 1001)))
    seen = watch(job.target)
    assert seen.times == [Fraction(n * 1001, 24000) for n in range(6)]
    assert np.abs(seen.images[3][::2, ::2].astype(int) - moving(3, 32, 24)).mean() < 12
    part = DecodeOptions(start=Fraction(1, 12), duration=Fraction(1, 8))
    reader = SequenceReader(pattern, Fraction(24), part)
    assert [np.array_equal(f.pixels, moving(n, 32, 24)) for n, f in enumerate(reader.frames(0, None), 2)] == [True] * 3  # fmt: skip # noqa: E501
    numbered(tmp_path / "other", 3, (16, 16))
    (tmp_path / "other" / "0009.png").replace(tmp_path / "frames" / "0013.png")
    with pytest.raises(UnreadableVideo, match="16x16, the frames before it 32x24"):
        upscaled(pattern, tmp_path / "never.mp4", ClipSettings(rate=Fraction(24)))
    with pytest.raises(UnreadableVideo, match="no image has such a name"):
        SequenceReader(tmp_path / "none%d.png", Fraction(24), DecodeOptions())


def test_images_of_all_kinds_come_to_rgb() -> None:
    gray = np.array([[[10], [200]]], np.uint8)
    assert as_rgb(gray, has_alpha=False, deep=False).tolist() == [[[10] * 3, [200] * 3]]
    deep = as_rgb(gray, has_alpha=True, deep=True)
    assert deep.tolist() == [[[2570] * 3 + [65535], [51400] * 3 + [65535]]]
    assert np.array_equal(as_rgb(deep, has_alpha=False, deep=False)[..., :1], gray)


DURATIONS = [40, 100, 200, 70, 30]


def animated(path: Path) -> Path:
    frames = [Image.fromarray(moving(n, 24, 16)) for n in range(5)]
    options = {"disposal": 2} if path.suffix == ".gif" else {}
    if path.suffix == ".webp":
        options = {"lossless": True}
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=DURATIONS, loop=3, **options
    )
    return path


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_keep_their_timing(tmp_path: Path, suffix: str) -> None:
    source = animated(tmp_path / f"in{suffix}")
    (job,) = plan_jobs(discover((source,), clips=True), None, label="x2", image_format=None)
    assert job == Job(source, tmp_path / f"in_x2{suffix}", ANIMATION)
    notes, _ = upscale_animation(job, Doubler(), ClipSettings(), lambda done, total: None)
    assert notes == ()
    before, after = AnimationReader(source), AnimationReader(job.target)
    assert after.durations == before.durations == DURATIONS
    assert after.loop == before.loop
    for old, new in zip(before.frames(0, None), after.frames(0, None), strict=True):
        larger = old.pixels.repeat(2, 0).repeat(2, 1).astype(int)
        assert np.abs(larger - new.pixels).mean() < (6 if suffix == ".gif" else 0.01)


def test_what_is_said_of_clips_leaves_animations_alone(tmp_path: Path) -> None:
    job = Job(animated(tmp_path / "in.gif"), tmp_path / "out.gif", ANIMATION)
    for reading in (
        DecodeOptions(deinterlace=True),
        DecodeOptions(hdr="tonemap"),
        DecodeOptions(hdr="sdr"),
    ):
        upscale_animation(job, Doubler(), ClipSettings(reading), lambda done, total: None)
        assert AnimationReader(job.target).durations == DURATIONS
        job.target.unlink()
    for part in (DecodeOptions(start=Fraction(1)), DecodeOptions(duration=Fraction(1))):
        with pytest.raises(UnreadableVideo, match="an animation is upscaled from its first"):
            upscale_animation(job, Doubler(), ClipSettings(part), lambda done, total: None)


def test_an_animation_becomes_a_clip_if_asked(tmp_path: Path) -> None:
    source = animated(tmp_path / "in.webp")
    (job,) = plan_jobs(
        discover((source,), clips=True), tmp_path / "o.mp4", label="x2", image_format=None
    )
    assert job.image_format == CLIP
    upscaled(source, job.target)
    assert watch(job.target).times == [Fraction(t, 1000) for t in (0, 40, 140, 340, 410)]
    (still,) = plan_jobs(discover((source,), clips=True), None, label="x2", image_format="jpeg")
    assert still.image_format == "jpeg"


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_what_moves_over_nothing_leaves_no_trail(tmp_path: Path, disposal: int) -> None:
    """A square that moves over a transparent ground, however a GIF cleans up behind it."""
    frames = []
    for number in range(4):
        pixels = np.zeros((12, 20, 4), np.uint8)
        pixels[4:8, 5 * number : 5 * number + 4] = (250, 60 * number, 30, 255)
        frames.append(Image.fromarray(pixels))
    source, target = tmp_path / "in.gif", tmp_path / "out.gif"
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=50, disposal=disposal)
    upscale_animation(Job(source, target, ANIMATION), Doubler(), ClipSettings(), lambda *_: None)
    with Image.open(source) as old, Image.open(target) as new:
        assert new.n_frames == 4
        for number in range(4):
            old.seek(number)
            new.seek(number)
            shown = np.asarray(old.convert("RGBA")).repeat(2, 0).repeat(2, 1)
            made = np.asarray(new.convert("RGBA"))
            assert np.array_equal(made[..., 3], shown[..., 3])
            seen = shown[..., 3] > 0
            assert np.abs(made[seen].astype(int) - shown[seen]).max() <= 8


def test_half_transparent_edges_are_cut_in_the_middle(tmp_path: Path) -> None:
    slope = np.zeros((4, 256, 4), np.uint8)
    slope[..., :3] = (200, 30, 90)
    slope[..., 3] = np.arange(256)
    writer = AnimationWriter(tmp_path / "out.gif", 0, Metadata())
    writer.add(slope)
    writer.add(slope[:, ::-1])
    assert ["edges are cut" in line for line in writer.finish([50, 50])] == [True]
    with Image.open(tmp_path / "out.gif") as made:
        pixels = np.asarray(made.convert("RGBA"))
    assert np.array_equal(pixels[0, :, 3] > 0, np.arange(256) >= 128)
    assert (pixels[0, 128:, :3] == (200, 30, 90)).all()


def test_gaps_between_numbers_are_said(tmp_path: Path) -> None:
    pattern = numbered(tmp_path / "frames", 9)
    for number in (8, 11, 12):
        (tmp_path / "frames" / f"{number:04}.png").unlink()
    settings = ClipSettings(rate=Fraction(24))
    (note,) = upscaled(pattern, tmp_path / "out.mp4", settings)
    assert "without 8, 11 to 12; the images around a gap follow each other" in note
    assert len(watch(tmp_path / "out.mp4").times) == 6


def test_a_folder_may_mix_images_and_clips(tmp_path: Path, photo: np.ndarray) -> None:
    root = tmp_path / "mixed"
    root.mkdir()
    Image.fromarray(photo).save(root / "a.png")
    make_clip(root / "b.mov", Recipe(frames=2))
    make_clip(root / "c.avi", Recipe(frames=2))
    animated(root / "d.gif")
    (root / "notes.txt").write_text("hello")
    jobs = plan_jobs(discover((root,), clips=True), None, label="x2", image_format=None)
    assert [(job.target.name, job.image_format) for job in jobs] == [
        ("a.png", "png"),
        ("b.mov", CLIP),
        ("c.mkv", CLIP),
        ("d.gif", ANIMATION),
    ]
    assert [source.path.name for source in discover((root,))] == ["a.png"]


def test_a_clip_is_no_image(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", Recipe(frames=2))
    with pytest.raises(UsageError, match="--frames-dir writes images"):
        plan_jobs(discover((clip,), clips=True), tmp_path / "o.png", label="x2", image_format=None)


def test_frames_into_a_folder(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Recipe(times=[0, 512, 700, 2000]))
    job = Job(source, tmp_path / "frames", FRAMES)
    network = Doubler()
    upscale_to_frames(job, network, ClipSettings(), lambda done, total: None)
    names = sorted(p.name for p in job.target.iterdir() if not p.name.startswith("."))
    assert names == [*(f"{n:06}.png" for n in range(4)), "times.txt"]
    lines = (job.target / "times.txt").read_text().splitlines()
    assert lines[0] == "# timecode format v2"
    assert [float(t) for t in lines[1:]] == [0, 40, 54.6875, 156.25]
    shown = watch(source).images
    for number, image in enumerate(shown):
        pixels = read_image(job.target / f"{number:06}.png").pixels
        assert np.abs(pixels[::2, ::2].astype(int) - image).max() < 20
    (job.target / "000002.png").unlink()
    again = Doubler()
    upscale_to_frames(job, again, ClipSettings(), lambda done, total: None)
    assert (sum(network.given), sum(again.given)) == (4, 1)
    with pytest.raises(UsageError, match="holds other things"):
        upscale_to_frames(job, again, ClipSettings(key={"model": "x"}), lambda done, total: None)


def test_deep_frames_stay_deep(tmp_path: Path) -> None:
    recipe = Recipe(frames=2, pix_fmt="yuv420p10le", size=(32, 32))
    source = make_clip(tmp_path / "in.mkv", recipe)
    job = Job(source, tmp_path / "frames", FRAMES)
    upscale_to_frames(job, Doubler(), ClipSettings(), lambda done, total: None)
    assert read_image(job.target / "000000.png").pixels.dtype == np.uint16
    Path(tmp_path / "again").mkdir()
    pattern = job.target / "%06d.png"
    upscaled(
        pattern, tmp_path / "back.mp4", ClipSettings(rate=Fraction(25), wanted=EncoderOptions())
    )
    assert watch(tmp_path / "back.mp4").images[0].shape == (128, 128, 3)


def test_a_batch_gives_what_each_frame_gives_alone(rng: np.random.Generator) -> None:
    upscaler = Upscaler(scale=2, precision="fp32", effort="balanced")
    frames = [moving(n, 24, 16) for n in range(3)]
    frames[1][:] = rng.integers(0, 256, frames[1].shape)
    together, report = upscale_batch(upscaler.network, frames, 2, upscaler._halting)
    for frame, made in zip(frames, together, strict=True):
        assert np.abs(made.astype(int) - upscaler(frame)).max() <= 1
    assert report.megapixels == pytest.approx(3 * 48 * 32 / 1e6)
    assert len(report.live_windows) == 6
