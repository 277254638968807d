"""The decoder's process can crash, hang and starve, and only the file fails."""

import hashlib
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from srcli.errors import ImageTooLarge, UnreadableImage
from srcli.media import (
    DecodeLimits,
    DecoderProcess,
    decoder_process,
    decoder_worker,
    read_image,
    worker_process,
)

FAULTY = """
import os, resource, signal, sys, time
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump takes its time
from srcli.media import decoder_worker
decoder_worker._GRACE_SECONDS = 3600  # or a machine that stands still has files read again
whole = decoder_worker.read_image
def read(path, **limits):
    if "crash" in path.name: os.kill(os.getpid(), signal.SIGSEGV)
    if "exit" in path.name: os._exit(7)
    if "killed" in path.name and ("often" in path.name or not path.with_suffix(".begun").exists()):
        path.with_suffix(".begun").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in path.name:
        path.with_suffix(".begun").touch()
        time.sleep(600)
    if "spin" in path.name:
        while True: pass
    if "bomb" in path.name: return bytearray(1 << 34)
    if "slow" in path.name: time.sleep(1.2)
    if "chatter" in path.name: os.write(1, b"a codec's message\\n")
    return whole(path, **limits)
decoder_worker.read_image = read
decoder_worker.serve()
"""


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_process, "_PROGRAM", FAULTY)


@pytest.fixture
def image(tmp_path: Path, photo: np.ndarray) -> Path:
    Image.fromarray(photo).save(tmp_path / "good.png", dpi=(72, 72))
    return tmp_path / "good.png"


def named(image: Path, name: str) -> Path:
    path = image.with_name(name)
    path.write_bytes(image.read_bytes())
    return path


@pytest.mark.parametrize(
    ("name", "seconds", "line"),
    [
        ("crash.png", 60, "crashed (SIGSEGV)"),
        ("exit.png", 60, "crashed (exit code 7)"),
        ("hang.png", 0.7, "takes longer than 0.7 s"),
        ("spin.png", 0.7, "takes longer than 0.7 s"),
    ],
)
@pytest.mark.usefixtures("faulty")
def test_decoder_crash_or_hang_fails_only_that_file(
    image: Path, name: str, seconds: float, line: str
) -> None:
    with DecoderProcess(DecodeLimits(seconds=60)) as decoder:  # the first start reads all of Python
        decoder.read(image)
        decoder.limits = DecodeLimits(seconds=seconds)
        with pytest.raises(UnreadableImage) as caught:
            decoder.read(named(image, name))
        assert line in str(caught.value)
        assert name in str(caught.value)
        assert decoder.replaced == 1
        decoder.limits = DecodeLimits(seconds=60)
        assert np.array_equal(decoder.read(image).image.pixels, read_image(image).pixels)


@pytest.mark.usefixtures("faulty")
def test_file_whose_decoder_was_killed_is_read_again(image: Path) -> None:
    with DecoderProcess(DecodeLimits()) as decoder:
        assert decoder.read(named(image, "killed.png")).image.width == 56
        assert decoder.replaced == 1
        with pytest.raises(UnreadableImage, match=r"killed twice \(SIGKILL\)") as caught:
            decoder.read(named(image, "killed-often.png"))
        assert "damaged" not in str(caught.value)
        assert decoder.read(image).image.width == 56


@pytest.mark.parametrize("seconds", [float("inf"), 1e10])
def test_time_without_end(image: Path, seconds: float) -> None:
    with DecoderProcess(DecodeLimits(seconds=seconds)) as decoder:
        assert np.array_equal(decoder.read(image).image.pixels, read_image(image).pixels)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited on Linux only")
@pytest.mark.usefixtures("faulty")
def test_an_allocation_bomb(image: Path) -> None:
    with DecoderProcess(DecodeLimits(memory=1 << 30)) as decoder:
        with pytest.raises(ImageTooLarge, match="--max-memory"):
            decoder.read(named(image, "bomb.png"))
        assert decoder.read(image).image.width == 56
        assert decoder.replaced == 0


@pytest.mark.usefixtures("faulty")
def test_what_a_codec_prints_is_no_answer(image: Path) -> None:
    with DecoderProcess(DecodeLimits()) as decoder:
        assert decoder.read(named(image, "chatter.png")).image.width == 56


