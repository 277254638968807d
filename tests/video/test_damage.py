"""Damage: what decodes is kept, what is missing is told, and no damage ends a clip for good."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from srcli.media.video.coverage import Coverage
from tests.video.conftest import Recipe, make_clip, moving, packets, upscaled, watch


def remuxed(source: Path, target: Path, keep: Callable[[av.Packet], bool]) -> Path:
    """Copy packets into another container, all or some of them."""
    with av.open(str(source)) as clip, av.open(str(target), "w") as out:
        streams = [out.add_stream_from_template(stream) for stream in clip.streams]
        for packet in clip.demux():
            if packet.size and keep(packet):
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    return target


def outside(packet: av.Packet) -> bool:
    return not Fraction(2, 5) <= packet.pts * packet.time_base < Fraction(4, 5)


INTRA = {"crf": "12", "preset": "veryfast", "g": "1", "bf": "0"}


@pytest.mark.parametrize("name", ["in.mkv", "in.flv", "in.nut", "in.ts"])
def test_a_hole_in_image_and_sound_is_told(tmp_path: Path, name: str) -> None:
    recipe = Recipe(30, tones=1, options=INTRA)
    plain = make_clip(tmp_path / "plain.mkv", recipe)
    source = remuxed(plain, tmp_path / name, outside)
    (note,) = upscaled(source, tmp_path / "out.mkv")
    assert "neither image nor sound from 0.4" in note
    assert upscaled(plain, tmp_path / "whole.mkv") == ()


def test_only_holes_in_all_streams_count() -> None:
    """Frames that last, sound that pauses, and streams that lie apart in the file are no holes."""
    clip = Coverage()
    for second in (0, 1, 2, 6, 7, 8):
        clip.add(0, second, 1)
    assert clip.holes() == []  # of one stream
    for tenth in range(80):
        if not 35 <= tenth < 50:
            clip.add(1, tenth / 10, 0.1)
    assert clip.holes() == [(3.5, 5.0)]
    clip.add(1, 3.4, 1.5)
    assert clip.holes() == []


def test_a_packet_that_is_cut_off_is_told(tmp_path: Path) -> None:
    recipe = Recipe(options=INTRA)
    source = remuxed(make_clip(tmp_path / "p.mkv", recipe), tmp_path / "in.flv", lambda p: True)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) * 6 // 10])
    (note,) = upscaled(source, tmp_path / "out.mkv")
    assert "damaged" in note
    assert 3 <= len(watch(tmp_path / "out.mkv").images) <= 6


def test_av1_with_something_behind_it_keeps_all_frames(tmp_path: Path) -> None:
    """Its decoder would take frames along that it still holds when one fails."""
    source = tmp_path / "in.ivf"
    with av.open(str(source), "w") as out:
        video = out.add_stream("libsvtav1", rate=25, options={"preset": "13"})
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        for number in range(12):
            out.mux(video.encode(av.VideoFrame.from_ndarray(moving(number, 64, 64), "rgb24")))
        out.mux(video.encode(None))
    with source.open("ab") as stream:
        stream.write(bytes(range(1, 200)) * 4)
    notes = upscaled(source, tmp_path / "out.mkv")
    assert len(watch(tmp_path / "out.mkv").images) == 12
    assert any("damaged" in note for note in notes)


def test_a_file_whose_index_leads_before_its_start_is_read(tmp_path: Path) -> None:
    """NUT's demuxer looks for an index at the end; what it finds there is no place."""
    source = remuxed(make_clip(tmp_path / "p.mkv", Recipe()), tmp_path / "in.nut", lambda p: True)
    with source.open("ab") as stream:
        stream.write(bytes(range(1, 200)) * 9)
    upscaled(source, tmp_path / "out.mkv")
    assert len(watch(tmp_path / "out.mkv").images) == 10


UNKNOWN = {"audio": (b"A_AAC", b"A_AAX"), "subtitle": (b"S_TEXT/UTF8", b"S_TEXT/UTX8")}


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("kind", UNKNOWN)
def test_a_stream_of_an_unknown_codec_is_left_out_with_a_line(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    source = make_clip(tmp_path / "in.mkv", Recipe(5, tones=1, subtitles=True))
    content = source.read_bytes()
    assert content.count(UNKNOWN[kind][0]) == 1
    source.write_bytes(content.replace(*UNKNOWN[kind]))
    notes = upscaled(source, tmp_path / f"out{suffix}")
    assert any(f"{kind} stream " in note and "(unknown" in note for note in notes)


def test_sound_without_its_header_does_not_end_the_clip(tmp_path: Path) -> None:
    """Matroska takes the stream and refuses it once there is a packet of it."""
    source = make_clip(tmp_path / "in.mkv", Recipe(5, tones=1))
    content = source.read_bytes()
    place = content.index(b"\x63\xa2", content.index(b"A_AAC"))
    size = 3 + (content[place + 2] & 0x7F)
    gap = bytes([0xEC, 0x80 | (size - 2)]) + bytes(size - 2)
    source.write_bytes(content[:place] + gap + content[place + size :])
    notes = upscaled(source, tmp_path / "out.mkv")
    assert len(watch(tmp_path / "out.mkv").images) == 5
    assert notes or packets(tmp_path / "out.mkv", "audio")
