"""Metadata beside the frames of an animation, loop counts, and memory limits."""

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from srcli.errors import ImageTooLarge
from srcli.inference.report import Report
from srcli.jobs import clip_frames
from srcli.jobs.clip_frames import upscale_animation
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.job import ANIMATION, Job
from srcli.media import Metadata, MetadataPolicy
from srcli.media.video import AnimationReader, AnimationWriter, require_memory
from tests.video.conftest import Doubler, moving

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="52,31.2N" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/webp"/></rdf:RDF></x:xmpmeta>'
)


def exif(orientation: int = 1) -> bytes:
    fields = Image.Exif()
    fields[0x0112] = orientation
    fields[0x010F] = "Somebody's camera"
    fields.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    return fields.tobytes()


def animated(path: Path, *, orientation: int = 1, **options: object) -> Path:
    """Three frames with a profile, EXIF and XMP where the format can hold them."""
    frames = [Image.fromarray(moving(n, 24, 16)) for n in range(3)]
    if path.suffix != ".gif":
        options = {"icc_profile": PROFILE, "exif": exif(orientation), "loop": 2, **options}
    if path.suffix == ".webp":
        options |= {"xmp": PACKET, "lossless": True}
    if path.suffix == ".png":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", PACKET.decode())
        options["pnginfo"] = texts
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=50, **options)
    return path


def larger(
    source: Path,
    target: Path,
    policy: MetadataPolicy = MetadataPolicy(),  # noqa: B008 frozen
) -> tuple[str, ...]:
    job = Job(source, target, ANIMATION)
    return upscale_animation(job, Doubler(), ClipSettings(policy=policy), lambda *_: None)[0]


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_what_is_beside_the_frames_is_kept(tmp_path: Path, suffix: str) -> None:
    source, target = animated(tmp_path / f"in{suffix}"), tmp_path / f"out{suffix}"
    assert larger(source, target) == ()
    with Image.open(target) as made:
        assert made.n_frames == 3
        assert made.info["icc_profile"] == PROFILE
        fields = made.getexif()
        assert fields[0x010F] == "Somebody's camera"
        assert fields.get_ifd(0x8825)[2] == (52.0, 31.0, 12.0)
        assert b"52,31.2N" in made.info["xmp"]


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_no_place_is_left_beside_the_frames(tmp_path: Path, suffix: str) -> None:
    source = animated(tmp_path / f"in{suffix}")
    larger(source, tmp_path / f"placeless{suffix}", MetadataPolicy(gps=False))
    with Image.open(tmp_path / f"placeless{suffix}") as made:
        assert made.info["icc_profile"] == PROFILE
        assert made.getexif()[0x010F] == "Somebody's camera"
        assert not made.getexif().get_ifd(0x8825)
    assert b"GPSLatitude" not in (tmp_path / f"placeless{suffix}").read_bytes()
    larger(source, tmp_path / f"stripped{suffix}", MetadataPolicy(strip=True))
    with Image.open(tmp_path / f"stripped{suffix}") as made:
        assert made.info["icc_profile"] == PROFILE
        assert not made.getexif()
        assert "xmp" not in made.info


def test_what_gif_cannot_hold_is_said(tmp_path: Path) -> None:
    source = animated(tmp_path / "in.webp")
    lines = larger(source, tmp_path / "out.gif")
    assert [line.rpartition(": ")[2] for line in lines] == ["GIF cannot hold it"] * 3
    assert [name in line for name, line in zip(("ICC", "EXIF", "XMP"), lines, strict=True)] == [
        True
    ] * 3
    assert len(larger(source, tmp_path / "bare.gif", MetadataPolicy(strip=True))) == 1
    plain = animated(tmp_path / "in.gif").read_bytes()
    packet = b"\x21\xff\x0bXMP DataXMP" + PACKET + b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
    (tmp_path / "in.gif").write_bytes(plain[:-1] + packet + b";")
    (line,) = larger(tmp_path / "in.gif", tmp_path / "again.gif")
    assert "its XMP is not kept" in line
    assert AnimationReader(source).notes == [f"{source}: ICC profile, EXIF, XMP left out"]


def test_orientation_is_applied_to_frames_too(tmp_path: Path) -> None:
    source = animated(tmp_path / "in.webp", orientation=6)
    reader = AnimationReader(source)
    assert (reader.info.width, reader.info.height) == (16, 24)
    first = next(iter(reader.frames(0, None))).pixels
    assert np.array_equal(first[..., :3], np.rot90(moving(0, 24, 16), k=3))
    larger(source, tmp_path / "out.webp")
    with Image.open(tmp_path / "out.webp") as made:
        assert made.size == (32, 48)
        assert made.getexif()[0x0112] == 1


def test_what_plays_once_plays_once(tmp_path: Path) -> None:
    once = animated(tmp_path / "once.gif")
    assert b"NETSCAPE" not in once.read_bytes()
    assert AnimationReader(once).loop == 1
    larger(once, tmp_path / "out.gif")
    assert b"NETSCAPE" not in (tmp_path / "out.gif").read_bytes()
    assert AnimationReader(tmp_path / "out.gif").loop == 1
    larger(once, tmp_path / "out.webp")
    assert AnimationReader(tmp_path / "out.webp").loop == 1
    forever = animated(tmp_path / "forever.gif", loop=0)
    larger(forever, tmp_path / "ever.gif")
    assert AnimationReader(tmp_path / "ever.gif").loop == 0


