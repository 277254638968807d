"""Several decoder processes at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from srcli.errors import UnreadableImage
from srcli.media import DecodeLimits, DecoderPool, decoder_process

WAITING = """
import os, signal, time
from srcli.media import decoder_worker
whole = decoder_worker.read_image
def read(path, **limits):
    path.with_suffix(".begun").touch()
    while "waits" in path.name and not path.with_name("go").exists(): time.sleep(0.005)
    if "crash" in path.name: os.kill(os.getpid(), signal.SIGKILL)
    return whole(path, **limits)
decoder_worker.read_image = read
decoder_worker.serve()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images of widths 1 to 4; those that are called so wait for a file, or kill their decoder."""
    monkeypatch.setattr(decoder_process, "_PROGRAM", WAITING)
    for width, name in enumerate(("waits0", "waits1", "waits2", "crash"), 1):
        Image.fromarray(np.zeros((3, width, 3), np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def begun(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.begun"))


def wait_for_begun(folder: Path, count: int) -> None:
    while len(begun(folder)) < count:
        time.sleep(0.005)


def test_as_many_images_are_read_at_once_as_are_allowed(folder: Path) -> None:
    paths = [folder / f"waits{number}.png" for number in range(3)]
    with DecoderPool(DecodeLimits()) as decoder, ThreadPoolExecutor(3) as threads:
        results = [threads.submit(decoder.read, path) for path in paths]
        wait_for_begun(folder, 1)
        time.sleep(0.2)
        assert len(begun(folder)) == 1
        decoder.allow(2)
        wait_for_begun(folder, 2)
        time.sleep(0.2)
        assert len(begun(folder)) == 2
        (folder / "go").touch()
        assert [result.result(60).image.width for result in results] == [1, 2, 3]


def test_one_caller_needs_one_process(folder: Path) -> None:
    (folder / "go").touch()
    before = {process.pid for process in psutil.Process().children()}
    with DecoderPool(DecodeLimits(), 4) as decoder:
        for number in range(3):
            assert decoder.probe(folder / f"waits{number}.png").width == number + 1
            decoder.read(folder / f"waits{number}.png")
        assert len([p for p in psutil.Process().children() if p.pid not in before]) == 1
    assert not [p for p in psutil.Process().children() if p.pid not in before]


def test_decoder_crash_fails_only_that_file(folder: Path) -> None:
    with DecoderPool(DecodeLimits(), 2) as decoder, ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(decoder.read, folder / "waits1.png")
        wait_for_begun(folder, 1)
        with pytest.raises(UnreadableImage, match=r"crash\.png.*SIGKILL"):
            decoder.read(folder / "crash.png")
        (folder / "go").touch()
        assert waiting.result(60).image.width == 2


def test_all_reads_end_when_the_run_is_stopped(folder: Path) -> None:
    paths = [folder / f"waits{number}.png" for number in range(3)]
    with DecoderPool(DecodeLimits(), 2) as decoder, ThreadPoolExecutor(3) as threads:
        results = [threads.submit(decoder.read, path) for path in paths]
        wait_for_begun(folder, 2)
        decoder.abandon()
        for result in results:
            with pytest.raises(UnreadableImage, match="the run has been stopped"):
                result.result(60)
    assert not [one for one in threading.enumerate() if one.name.startswith("ThreadPool")]
