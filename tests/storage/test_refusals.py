"""Options and names that are refused with URLs, in one line; and connections that are cut."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srcli.errors import StorageError, UsageError
from srcli.storage import abandon_transfers, begin_transfers, download, look_up, upload
from srcli.storage.drivers import ATTEMPTS
from srcli.url_paths import UrlPath, password_of, path_of
from tests.storage.in_memory import SMALL, Ended, copies_left, objects, png

Run = Callable[..., Ended]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srcli.storage.drivers._FIRST_WAIT", 0.0)


@pytest.mark.parametrize(
    "words",
    [
        ("--keep-times",), ("--compare",), ("--open",), ("--follow-links",), ("--fps", "24"),
        ("--frames-dir", "frames"),
    ],
)  # fmt: skip
def test_options_for_files_are_refused(storage: Any, run: Run, words: tuple[str, ...]) -> None:
    storage.pipe_file("/in/a.png", png(1))
    ended = run("upscale", "memory://in", *words, *SMALL)
    assert ended.code == 2
    assert f"{words[0]} is for files of this machine, and memory://in is none" in ended.err


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("memory://absent", "memory://absent does not exist; hint: check the name"),
        ("memory://absent/*.png", "matches nothing; hint: check the pattern"),
        ("https://host/a.png", "srcli reads no web pages; hint: download"),
        ("s4://bucket/in", "s4 is no protocol of storage; hint: s3, gs"),
        ("gs://bucket/in", "the driver for gs is not installed; hint: pip install gcsfs"),
        ("az://bucket/in", "the driver for az is not installed; hint: pip install adlfs"),
        ("s3:///in", "s3:///in names no bucket or host; hint: s3://NAME/FOLDER"),
        ("memory://in/../up", "may not be empty, . or ..; hint: check the URL"),
    ],
)
def test_urls_that_stand_for_nothing(storage: Any, run: Run, url: str, line: str) -> None:
    ended = run("upscale", url, "-o", "memory://out", *SMALL)
    assert ended.code == 2
    assert line in ended.err


def test_the_driver_of_s3_is_an_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(protocol: str) -> None:
        raise ImportError(protocol)

    monkeypatch.setattr("fsspec.get_filesystem_class", absent)
    ended = run("upscale", "s3://bucket/in", *SMALL)
    assert ended.code == 2
    assert "s3://bucket/in: the driver for s3 is not installed; hint: pip install 'srcli[s3]'" in (
        ended.err
    )
    assert run("upscale", "photos", "-o", "s3://bucket/out", *SMALL).err == (
        "srcli: s3://bucket/out: the driver for s3 is not installed; hint: pip install "
        "'srcli[s3]'\n"
    )


def test_a_password_is_never_shown() -> None:
    url = path_of("sftp://zoe:s3cret@host:22/in/a.png")
    assert str(url) == "sftp://zoe@host:22/in/a.png"
    assert isinstance(url, UrlPath)
    assert password_of(url) == "s3cret"
    assert "s3cret" not in repr(url)
    with pytest.raises(UsageError, match="sftp://zoe@host//in") as refused:
        path_of("sftp://zoe:s3cret@host//in//a.png")
    assert "s3cret" not in str(refused.value)


class Cuts:
    """Fails the first calls of a driver's method, as a cut connection does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type, method: str, times: int):
        self.left, self.called = times, 0
        plain = getattr(kind, method)

        def call(driver: Any, *words: Any, **named: Any) -> Any:
            self.called += 1
            if self.left and not (words and "good" in str(words)):
                self.left -= 1
                raise ConnectionResetError("cut")
            return plain(driver, *words, **named)

        monkeypatch.setattr(kind, method, call)


