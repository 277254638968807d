"""Files that are hostile, broken, or not what their names say."""

import re
import socket
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from srcli.errors import ImageTooLarge, UnreadableVideo
from srcli.jobs.clip_source import ClipSettings
from srcli.media.video import ClipReader, DecodeOptions
from srcli.thread_queues import WriteQueue, prefetch
from tests.video.conftest import Doubler, Recipe, make_clip, packets, upscaled, watch


@pytest.fixture
def server() -> object:
    """Listens, and counts who calls."""
    calls: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    continue
                calls.append("called")
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield listening.getsockname()[1], calls
        stop.set()
        thread.join()


@pytest.mark.parametrize("name", ["a.mp4", "a.m3u8", "a.ts", "a.mkv"])
def test_a_playlist_reaches_nothing(tmp_path: Path, server: tuple, name: str) -> None:
    port, calls = server
    secret = make_clip(tmp_path / "secret.mp4", Recipe(frames=3))
    lists = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.ts\n",
        "local": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile {secret}\n",
        "dash": f'<?xml version="1.0"?><MPD><BaseURL>http://127.0.0.1:{port}/</BaseURL></MPD>',
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\n",
    }
    for content in lists.values():
        path = tmp_path / name
        path.write_text(content)
        with pytest.raises(UnreadableVideo, match="not a supported video"):
            ClipReader(path, DecodeOptions())
    assert not calls


@pytest.mark.parametrize("name", ["concat:a.mp4", "http:a.mp4", "-.mp4", "%d.mp4", "a:b?c#d.mp4"])
def test_odd_names_are_names(tmp_path: Path, name: str) -> None:
    make_clip(tmp_path / "plain.mp4", Recipe(frames=3)).rename(tmp_path / name)
    upscaled(tmp_path / name, tmp_path / "out.mp4")
    assert len(watch(tmp_path / "out.mp4").times) == 3


