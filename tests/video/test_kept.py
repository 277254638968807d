"""Tags, marks, names and crops: each is kept, or told. docs/video_reference.md holds the table."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from srcli.jobs.clip_source import ClipSettings
from srcli.media import MetadataPolicy
from tests.video.conftest import Recipe, make_clip, upscaled, watch

TABLE = Path(__file__).parents[2] / "docs" / "video_reference.md"
MARKS = {
    "original": av.stream.Disposition.original,
    "commentary": av.stream.Disposition.comment,
    "hearing impaired": av.stream.Disposition.hearing_impaired,
    "visual impaired": av.stream.Disposition.visual_impaired,
    "forced": av.stream.Disposition.forced,
}
APPLE = {
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.model": "iPhone 15",
    "com.apple.quicktime.location.ISO6709": "+10.0000+020.0000/",
    "com.apple.quicktime.creationdate": "2024-05-01T12:34:56+0200",
}


def marked(path: Path, mark: int) -> Path:
    """A clip whose second sound bears a mark and a name."""
    plain = make_clip(path.with_name("plain.mkv"), Recipe(frames=5, tones=2))
    with av.open(str(plain)) as source, av.open(str(path), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
        streams[1].disposition = int(av.stream.Disposition.default)
        streams[2].disposition = mark
        streams[2].metadata.update({"title": "Second", "language": "fra"})
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    return path


def table() -> dict[str, dict[str, str]]:
    """Rows of docs/video_reference.md for each container, by the name of the row."""
    text = TABLE.read_text("utf-8").partition("## What goes into which container")[2]
    lines = text.partition("## ")[0].splitlines()
    rows = [[cell.strip() for cell in x.strip("|").split("|")] for x in lines if x.startswith("|")]
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".webm"])
@pytest.mark.parametrize("mark", MARKS)
def test_marks_are_kept_or_told_as_the_table_says(tmp_path: Path, mark: str, suffix: str) -> None:
    source = marked(tmp_path / "in.mkv", int(MARKS[mark]))
    target = tmp_path / f"out{suffix}"
    notes = [n for n in upscaled(source, target) if "re-encoded" not in n]
    with av.open(str(target)) as clip:
        kept = bool(clip.streams[2].disposition & MARKS[mark])
        names = clip.streams[2].metadata.values()
        assert "Second" in names
    told = [n for n in notes if mark in n and "marks that are not kept" in n]
    assert kept != bool(told)
    assert table()[f"mark {mark}"][suffix] == ("kept" if kept else "told")


def rich(path: Path) -> Path:
    """A clip with all that a row of the table names, but for marks."""
    recipe = Recipe(
        frames=5, tones=1, subtitles=True, attachment=True, chapters=True, title="A clip"
    )
    plain = make_clip(path.with_name("plain.mkv"), recipe)
    with av.open(str(plain)) as source, av.open(str(path), "w") as out:
        out.metadata.update({**source.metadata, "WEATHER": "rain"})
        out.set_chapters(source.chapters())
        streams = {}
        for stream in source.streams:
            streams[stream.index] = added = out.add_stream_from_template(stream)
            added.metadata.update(stream.metadata)
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    return with_language(path, b"a-b")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".webm"])
def test_the_rest_is_kept_or_told_as_the_table_says(tmp_path: Path, suffix: str) -> None:
    source, target = rich(tmp_path / "in.mkv"), tmp_path / f"out{suffix}"
    notes = "\n".join(upscaled(source, target))
    with av.open(str(target)) as clip:
        sound = next(s for s in clip.streams if s.type == "audio")
        words = next(s for s in clip.streams if s.type == "subtitle")
        kept = {
            "title of the clip": clip.metadata.get("title") == "A clip",
            "name of a track": "tone 0" in sound.metadata.values(),
            "language (ISO 639-2)": sound.metadata.get("language") in ("deu", "ger"),
            "other tags of the clip": "rain" in clip.metadata.values(),
            "subtitles not marked default": not int(words.disposition) & 1,
            "attachments": bool(clip.streams.attachments),
            "chapters": [c["metadata"].get("title") for c in clip.chapters()] == ["one", "two"],
        }
    said = {
        "other tags of the clip": "WEATHER",
        "subtitles not marked default": "is now marked default",
        "attachments": "attachment stream",
    }
    for row, found in kept.items():
        assert table()[row][suffix] == ("kept" if found else "told"), row
        assert found or said[row] in notes, row
    assert table()["language (BCP 47)"][suffix] == "told"
    assert "language a-b (BCP 47) becomes" in notes


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".webm"])
def test_apples_metadata_are_kept(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "in.mov"
    plain = make_clip(tmp_path / "plain.mov", Recipe(frames=5))
    options = {"movflags": "use_metadata_tags"}
    with (
        av.open(str(plain)) as clip,
        av.open(str(source), "w", container_options=options) as out,
    ):
        out.metadata.update(APPLE)
        video = out.add_stream_from_template(clip.streams.video[0])
        for packet in clip.demux(video=0):
            if packet.size:
                packet.stream = video
                out.mux(packet)
    target = tmp_path / f"out{suffix}"
    assert upscaled(source, target) == ()
    with av.open(str(target)) as clip:
        found = {key.lower(): value for key, value in clip.metadata.items()}
        assert {key.lower(): value for key, value in APPLE.items()}.items() <= found.items()
    assert table()["Apple's metadata"][suffix] == "kept"
    policy = MetadataPolicy(gps=False)
    upscaled(source, target, ClipSettings(policy=policy))
    assert b"+10.0000" not in target.read_bytes()
    assert b"iPhone 15" in target.read_bytes()


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm"])
def test_attachments_are_kept_or_told(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 32, 24, "yuv420p"
        for number in range(230):
            out.add_attachment(f"{number}.ttf", "font/ttf", b"no font")
        frame = av.VideoFrame.from_ndarray(np.zeros((24, 32, 3), np.uint8), "rgb24")
        out.mux([*video.encode(frame.reformat(format="yuv420p")), *video.encode(None)])
    notes = upscaled(source, tmp_path / f"out{suffix}")
    kept = tmp_path.joinpath(f"out{suffix}").read_bytes().count(b"no font")
    assert kept + sum("attachment" in note for note in notes) == 230
    assert kept == (230 if suffix == ".mkv" else 0)


def with_language(path: Path, tag: bytes) -> Path:
    """The last track's Language element becomes one of BCP 47, of as many bytes."""
    content = path.read_bytes()
    name = b"\x22\xb5\x9c\x83"
    place = content.rindex(name)
    path.write_bytes(content[:place] + b"\x22\xb5\x9d\x83" + tag + content[place + 7 :])
    return path


