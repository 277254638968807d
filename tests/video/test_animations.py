"""What goes beside the frames of an animation, how often it is played, and what fits in memory."""

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
from srcli.jobs.clip_sources import ClipSettings
from srcli.jobs.plan import ANIMATION, Job
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
    assert AnimationReader(once).loop is None
    larger(once, tmp_path / "out.gif")
    assert b"NETSCAPE" not in (tmp_path / "out.gif").read_bytes()
    assert AnimationReader(tmp_path / "out.gif").loop is None
    larger(once, tmp_path / "out.webp")
    assert AnimationReader(tmp_path / "out.webp").loop == 1
    forever = animated(tmp_path / "forever.gif", loop=0)
    larger(forever, tmp_path / "ever.gif")
    assert AnimationReader(tmp_path / "ever.gif").loop == 0


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
    tracemalloc.start()
    try:
        assert writer.finish([40] * 8) == []
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * 256 * 256 * 4 / 2
    with Image.open(io.BytesIO((tmp_path / "out.webp").read_bytes())) as made:
        assert made.n_frames == 8
