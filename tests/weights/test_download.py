"""Downloads against a real server: what comes is whole and right, or nothing comes."""

import hashlib
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from srcli.errors import DownloadError, WeightsError
from srcli.transfer.network_errors import failure_reason
from srcli.transfer.policy import Policy
from srcli.weights.download import download
from srcli.weights.local_files import file_of
from tests.weights.conftest import CONTENT, Server

QUICK = Policy(back_off=0.01, timeout=5)


def files(cache: Path) -> list[str]:
    """Files in the cache, but for the lock that stays beside the file."""
    return sorted(p.name for p in cache.rglob("*") if p.is_file() and p.suffix != ".lock")


@pytest.mark.parametrize("way", ["ok", "slow", "cut", "moved", "busy", "without-ranges"])
def test_what_comes_is_whole(server: Server, cache: Path, way: str) -> None:
    path = download(server.entry(way), QUICK)
    assert path == cache / "weights" / "far.safetensors"
    assert path.read_bytes() == CONTENT
    assert files(cache) == ["far.safetensors"]


def test_it_goes_on_where_it_was_cut_off(server: Server, cache: Path) -> None:
    server.cuts = 3
    seen: list[int] = []
    download(server.entry("cut"), QUICK, lambda done, total: seen.append(done))
    starts = [0, 150_000, 225_000, 262_500]
    assert server.ranges("cut") == ["", *(f"bytes={start}-" for start in starts[1:])]
    assert seen == sorted(seen)
    assert seen[-1] == len(CONTENT)


def test_it_goes_on_where_another_process_was_killed(server: Server, cache: Path) -> None:
    partial = cache / "weights" / ".far.safetensors.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(CONTENT[:100_000])
    download(server.entry("ok"), QUICK)
    assert server.ranges("ok") == ["bytes=100000-"]
    assert files(cache) == ["far.safetensors"]


@pytest.mark.parametrize("left", [b"of another version", CONTENT + b"too much", bytes(300_000)])
@pytest.mark.parametrize("way", ["ok", "no-such-part", "without-ranges"])
def test_a_part_that_is_not_of_it_is_forgotten(
    server: Server, cache: Path, left: bytes, way: str
) -> None:
    server.cuts = 0
    partial = cache / "weights" / ".far.safetensors.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(left)
    assert download(server.entry(way), QUICK).read_bytes() == CONTENT
    assert files(cache) == ["far.safetensors"]


def test_a_wrong_file_is_deleted_and_both_hashes_told(server: Server, cache: Path) -> None:
    with pytest.raises(WeightsError) as told:
        download(server.entry("wrong"), QUICK)
    assert hashlib.sha256(CONTENT).hexdigest() in str(told.value)
    assert hashlib.sha256(bytes(len(CONTENT))).hexdigest() in str(told.value)
    assert files(cache) == []


def test_a_server_that_never_gets_further_is_given_up(server: Server, cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"\(5 times\)"):
        download(server.entry("moody"), QUICK)
    assert len(server.requests) <= 7


def test_a_server_that_falls_silent_is_given_up(server: Server, cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"timed out \(2 times\)"):
        download(server.entry("gated"), replace(QUICK, timeout=1.0, retries=1))
    server.gate.set()  # what has come by then is not lost
    assert (cache / "weights" / ".far.safetensors.part").stat().st_size == len(CONTENT) // 2
    download(server.entry("ok"), QUICK)
    assert server.ranges("ok") == [f"bytes={len(CONTENT) // 2}-"]


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("nowhere", "the server says 404"),
        ("loop", "more than 5 redirects"),
        ("to-file", "file:///etc/hostname: only https"),
        ("to-ftp", "only https addresses"),
        ("to-http", "http is not safe; hint: use https, or --insecure"),
        ("to-nowhere", "not a valid|Invalid IPv6"),
        ("to-nothing", "more than 5 redirects"),
        ("short", "has 26 bytes, must have 300000"),
        ("endless", "gives more than 300000 bytes"),
        ("other-part", "another part of the file"),
        ("always-cut", r"300000.*\(5 times\)"),
    ],
)
def test_what_is_refused(server: Server, cache: Path, way: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        download(server.entry(way), QUICK)
    assert not file_of(server.entry(way)).exists()
    assert all((cache / "weights" / name).stat().st_size == 0 for name in files(cache))


def test_the_second_address_helps_out(server: Server, cache: Path) -> None:
    download(server.entry("nowhere", "wrong", "ok"), QUICK)
    assert [path.split("/")[1] for path, _ in server.requests] == ["nowhere", "wrong", "ok"]


def test_the_mirror_is_asked_first(server: Server, cache: Path) -> None:
    mirror = f"{server.address}/ok/"
    download(server.entry("nowhere"), replace(QUICK, mirror=mirror))
    assert server.requests == [("/ok/far.safetensors", "")]
    file_of(server.entry("ok")).unlink()
    download(server.entry("ok"), replace(QUICK, mirror=f"{server.address}/nowhere"))
    assert [path for path, _ in server.requests[1:]] == [
        "/nowhere/far.safetensors",
        "/ok/far.safetensors",
    ]


def test_offline_asks_nobody(server: Server, cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"srcli is offline; hint: .* or put the file at "):
        download(server.entry("ok"), replace(QUICK, offline=True))
    assert not server.requests
    download(server.entry("ok"), QUICK)
    assert download(server.entry("ok"), replace(QUICK, offline=True)).is_file()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("https://example.org/a", True),
        ("http://127.0.0.1:9/a", True),
        ("http://localhost/a", True),
        ("http://[::1]/a", True),
        ("http://example.org/a", False),
        ("http://127.0.0.1.example.org/a", False),
        ("http://localhost@example.org/a", False),
        ("file:///etc/passwd", False),
        ("ftp://example.org/a", False),
        ("/a", False),
        ("", False),
    ],
)
def test_which_addresses_are_safe(address: str, fine: bool) -> None:
    if fine:
        Policy().check(address)
        return
    with pytest.raises(DownloadError):
        Policy().check(address)
    if not address.startswith("http"):
        with pytest.raises(DownloadError):
            Policy(insecure=True).check(address)
    else:
        Policy(insecure=True).check(address)


