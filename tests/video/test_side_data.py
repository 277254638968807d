"""Side data of frames: rotation is applied, and kinds that are not kept are named."""

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.video.conftest import Recipe, make_clip, moving, upscaled, watch


def with_packets(path: Path, codec: str, packets: list[bytes]) -> Path:
    """A clip of 32x24, 25 frames a second, of packets that are made already."""
    with av.open(str(path), "w") as out:
        video = out.add_stream(codec, rate=25, options={"strict": "unofficial"})
        video.width, video.height, video.pix_fmt = 32, 24, "yuvj420p"
        for number, content in enumerate(packets):
            packet = av.Packet(content)
            packet.stream, packet.time_base = video, Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.duration, packet.is_keyframe = 1, True
            out.mux(packet)
    return path


def photograph(number: int, orientation: int, *, profile: bytes = b"") -> bytes:
    """A JPEG as a camera stores it, with EXIF."""
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0110], exif[0x0112] = "Camera", orientation
    image = Image.fromarray(moving(number, 32, 24))
    image.save(stream, "JPEG", quality=95, exif=exif.tobytes(), icc_profile=profile or None)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", [".avi", ".mov", ".mkv"])
def test_motion_jpeg_with_exif_is_read_upright(tmp_path: Path, suffix: str) -> None:
    """PyAV has no name for a frame's EXIF and shows none of its side data then."""
    packets = [photograph(number, 6) for number in range(5)]
    source = with_packets(tmp_path / f"in{suffix}", "mjpeg", packets)
    notes = upscaled(source, tmp_path / "out.mkv")
    assert notes == (f"{source}: not kept of its frames: EXIF",)
    for number, image in enumerate(watch(tmp_path / "out.mkv").images):
        upright = np.rot90(moving(number, 32, 24), 3).astype(int)
        assert image.shape == (64, 48, 3)
        assert np.abs(image[::2, ::2] - upright).mean() < 12


def test_a_profile_that_is_not_applied_is_told(tmp_path: Path) -> None:
    source = with_packets(tmp_path / "in.mov", "mjpeg", [photograph(0, 1, profile=b"p" * 200)])
    (note,) = upscaled(source, tmp_path / "out.mov")
    assert "ICC profile" in note


def captioned(path: Path) -> Path:
    """MPEG-2 with closed captions (ATSC A/53) in every frame."""
    with av.open(str(path), "w", format="mpeg2video") as out:
        video = out.add_stream("mpeg2video", rate=25)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        for number in range(5):
            out.mux(video.encode(av.VideoFrame.from_ndarray(moving(number, 32, 32), "rgb24")))
        out.mux(video.encode(None))
    captions = b"\0\0\1\xb2GA94\3\xc1\xff\xfc\x94\x2c\xff"
    path.write_bytes(path.read_bytes().replace(b"\0\0\1\1", captions + b"\0\0\1\1"))
    return path


def test_closed_captions_in_the_image_are_told(tmp_path: Path) -> None:
    notes = upscaled(captioned(tmp_path / "in.m2v"), tmp_path / "out.mkv")
    assert [n.partition(": ")[2] for n in notes] == ["not kept of its frames: closed captions"]


X265 = "log-level=none:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(9,1)"


@pytest.mark.parametrize(
    ("codec", "options", "told"),
    [
        ("libx264", {"x264-params": "frame-packing=3"}, "stereo marks"),
        ("libx265", {"x265-params": X265}, "data for HDR displays"),
    ],
)
def test_marks_inside_the_image_stream_are_told(
    tmp_path: Path, codec: str, options: dict[str, str], told: str
) -> None:
    source = make_clip(tmp_path / "in.mp4", Recipe(5, (64, 48), codec=codec, options=options))
    (note,) = upscaled(source, tmp_path / "out.mp4")
    assert note == f"{source}: not kept of its frames: {told}"


def turned_by(source: Path, numbers: tuple[int, int, int, int]) -> Path:
    """An MP4 whose display matrix is another; a, b, c, d in 65536ths."""
    content = bytearray(source.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = numbers
    struct.pack_into(">9i", content, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    source.write_bytes(content)
    return source


def test_a_turn_by_an_odd_angle_is_told_and_one_with_rounding_is_followed(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", Recipe(5))
    turned_by(source, (46341, 46341, -46341, 46341))
    (note,) = upscaled(source, tmp_path / "out.mp4")
    assert "rotation by other than quarter turns" in note
    assert watch(tmp_path / "out.mp4").images[0].shape == (48, 64, 3)
    turned_by(source, (3, 65535, -65536, -2))
    assert upscaled(source, tmp_path / "out.mp4") == ()
    assert watch(tmp_path / "out.mp4").images[0].shape == (64, 48, 3)


def test_a_rotation_that_changes_midway_is_told(tmp_path: Path) -> None:
    packets = [photograph(number, 1 if number < 3 else 3) for number in range(6)]
    source = with_packets(tmp_path / "in.mov", "mjpeg", packets)
    notes = upscaled(source, tmp_path / "out.mov")
    assert any("the rotation changes from 0 to -180 at 0.12 s" in note for note in notes)


def test_packets_of_sound_shorter_than_a_millisecond_are_kept(tmp_path: Path) -> None:
    """As those of TrueHD are; Matroska's clock counts in ms."""
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    with av.open(str(source), "w") as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 32, 24, "yuv420p"
        sound = out.add_stream("pcm_s16le", rate=48000)
        sound.codec_context.layout = "mono"
        for number in range(5):
            out.mux(video.encode(av.VideoFrame.from_ndarray(moving(number, 32, 24), "rgb24")))
        out.mux(video.encode(None))
        for number in range(240):
            packet = av.Packet(bytes([number]) * 80)
            packet.stream, packet.time_base = sound, Fraction(1, 48000)
            packet.pts = packet.dts = number * 40
            packet.duration = 40
            out.mux(packet)
    assert upscaled(source, target) == ()
    assert packet_count(target) == packet_count(source) == 240


def packet_count(path: Path) -> int:
    with av.open(str(path)) as clip:
        return sum(bool(packet.size) for packet in clip.demux(audio=0))
