"""Where a clip was taken is left out of all that travels beside its image."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from srcli.jobs.clip_source import ClipSettings
from srcli.media import MetadataPolicy
from tests.video.conftest import Recipe, make_clip, moving, upscaled

WITHOUT = {"placeless": MetadataPolicy(gps=False), "stripped": MetadataPolicy(strip=True)}


def taken_somewhere(path: Path, cue: bytes) -> Path:
    """A Matroska clip with places in a chapter, two attachments and a subtitle."""
    place = b"<gpx><wpt lat='52.52000' lon='13.40500'/></gpx>"
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 32, 24, "yuv420p"
        words = out.add_mux_stream("subrip")
        out.add_attachment("track.gpx", "application/gpx+xml", place)
        out.add_attachment("letters.ttf", "application/x-truetype-font", b"no font at all")
        tags = {"title": "One", "location": "+52.5200+013.4050/"}
        out.set_chapters(
            [{"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": tags}]
        )
        out.start_encoding()
        packet = av.Packet(cue)
        packet.stream, packet.time_base = words, words.time_base
        packet.pts = packet.dts = 0
        packet.duration = 100
        out.mux(packet)
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(moving(number, 32, 24), "rgb24")
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


@pytest.mark.parametrize("name", WITHOUT)
def test_chapters_attachments_and_subtitles(tmp_path: Path, name: str) -> None:
    source = taken_somewhere(tmp_path / "in.mkv", b"GPS (13.4050, 52.5200, 19) ISO 100")
    assert b"52.52" in source.read_bytes()
    kept, target = tmp_path / "kept.mkv", tmp_path / f"{name}.mkv"
    upscaled(source, kept)
    said = upscaled(source, target, ClipSettings(policy=WITHOUT[name]))
    assert kept.read_bytes().count(b"52.52") == source.read_bytes().count(b"52.52")
    assert b"52.52" not in target.read_bytes()
    assert sum("may hold locations" in note for note in said) == 2
    with av.open(str(target)) as clip:
        kinds = [stream.type for stream in clip.streams]
        chapters = clip.chapters()
    assert kinds == ["video", "attachment"]
    assert chapters[0]["metadata"] == ({} if name == "stripped" else {"title": "One"})


def test_words_without_a_place_stay(tmp_path: Path) -> None:
    source = taken_somewhere(tmp_path / "in.mkv", b"Pi is about 3.1416.")
    upscaled(source, tmp_path / "out.mkv", ClipSettings(policy=MetadataPolicy(gps=False)))
    with av.open(str(tmp_path / "out.mkv")) as clip:
        assert len(clip.streams.subtitles) == 1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_cover_has_places_in_its_exif(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825)[0x001D] = "2026:11:21"
    cover = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(cover, "JPEG", exif=exif)
    plain, source = make_clip(tmp_path / "plain.mp4", Recipe(frames=4)), tmp_path / "in.mp4"
    with av.open(str(plain)) as clip, av.open(str(source), "w") as out:
        video = out.add_stream_from_template(clip.streams.video[0], opaque=True)
        image = out.add_stream("mjpeg")
        image.codec_context.width = image.codec_context.height = 8
        image.codec_context.pix_fmt = "yuvj420p"
        image.disposition = 0x400
        out.start_encoding()
        packet = av.Packet(cover.getvalue())
        packet.stream, packet.pts, packet.dts = image, 0, 0
        out.mux(packet)
        for each in clip.demux(clip.streams.video[0]):
            if each.size:
                each.stream = video
                out.mux(each)
    upscaled(source, tmp_path / f"kept{suffix}")
    said = upscaled(source, tmp_path / f"out{suffix}", ClipSettings(policy=WITHOUT["placeless"]))
    assert b"2026:11:21" in (tmp_path / f"kept{suffix}").read_bytes()
    assert b"2026:11:21" not in (tmp_path / f"out{suffix}").read_bytes()
    assert any("cover image" in note and "places" in note for note in said)