def test_a_language_that_is_a_region_s_own_is_told(tmp_path: Path) -> None:
    source = with_language(make_clip(tmp_path / "in.mkv", Recipe(frames=5)), b"a-b")
    (note,) = upscaled(source, tmp_path / "out.mkv")
    assert "language a-b (BCP 47) becomes" in note


def test_lines_that_are_not_utf_8_are_kept_and_told(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 32, 24, "yuv420p"
        words = out.add_mux_stream("subrip")
        words.time_base = Fraction(1, 1000)
        out.start_encoding()
        frame = av.VideoFrame.from_ndarray(np.zeros((24, 32, 3), np.uint8), "rgb24")
        out.mux([*video.encode(frame.reformat(format="yuv420p")), *video.encode(None)])
        for number, text in enumerate((b"plain", "déjà vu".encode("latin-1"))):
            packet = av.Packet(text)
            packet.stream, packet.time_base = words, Fraction(1, 1000)
            packet.pts = packet.dts = 10 + 10 * number
            packet.duration = 10
            out.mux(packet)
    notes = upscaled(source, tmp_path / "out.mp4")
    assert "déjà vu".encode() in (tmp_path / "out.mp4").read_bytes()
    assert any("1 lines of subtitle stream 1 are not UTF-8" in note for note in notes)
    assert upscaled(source, tmp_path / "out.mkv") == ()


def framed(number: int, width: int, height: int) -> np.ndarray:
    """Green, with a red rim that a crop takes away."""
    image = np.full((height, width, 3), (220, 16, 16), np.uint8)
    image[16:-16, 16:-16] = (32, 128, 64)
    return image


def clap(width: int, height: int) -> bytes:
    numbers = (width, 1, height, 1, 0, 1, 0, 1)
    return struct.pack(">I4s8i", 40, b"clap", *numbers)


@pytest.mark.parametrize("turned", [False, True])
def test_a_clean_aperture_is_cut_out(tmp_path: Path, turned: bool) -> None:
    """The `pasp` box of a clip gives its place to `clap`, with boxes around it made longer."""
    source = make_clip(
        tmp_path / "in.mp4", Recipe(5, (96, 64), aspect=Fraction(4, 3), image=framed)
    )
    content = bytearray(source.read_bytes())
    moov = content.index(b"moov")
    place = content.index(b"pasp", moov) - 4
    added = clap(64, 32)
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        at = content.index(box, moov) - 4
        size = struct.unpack_from(">I", content, at)[0]
        struct.pack_into(">I", content, at, size + len(added))
    content[place:place] = added
    assert content.index(b"mdat") < moov  # whose places need not change then
    if turned:
        at = content.index(b"tkhd", moov) + 4 + 40
        struct.pack_into(">9i", content, at, 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    source.write_bytes(content)
    assert upscaled(source, tmp_path / "out.mp4") == ()
    for image in watch(tmp_path / "out.mp4").images:
        assert image.shape == ((128, 64, 3) if turned else (64, 128, 3))
        rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert np.abs(rim.astype(int) - (32, 128, 64)).max() < 30