def test_a_cut_connection_is_tried_again(
    storage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.pipe_file("/in/a.png", png(1))
    cuts = Cuts(monkeypatch, type(storage), "cat_file", ATTEMPTS - 1)
    download(UrlPath("memory://in/a.png"), tmp_path / "a.png", lambda found: None)
    assert (tmp_path / "a.png").read_bytes() == png(1)
    assert cuts.called == ATTEMPTS


def test_one_that_stays_cut_fails_its_image_alone(
    storage: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.pipe_file("/in/a.png", png(1))
    storage.pipe_file("/in/good.png", png(2))
    cuts = Cuts(monkeypatch, type(storage), "cat_file", 100)
    ended = run("upscale", "memory://in", *SMALL)
    assert ended.counts() == (1, 0, 1)
    assert f"memory://in/a.png: cannot be read ({ATTEMPTS} times): cut; hint: run again" in (
        ended.err
    )
    assert cuts.called == ATTEMPTS + 1
    cuts.left = 0
    assert run("upscale", "memory://in", *SMALL).counts() == (1, 1, 0)
    assert copies_left() == []


def test_an_upload_that_fails_leaves_nothing_and_is_done_again(
    storage: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.pipe_file("/in/a.png", png(1))
    storage.pipe_file("/in/good.png", png(2))
    cuts = Cuts(monkeypatch, type(storage), "mv", 100)
    assert run("upscale", "memory://in", *SMALL).counts() == (1, 0, 1)
    assert set(objects(storage, "in_x4")) == {"good.png"}
    assert copies_left() == []
    cuts.left = 0
    assert run("upscale", "memory://in", *SMALL).counts() == (1, 1, 0)


def test_a_failed_upload_over_an_older_result_is_done_again(
    storage: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.pipe_file("/in/a.png", png(1))
    run("upscale", "memory://in", *SMALL)
    before = objects(storage, "in_x4")
    cuts = Cuts(monkeypatch, type(storage), "mv", 100)
    storage.pipe_file("/in/a.png", png(3))
    assert run("upscale", "memory://in", *SMALL).code == 3
    assert objects(storage, "in_x4") == before
    cuts.left = 0
    assert run("upscale", "memory://in", *SMALL).counts() == (1, 0, 0)
    assert objects(storage, "in_x4") != before


def test_an_object_beyond_the_limit_is_not_downloaded(
    storage: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.pipe_file("/in/a.png", png(1, side=64))
    read = []
    monkeypatch.setattr(type(storage), "cat_file", lambda *_, **__: read.append(1))
    ended = run("upscale", "memory://in", "--max-file-size", "1K", *SMALL)
    assert ended.code == 3
    assert "limit 1024; raise --max-file-size" in ended.err
    assert read == []


def test_an_object_that_changes_while_it_is_read_is_no_input(
    storage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.pipe_file("/in/a.png", png(1))
    plain = type(storage).cat_file

    def changing(driver: Any, name: str, **limits: Any) -> bytes:
        block = plain(driver, name, **limits)
        driver.pipe_file(name, png(2))
        return block

    monkeypatch.setattr(type(storage), "cat_file", changing)
    with pytest.raises(StorageError, match="changed while it was read"):
        download(UrlPath("memory://in/a.png"), tmp_path / "a.png", lambda found: None)


def test_an_upload_is_whole_or_absent(storage: Any, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(1))
    url = UrlPath("memory://out/sub/a.png")
    assert look_up(url) is None
    found = upload(tmp_path / "a.png", url)
    assert found == look_up(url)
    assert objects(storage, "out") == {"sub/a.png": png(1)}


def test_several_at_once_download_each_object_once(
    storage: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        storage.pipe_file(f"/in/good{number}.png", png(number))
    storage.pipe_file("/in/cut.png", png(9))
    monkeypatch.setattr("srcli.jobs.run_batch.decoders_beside", lambda *_: 3)
    cuts = Cuts(monkeypatch, type(storage), "cat_file", 100)
    assert run("upscale", "memory://in", *SMALL).counts() == (4, 0, 1)
    assert cuts.called == 4 + ATTEMPTS
    assert copies_left() == []


def test_a_disk_without_room_for_a_copy_fails_the_image(
    storage: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.pipe_file("/in/a.png", png(1))
    monkeypatch.setattr("srcli.jobs.local_copies._LEFT_FREE", 1 << 60)
    ended = run("upscale", "memory://in", *SMALL)
    assert ended.code == 3
    assert "MB are free for copies in" in ended.err
    assert "TMPDIR" in ended.err


def test_drivers_are_loaded_when_a_url_is_given() -> None:
    program = """
import sys
import srcli.cli.main, srcli.storage, srcli.jobs.local_copies
print("fsspec" in sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == "False\n", ended.stderr


def test_transfers_that_are_abandoned_end_after_the_present_request(
    storage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.pipe_file("/in/a.png", png(1))
    url = UrlPath("memory://in/a.png")
    cuts = Cuts(monkeypatch, type(storage), "cat_file", 100)
    plain = type(storage).cat_file

    def stopped(*words: Any, **named: Any) -> bytes:
        abandon_transfers()
        return plain(*words, **named)

    monkeypatch.setattr(type(storage), "cat_file", stopped)
    try:
        with pytest.raises(StorageError, match="cannot be read: cut"):
            download(url, tmp_path / "a.png", lambda found: None)
        assert cuts.called == 1
        with pytest.raises(StorageError, match="stopped while it was transferred"):
            download(url, tmp_path / "a.png", lambda found: None)
    finally:
        begin_transfers()
    cuts.left = 0
    monkeypatch.setattr(type(storage), "cat_file", plain)
    assert download(url, tmp_path / "a.png", lambda found: None).size == len(png(1))