def test_nobody_answers(server: Server, cache: Path) -> None:
    entry = replace(server.entry("ok"), urls=("http://127.0.0.1:1/far.safetensors",))
    with pytest.raises(WeightsError, match=r"could not be downloaded: .*refused.*\(5 times\)"):
        download(entry, QUICK)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full: the full disk of Linux")
def test_a_full_disk(server: Server, cache: Path) -> None:
    partial = cache / "weights" / ".far.safetensors.part"
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    with pytest.raises(WeightsError, match=r"does not fit on the disk .* No space left on device"):
        download(server.entry("ok"), QUICK)
    assert files(cache) == []


def test_more_than_the_disk_has_is_not_begun(server: Server, cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"does not fit on the disk .* bytes needed"):
        download(replace(server.entry("ok"), size=1 << 60), QUICK)
    assert not server.requests


def test_a_part_is_kept_for_want_of_room(server: Server, cache: Path) -> None:
    partial = cache / "weights" / ".far.safetensors.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"half of it")
    with pytest.raises(WeightsError, match="bytes needed"):
        download(replace(server.entry("ok"), size=1 << 60), QUICK)
    assert partial.read_bytes() == b"half of it"


def test_a_cache_that_cannot_be_written(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:  # whom permissions do not stop
        if not Path("/sys/kernel").is_dir():
            pytest.skip("root may write everywhere here: there is no /sys")
        monkeypatch.setenv("SRCLI_CACHE", "/sys/kernel/srcli")
    else:
        cache.mkdir(mode=0o555)
    with pytest.raises(WeightsError, match=r"cannot be written there: .* set SRCLI_CACHE"):
        download(server.entry("ok"), QUICK)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of folders")
def test_a_file_in_a_read_only_cache_is_used(server: Server, cache: Path) -> None:
    path = download(server.entry("ok"), QUICK)
    path.parent.chmod(0o555)
    try:
        assert download(server.entry("ok"), QUICK) == path
    finally:
        path.parent.chmod(0o755)
    assert len(server.requests) == 1


def test_a_companys_own_certificates(
    https_server: Server, certificate: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WeightsError, match=r"certificate.*SSL_CERT_FILE"):
        download(https_server.entry("ok"), QUICK)
    with pytest.raises(WeightsError, match="certificate"):
        download(https_server.entry("ok"), replace(QUICK, insecure=True))
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, str(certificate))
            download(https_server.entry("ok"), QUICK).unlink()
    monkeypatch.setenv("SSL_CERT_FILE", str(cache / "nothing.pem"))
    with pytest.raises(WeightsError, match=r"SSL_CERT_FILE=.*nothing\.pem: no certificates there"):
        download(https_server.entry("ok"), QUICK)


def test_the_proxy_of_the_environment(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.address)
    entry = replace(server.entry(), urls=("http://weights.invalid/ok/far.safetensors",))
    download(entry, replace(QUICK, insecure=True)).unlink()
    assert server.requests == [("http://weights.invalid/ok/far.safetensors", "")]
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # and this machine without it
    assert download(server.entry("ok"), QUICK).is_file()
    monkeypatch.setenv("HTTP_PROXY", "gopher://127.0.0.1:1")
    with pytest.raises(WeightsError, match="the proxy of the environment cannot be used"):
        download(replace(entry, file="other"), replace(QUICK, insecure=True))


def test_passwords_are_not_shown(server: Server, cache: Path) -> None:
    mirror = server.address.replace("//", "//me:secret@") + "/nowhere"
    with pytest.raises(WeightsError, match=r"//…@127\.0\.0\.1.*404") as told:
        download(server.entry("nowhere"), replace(QUICK, mirror=mirror))
    assert "secret" not in str(told.value)


def test_a_server_whose_name_has_no_address_is_said_in_words() -> None:
    error = httpx.ConnectError("[Errno -2] Name or service not known")
    error.__cause__ = socket.gaierror(-2, "Name or service not known")
    assert failure_reason(error) == "the server's name cannot be resolved"
    assert failure_reason(OSError("[Errno 111] Connection refused")) == "Connection refused"