def test_what_is_no_clip_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("hello")
    (tmp_path / "folder.mp4").mkdir()
    whole = make_clip(tmp_path / "whole.mp4", Recipe(frames=3)).read_bytes()
    (tmp_path / "headless.mp4").write_bytes(whole[: len(whole) // 2])
    with av.open(str(tmp_path / "sound.mp4"), "w") as out:
        tone = out.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate = 48000
        out.mux(tone.encode(frame))
        out.mux(tone.encode(None))
    for name, line in {
        "empty.mp4": "empty",
        "text.mp4": "not a supported video",
        "folder.mp4": "a folder",
        "headless.mp4": "not a supported video",
        "sound.mp4": "there is no video in it",
        "missing.mp4": "No such file",
    }.items():
        with pytest.raises(UnreadableVideo, match=line) as caught:
            ClipReader(tmp_path / name, DecodeOptions())
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


def test_a_truncated_clip_keeps_what_decodes_and_says_what_not(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mkv", Recipe(frames=75, options={"g": "10"}))
    data = whole.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) // 2])
    notes = upscaled(cut, tmp_path / "out.mkv")
    kept = len(watch(tmp_path / "out.mkv").times)
    assert 20 < kept < 60
    (note,) = notes
    assert "cut.mkv: damaged" in note
    lost = int(note.split("about ")[1].split(" frames")[0])
    assert abs(lost + kept - 75) <= 2


def test_frames_that_an_avi_repeats_are_not_lost(tmp_path: Path) -> None:
    """It says how many chunks there are; those without anything in them repeat a frame."""
    source = tmp_path / "in.avi"
    shown = [number for number in range(100) if number % 10 < 4]
    with av.open(str(source), "w") as out:
        video = out.add_stream("mpeg4", rate=25, options={"g": "10"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        rng = np.random.default_rng(0)
        for number in shown:
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (48, 64, 3), np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    with av.open(str(source)) as clip:
        assert clip.streams.video[0].frames == shown[-1] + 1
    assert upscaled(source, tmp_path / "out.mkv") == ()
    assert watch(tmp_path / "out.mkv").times == [Fraction(number, 25) for number in shown]
    data = source.read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(data[: len(data) // 2])
    note, *_ = upscaled(cut, tmp_path / "cut.mkv")
    kept = watch(tmp_path / "cut.mkv").times[-1]
    lost = int(note.split("about ")[1].split(" frames")[0])
    assert abs(lost - (shown[-1] - kept * 25)) <= 4


def test_a_corrupt_clip_keeps_what_decodes_and_says_so(tmp_path: Path) -> None:
    recipe = Recipe(frames=40, size=(64, 64), options={"crf": "10", "g": "8", "bf": "0"})
    data = bytearray(make_clip(tmp_path / "whole.mp4", recipe).read_bytes())
    places = np.random.default_rng(3).integers(len(data) // 3, len(data) * 2 // 3, 12)
    for place in places:
        data[place] ^= 0x55
    (tmp_path / "bad.mp4").write_bytes(data)
    notes = upscaled(tmp_path / "bad.mp4", tmp_path / "out.mkv")
    assert notes
    assert all("bad.mp4: " in note and ("lost" in note or "damaged" in note) for note in notes)
    assert len(watch(tmp_path / "out.mkv").times) > 10


def test_sound_that_is_damaged_costs_its_packet_only(tmp_path: Path) -> None:
    data = bytearray(make_clip(tmp_path / "whole.ts", Recipe(frames=25, tones=1)).read_bytes())
    headers = [found.start() for found in re.finditer(rb"\xff[\xf1\xf9]\x4c", bytes(data))]
    for place in headers[10:12]:
        data[place + 2] |= 0x3C  # a sample rate that does not exist
    source = tmp_path / "in.ts"
    source.write_bytes(data)
    heard = len(packets(source, "audio"))
    for suffix in (".mkv", ".mp4"):
        (note,) = upscaled(source, tmp_path / f"out{suffix}")
        assert note.endswith("in.ts: damaged packets of sound and such left out: 1")
        assert len(packets(tmp_path / f"out{suffix}", "audio")) == heard - 1
        assert len(watch(tmp_path / f"out{suffix}").times) == 25


def test_a_size_that_changes_is_refused_before_the_work(tmp_path: Path) -> None:
    path = tmp_path / "changes.h264"
    parts = []
    for number, size in enumerate([(32, 24), (48, 32)]):
        make_clip(tmp_path / f"{number}.h264", Recipe(frames=20, size=size))
        parts.append((tmp_path / f"{number}.h264").read_bytes())
    path.write_bytes(b"".join(parts))
    network = Doubler()
    with pytest.raises(UnreadableVideo, match=r"from 32x24 to 48x32 at 0.8 s, .*--start 0.8"):
        upscaled(path, tmp_path / "out.mkv", network=network)
    assert not network.given
    assert not (tmp_path / "out.mkv").exists()


def test_a_header_that_claims_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "in.mp4", Recipe(frames=2))
    monkeypatch.setattr("srcli.media.video.probe._MEGAPIXELS", 0.0001)
    with pytest.raises(ImageTooLarge, match="frames of 32x24"):
        ClipReader(clip, DecodeOptions())


def test_errors_cross_the_threads() -> None:
    def broken() -> object:
        yield 1
        raise ValueError("read")

    got = []
    with pytest.raises(ValueError, match="read"):
        got.extend(prefetch(broken(), 2))
    assert got == [1]

    def consume(item: int) -> None:
        raise OSError("write")

    def all_of_them() -> None:
        with WriteQueue(consume, 1) as sink:
            for number in range(100):
                sink.put(number)

    with pytest.raises(OSError, match="write"):
        all_of_them()


def test_a_network_that_fails_leaves_no_threads(tmp_path: Path) -> None:
    class Broken(Doubler):
        def upscale_frames(self, frames: list[np.ndarray]) -> object:
            raise MemoryError

    clip = make_clip(tmp_path / "in.mp4", Recipe(frames=30))
    with pytest.raises(MemoryError):
        upscaled(clip, tmp_path / "out.mp4", ClipSettings(), Broken())
    assert not [t.name for t in threading.enumerate() if t.name.startswith("srcli")]
    assert not (tmp_path / "out.mp4").exists()