@pytest.mark.usefixtures("fresh_decoders")
def test_it_is_what_the_plain_reader_gives(samples: list[Path], image: Path) -> None:
    deep = image.with_name("deep.png")
    Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100).save(deep)
    with DecoderProcess(DecodeLimits()) as decoder:
        for path in (*samples, image, deep):
            plain, isolated = read_image(path), decoder.read(path)
            assert np.array_equal(plain.pixels, isolated.image.pixels)
            assert plain.pixels.dtype == isolated.image.pixels.dtype
            assert plain.metadata == isolated.image.metadata
            assert plain.lossless == isolated.image.lossless
            assert isolated.size == path.stat().st_size
            info = decoder.probe(path)
            assert (info.width, info.height) == (plain.width, plain.height)


def test_worker_reads_a_file_once(samples: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    whole = Path.open

    def counted(path: Path, *more: object, **named: object) -> object:
        opened.append(path)
        return whole(path, *more, **named)  # type: ignore[call-overload]

    for path in samples:
        expected = hashlib.sha256(path.read_bytes()).hexdigest(), read_image(path).pixels.tobytes()
        monkeypatch.setattr(Path, "open", counted)
        opened.clear()
        head, parts = decoder_worker._read(path, 512.0, 1 << 30, 0)
        assert len(opened) <= 1
        assert (head["sha256"], bytes(parts[-1])) == expected
        monkeypatch.setattr(decoder_worker, "_READ_WHOLE", 0)  # as of a very large file
        assert decoder_worker._read(path, 512.0, 1 << 30, 0)[0] == head
        monkeypatch.undo()


def test_errors_come_through_as_they_are(tmp_path: Path, image: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").write_bytes(b"")
    with DecoderProcess(DecodeLimits(megapixels=0.001, file_bytes=10_000)) as decoder:
        with pytest.raises(ImageTooLarge, match="megapixels"):
            decoder.read(image)
        with pytest.raises(UnreadableImage, match="pipe or device"):
            decoder.read(tmp_path / "pipe.png")
        with pytest.raises(UnreadableImage, match="empty"):
            decoder.read(tmp_path / "zero.png")
        with pytest.raises(UnreadableImage, match=r"nowhere\.png"):
            decoder.read(tmp_path / "nowhere.png")
        (tmp_path / "long.png").write_bytes(image.read_bytes() + bytes(20_000))
        with pytest.raises(ImageTooLarge, match="--max-file-size"):
            decoder.read(tmp_path / "long.png")
        assert decoder.replaced == 0


@pytest.mark.usefixtures("faulty")
def test_a_suspended_machine_costs_no_time(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of waiting counts little, whatever the clock did while we were stopped."""
    clock = iter(range(0, 10_000_000, 1000))  # every look at it, a quarter of an hour later
    with DecoderProcess(DecodeLimits(seconds=30)) as decoder:
        decoder.read(image)
        monkeypatch.setattr(worker_process.time, "monotonic", lambda: float(next(clock)))
        assert decoder.read(named(image, "slow.png")).image.width == 56
    assert decoder.replaced == 0


@pytest.mark.usefixtures("faulty")
def test_nobody_waits_for_a_run_that_has_stopped(image: Path) -> None:
    with DecoderProcess(DecodeLimits(seconds=300)) as decoder, ThreadPoolExecutor(1) as pool:
        decoder.read(image)
        hanging = named(image, "hang.png")
        waiting = pool.submit(decoder.read, hanging)
        while not hanging.with_suffix(".begun").exists():
            time.sleep(0.01)
        decoder.abandon()
        with pytest.raises(UnreadableImage, match="the run has been stopped"):
            waiting.result(timeout=30)


def test_the_worker_dies_with_its_parent(image: Path) -> None:
    decoder = DecoderProcess(DecodeLimits())
    before = {p.pid for p in psutil.Process().children()}
    decoder.read(image)
    (worker,) = [p for p in psutil.Process().children() if p.pid not in before]
    worker.send_signal(signal.SIGINT)  # Ctrl-C in a terminal reaches it too
    worker.send_signal(signal.SIGTERM)  # and so does what a supervisor sends to the group
    decoder.read(image)
    assert decoder.replaced == 0
    assert worker.status() != psutil.STATUS_ZOMBIE
    decoder.close()
    assert not worker.is_running()
    with pytest.raises(UnreadableImage, match="stopped"):
        decoder.read(image)