@pytest.mark.parametrize(("stored", "times"), [(None, 1), (0, 0), (1, 2), (4, 5)])
def test_a_gif_counts_how_often_more_the_others_in_all(
    tmp_path: Path, stored: int | None, times: int
) -> None:
    source = animated(tmp_path / "in.gif", **({} if stored is None else {"loop": stored}))
    for suffix in (".webp", ".png", ".gif"):
        target = tmp_path / f"out{suffix}"
        larger(source, target)
        with Image.open(target) as made:
            assert made.info.get("loop") == (stored if suffix == ".gif" else times)
        larger(target, tmp_path / "back.gif")
        with Image.open(tmp_path / "back.gif") as made:
            assert made.info.get("loop") == stored


@pytest.mark.parametrize(
    ("durations", "held", "moved"),
    [
        ([33] * 6, [30, 40, 30, 30, 40, 30], 5),
        ([17] * 6, [20] * 6, 18),
        ([40, 100], [40, 100], 0),
        ([100, 5, 5, 90], [100, 20, 20, 60], 30),
    ],
)
def test_a_gif_is_as_fast_as_its_source(
    tmp_path: Path, durations: list[int], held: list[int], moved: int
) -> None:
    frames = [Image.fromarray(moving(n, 24, 16)) for n in range(len(durations))]
    for suffix in (".webp", ".png"):
        source = tmp_path / f"in{suffix}"
        frames[0].save(source, save_all=True, append_images=frames[1:], duration=durations)
        said = [line for line in larger(source, tmp_path / "out.gif") if "hundredths" in line]
        assert AnimationReader(tmp_path / "out.gif").durations == held
        assert bool(said) == bool(moved)
        assert f"up to {moved} ms early or late" in "".join(said) or not moved


def test_a_gif_that_says_almost_nothing_is_as_slow_as_players_show_it(tmp_path: Path) -> None:
    frames = [Image.fromarray(moving(n, 24, 16)) for n in range(3)]
    source = tmp_path / "in.gif"
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=[10, 20, 0])
    assert larger(source, tmp_path / "out.gif") == ()
    assert AnimationReader(tmp_path / "out.gif").durations == [100, 20, 100]


@pytest.mark.parametrize("blend", [0, 1])
def test_a_image_for_those_who_see_no_animation_is_none_of_its_frames(
    tmp_path: Path, blend: int
) -> None:
    still = Image.new("RGBA", (24, 16), (255, 0, 0, 255))
    frames = [Image.new("RGBA", (24, 16)) for _ in range(4)]
    for number, frame in enumerate(frames):
        frame.paste((0, 0, 255, 255), (6 * number, 0, 6 * number + 6, 8))
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    still.save(
        source,
        save_all=True,
        append_images=frames,
        default_image=True,
        duration=[50, 60, 70, 80],
        blend=blend,
        disposal=1,
        loop=3,
    )
    assert larger(source, target) == ()
    made = AnimationReader(target)
    assert (made.durations, made.loop) == ([50, 60, 70, 80], 3)
    for frame, shown in zip(frames, made.frames(0, None), strict=True):
        expected = np.asarray(frame).repeat(2, 0).repeat(2, 1)
        assert np.array_equal(shown.pixels, expected)
    assert len(list(AnimationReader(source).frames(2, None))) == 2


def test_what_does_not_fit_is_refused_before_the_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Never(Doubler):
        def upscale_frames(self, frames: object) -> tuple[list[np.ndarray], Report]:
            raise AssertionError("a frame was computed")

    source = animated(tmp_path / "in.png")
    job = Job(source, tmp_path / "out.png", ANIMATION)
    monkeypatch.setattr(clip_frames, "available_ram", lambda: 3 * 48 * 32 * 4 * 2)
    with pytest.raises(ImageTooLarge, match=r"3 frames of 48x32 .* -o out\.mp4"):
        upscale_animation(job, Never(), ClipSettings(), lambda *_: None)
    target, plenty = tmp_path / "out.webp", 1 << 50
    with pytest.raises(ImageTooLarge, match="limit 4096 megapixels in all"):
        require_memory(target, 600, (3200, 2400), plenty)
    require_memory(target, 200, (3200, 2400), plenty)
    with pytest.raises(ImageTooLarge, match="limit of its format 16383 a side"):
        require_memory(target, 2, (16384, 8), plenty)


def test_frames_are_held_once(tmp_path: Path) -> None:
    writer = AnimationWriter(tmp_path / "out.webp", 0, Metadata())
    for number in range(8):
        writer.add(np.full((256, 256, 4), 20 * number + 5, np.uint8))
    Image.init()  # what Pillow reads once counts elsewhere
    tracemalloc.start()
    try:
        assert writer.finish([40] * 8) == []
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * 256 * 256 * 4 / 2
    with Image.open(io.BytesIO((tmp_path / "out.webp").read_bytes())) as made:
        assert made.n_frames == 8
