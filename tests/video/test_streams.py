"""Everything but the image: sound, subtitles, attachments, chapters, tags, pixel aspect, turn."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from srcli.jobs.clip_source import ClipSettings
from srcli.media import MetadataPolicy
from srcli.media.video import EncoderOptions
from tests.video.conftest import Recipe, make_clip, packets, upscaled, watch

RICH = Recipe(
    frames=12,
    tones=2,
    subtitles=True,
    attachment=True,
    chapters=True,
    title="A clip",
    aspect=Fraction(4, 3),
)


def test_everything_is_kept_in_matroska(tmp_path: Path) -> None:
    source, target = make_clip(tmp_path / "in.mkv", RICH), tmp_path / "out.mkv"
    assert upscaled(source, target, ClipSettings(segment=5)) == ()
    before, after = watch(source), watch(target)
    assert after.kinds == before.kinds
    assert [k for k, _ in after.kinds] == ["video", "audio", "audio", "subtitle", "attachment"]
    for kind in ("audio", "subtitle"):
        assert packets(target, kind) == packets(source, kind)
    for old, new in zip(before.tags, after.tags, strict=True):
        kept = {k: v for k, v in old.items() if k not in ("DURATION", "ENCODER")}
        assert kept.items() <= new.items()
    with av.open(str(source)) as old, av.open(str(target)) as new:
        assert new.metadata["title"] == "A clip"
        assert new.streams.attachments[0].data == b"no font at all"
        assert [c["metadata"] for c in new.chapters()] == [{"title": "one"}, {"title": "two"}]
        assert [c["start"] for c in new.chapters()] == [c["start"] for c in old.chapters()]
        assert new.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_what_mp4_cannot_hold_is_said_for_each(tmp_path: Path) -> None:
    source, target = make_clip(tmp_path / "in.mkv", RICH), tmp_path / "out.mp4"
    notes = upscaled(source, target)
    assert len(notes) == 3
    assert notes[2].endswith("out.mp4: subtitle stream 3 (srt, ita): is now marked default")
    assert notes[0].endswith("out.mp4: subtitle stream 3 (srt, ita) becomes mov_text")
    assert "out.mp4: attachment stream 4 (font.ttf) is left out" in notes[1]
    assert "-o NAME.mkv" in notes[1]
    after = watch(target)
    assert [k for k, _ in after.kinds if k != "data"] == ["video", "audio", "audio", "subtitle"]
    assert [t.get("language") for t in after.tags[:4]] == ["und", "deu", "fra", "ita"]
    with av.open(str(target)) as clip:
        assert [c["metadata"]["title"] for c in clip.chapters()] == ["one", "two"]
        assert clip.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
        assert clip.metadata["title"] == "A clip"


def test_what_webm_cannot_hold_becomes_what_it_can(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", Recipe(frames=3, size=(64, 64), tones=1))
    notes = upscaled(source, tmp_path / "out.webm")
    assert "audio stream 1 (aac, deu) becomes opus, re-encoded" in notes[0]
    after = watch(tmp_path / "out.webm")
    assert after.kinds == [("video", "libdav1d"), ("audio", "opus")]
    assert after.tags[1]["language"] == "deu"


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        *(("h264", ".mkv"), ("hevc", ".mkv"), ("av1", ".mkv"), ("ffv1", ".mkv")),
        *(("av1", ".mp4"), ("prores", ".mov")),
    ],
)
@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(12, 11), Fraction(8, 9)])
def test_the_pixel_aspect_is_kept(
    tmp_path: Path, codec: str, suffix: str, aspect: Fraction
) -> None:
    """In Matroska's head, too, whose sizes and check sum a strict reader goes through."""
    recipe = Recipe(frames=2, size=(64, 64), aspect=aspect)
    source, target = make_clip(tmp_path / "in.mp4", recipe), tmp_path / f"out{suffix}"
    notes = upscaled(source, target, ClipSettings(wanted=EncoderOptions(codec)))
    assert notes == ()
    with av.open(str(target), options={"err_detect": "crccheck+explode"}) as clip:
        video = clip.streams.video[0]
        assert video.sample_aspect_ratio == aspect
        assert len(list(clip.decode(video=0))) == 2
    if suffix == ".mkv":
        assert b"\x54\xb0\x82" in target.read_bytes()


MATRICES = {
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}


def turned(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write a display matrix into the header of an MP4's first track."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    struct.pack_into(">9i", data, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize("degrees", MATRICES)
def test_a_turned_clip_is_shown_as_before(tmp_path: Path, degrees: int) -> None:
    def corner(number: int, width: int, height: int) -> np.ndarray:
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[: height // 2, : width // 2] = 255
        return pixels

    source = make_clip(tmp_path / "in.mp4", Recipe(frames=3, image=corner, aspect=Fraction(4, 3)))
    turned(source, MATRICES[degrees])
    with av.open(str(source)) as clip:
        rotation = next(clip.decode(video=0)).rotation
    assert rotation % 360 == (360 - degrees) % 360
    target = tmp_path / "out.mp4"
    upscaled(source, target)
    shown = np.rot90(corner(0, 32, 24), -degrees // 90)
    after = watch(target)
    assert after.images[0].shape[:2] == (shown.shape[0] * 2, shown.shape[1] * 2)
    larger = shown.repeat(2, 0).repeat(2, 1).astype(int)
    assert np.abs(larger - after.images[0]).mean() < 5
    with av.open(str(target)) as clip:
        stream = clip.streams.video[0]
        assert next(clip.decode(video=0)).rotation == 0
        expected = Fraction(4, 3) if degrees == 180 else Fraction(3, 4)
        assert stream.sample_aspect_ratio == expected


def test_odd_sizes_get_the_line_that_chroma_needs(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "in.mkv",
        Recipe(frames=2, size=(33, 25), codec="ffv1", pix_fmt="yuv444p", options={}),
    )
    target = tmp_path / "out.mkv"

    class Same:
        scale = 1
        batch_for = staticmethod(lambda height, width: 1)
        crop_reach = staticmethod(lambda *, exact: None)

        def upscale_frames(self, frames: list[np.ndarray]) -> tuple[list[np.ndarray], object]:
            from tests.video.conftest import Doubler

            return list(frames), Doubler().upscale_frames(frames)[1]

    upscaled(source, target, network=Same())
    assert watch(target).images[0].shape == (26, 34, 3)
    upscaled(source, tmp_path / "full.mkv", ClipSettings(wanted=EncoderOptions("ffv1")), Same())
    assert watch(tmp_path / "full.mkv").images[0].shape == (25, 33, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_places_of_clips_are_left_out(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"in{suffix}"
    with av.open(str(source), "w") as out:
        out.metadata.update({"location": "+52.5200+013.4050/", "title": "kept"})
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    found: dict[str, dict[str, str]] = {}
    for name, policy in (
        ("kept", MetadataPolicy()),
        ("placeless", MetadataPolicy(gps=False)),
        ("stripped", MetadataPolicy(strip=True)),
    ):
        upscaled(source, tmp_path / f"{name}{suffix}", ClipSettings(policy=policy))
        with av.open(str(tmp_path / f"{name}{suffix}")) as clip:
            found[name] = {key.lower(): value for key, value in clip.metadata.items()}
    assert found["kept"]["location"].startswith("+52.52")
    assert found["placeless"]["title"] == "kept"
    assert "title" not in found["stripped"]
    for name in ("placeless", "stripped"):
        assert not any("location" in key for key in found[name])
        assert b"52.52" not in (tmp_path / f"{name}{suffix}").read_bytes()
