"""Text subtitles in containers that hold other kinds of them."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcli.jobs.clip_source import ClipSettings
from srcli.media.video import DecodeOptions
from srcli.media.video.packets import packets_of
from srcli.media.video.subtitles import Cue, one_after_the_other, read_cues
from tests.video.conftest import Recipe, make_clip, moving, upscaled, watch

MS = Fraction(1, 1000)
Said = list[tuple[int, int, str]]
"""Start and end in ms, and the words."""

LINES: Said = [(40, 120, "<i>ciao</i>, mondo"), (160, 240, "über\nzwei Zeilen")]
STYLES = b"""[Script Info]
ScriptType: v4.00+
[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Italic, Underline, Alignment
Style: Default,Arial,16,&Hffffff,0,0,0,2
Style: Loud,Impact,40,&Hffffff,-1,0,0,8
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def spoken(path: Path, codec: str, lines: Said, header: bytes = STYLES) -> Path:
    """A clip of 15 frames with subtitles, their packets as the file has them."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 32, 24, "yuv420p"
        stream = out.add_mux_stream("subrip") if codec == "subrip" else out.add_stream(codec)
        stream.time_base = MS
        stream.metadata["language"] = "ita"
        if codec != "subrip":
            stream.codec_context.time_base = MS
            stream.codec_context.subtitle_header = header
        for start, end, text in lines:
            packet = av.Packet(text.encode())
            if codec == "mov_text":
                packet = av.Packet(len(text.encode()).to_bytes(2, "big") + text.encode())
            packet.stream, packet.time_base = stream, MS
            packet.pts = packet.dts = start
            packet.duration = end - start
            out.mux(packet)
        for number in range(15):
            frame = av.VideoFrame.from_ndarray(moving(number, 32, 24), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


def read(path: Path) -> Said:
    """Subtitles as a player would show them; styles as ASS's marks."""
    shown: Said = []
    with av.open(str(path)) as clip:
        (stream,) = clip.streams.subtitles
        for packet in clip.demux(stream):
            for line in stream.codec_context.decode(packet) if packet.size else ():
                text = line.ass.decode().split(",", 8)[-1].replace("{\\r}", "{\\i0}")
                start = round(packet.pts * packet.time_base * 1000)
                end = start + round(packet.duration * packet.time_base * 1000)
                shown.append((start, end, text))
    return [line for line in shown if line[2]]


KEPT: Said = [(40, 120, "{\\i1}ciao{\\i0}, mondo"), (160, 240, "über\\Nzwei Zeilen")]


@pytest.mark.parametrize(
    ("suffix", "becomes"),
    [(".mp4", "mov_text"), (".mov", "mov_text"), (".webm", "webvtt"), (".mkv", "srt")],
)
def test_lines_of_matroska_go_anywhere(tmp_path: Path, suffix: str, becomes: str) -> None:
    source, target = spoken(tmp_path / "in.mkv", "subrip", LINES), tmp_path / f"out{suffix}"
    assert read(source) == KEPT
    notes = upscaled(source, target)
    said = [f"{target}: subtitle stream 1 (srt, ita) becomes {becomes}"]
    if becomes == "mov_text":  # of each kind the first stream is shown
        said.append(f"{target}: subtitle stream 1 (srt, ita): is now marked default")
    assert list(notes) == ([] if suffix == ".mkv" else said)
    assert read(target) == KEPT
    seen = watch(target)
    assert seen.kinds[1] == ("subtitle", becomes)
    assert seen.tags[1]["language"] == "ita"


def test_lines_of_mp4_become_subrip_in_matroska(tmp_path: Path) -> None:
    plain = [
        (start, end, text.replace("<i>", "").replace("</i>", "")) for start, end, text in LINES
    ]
    source, target = spoken(tmp_path / "in.mp4", "mov_text", plain), tmp_path / "out.mkv"
    assert upscaled(source, target) == (
        f"{target}: subtitle stream 1 (mov_text, ita) becomes subrip",
    )
    assert read(target) == [(40, 120, "ciao, mondo"), (160, 240, "über\\Nzwei Zeilen")]
    with av.open(str(target)) as clip:
        stored = [bytes(p).decode() for p in clip.demux(clip.streams.subtitles[0]) if p.size]
    assert stored == ["ciao, mondo", "über\nzwei Zeilen"]


def test_what_ass_loses_is_said(tmp_path: Path) -> None:
    lines = [
        (0, 200, "0,0,Loud,,0,0,0,,{\\pos(5,5)}boom"),
        (80, 300, "1,0,Default,,0,0,0,,whisper"),
        (320, 400, "2,0,Default,,0,0,0,,{\\p1}m 0 0 l 9 9{\\p0}"),
    ]
    source, target = spoken(tmp_path / "in.mkv", "ass", lines), tmp_path / "out.mp4"
    note, mark = upscaled(source, target)
    assert mark.endswith("is now marked default")
    assert note.endswith("(ssa, ita) becomes mov_text: places, effects and fonts are lost")
    words = read(target)
    assert [(start, end) for start, end, _ in words] == [(0, 80), (80, 200), (200, 300)]
    assert "boom" in words[0][2]
    assert "boom" in words[1][2]
    assert "whisper" in words[1][2]
    assert words[2][2].endswith("whisper")
    kept = tmp_path / "out.mkv"
    assert upscaled(source, kept) == ()
    assert read(kept) == read(source)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_part_begins_at_nought_though_a_line_began_before(tmp_path: Path, suffix: str) -> None:
    lines: Said = [(0, 300, "long"), (320, 400, "later"), (480, 560, "beyond")]
    source, target = spoken(tmp_path / "in.mkv", "subrip", lines), tmp_path / f"out{suffix}"
    part = DecodeOptions(start=Fraction(1, 5), duration=Fraction(1, 5))
    upscaled(source, target, ClipSettings(reading=part))
    assert watch(target).times == [Fraction(n, 25) for n in range(5)]
    assert read(target)[0] == (0, 100, "long")
    assert read(target)[1][0] == 120
    assert len(read(target)) == 2


def test_images_of_words_are_kept_in_matroska_and_named_elsewhere(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "plain.mkv", Recipe(frames=3))
    with av.open(str(source)) as old, av.open(str(tmp_path / "in.mkv"), "w") as out:
        video = out.add_stream_from_template(old.streams.video[0], opaque=True)
        words = out.add_mux_stream("dvd_subtitle")
        words.time_base = MS
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = video
                out.mux(packet)
        packet = av.Packet(bytes(12))
        packet.stream, packet.time_base = words, MS
        packet.pts = packet.dts = 10
        packet.duration = 20
        out.mux(packet)
    assert upscaled(tmp_path / "in.mkv", tmp_path / "out.mkv") == ()
    (note,) = upscaled(tmp_path / "in.mkv", tmp_path / "out.webm")
    assert "is left out, .webm cannot hold it" in note


times = st.integers(0, 40)


@given(st.lists(st.tuples(times, st.integers(1, 15)), max_size=8))
def test_lines_one_after_the_other_show_what_all_of_them_show(spans: list[tuple[int, int]]) -> None:
    cues = [
        Cue(Fraction(start), Fraction(start + length), "Default", f"<{number}>")
        for number, (start, length) in enumerate(spans)
    ]
    pieces = list(one_after_the_other(cues))
    for before, after in pairwise(pieces):
        assert before.end <= after.start
    for moment in range(60):
        shown = [piece.text.split("\\N") for piece in pieces if piece.start <= moment < piece.end]
        expected = {cue.text for cue in cues if cue.start <= moment < cue.end}
        assert len(shown) == bool(expected)
        assert {line for lines in shown for line in lines} == expected


def test_a_rehearsal_reads_the_beginning_of_the_part(tmp_path: Path) -> None:
    """It stops at the first packet of any stream that is later, however few lines there are."""
    lines = [(0, 40, "first"), (200, 240, "second"), (440, 480, "third")]
    source = spoken(tmp_path / "in.mkv", "subrip", lines)
    part = (Fraction(0), Fraction(1, 10))
    assert [cue.text for cue in read_cues(source, (1,), part)[1]] == ["first"]
    with av.open(str(source)) as clip:
        taken = list(packets_of(clip, (0,), part))
    assert max(packet.pts * packet.time_base for packet in taken) <= Fraction(1, 10)
    assert len(read_cues(source, (1,), None)[1]) == 3
