"""Getting one file over HTTP: piece by piece, continuing where it stopped, never more than said."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin

import httpx

from srcli.transfer.network_errors import failure_reason, failure_remedy, is_about_certificates
from srcli.transfer.policy import Policy
from srcli.transfer.server import HttpClient, Refused

__all__ = ["OnBytes", "RemoteFile", "transfer", "transfer_checked"]

Checked = TypeVar("Checked")

OnBytes = Callable[[int, int], None]
"""Told how many bytes are there, of how many; of 0 while the server has not said."""

_RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LONGEST_WAIT = 60.0  # s, whatever the server says
_PAGE_START = (b"<!doctype", b"<html", b"<head", b"<?xml")


@dataclass(frozen=True)
class RemoteFile:
    """One file on a server, and what is known of it before it is asked for.

    Args:
        address: Its URL.
        size: Bytes of the whole file; 0 if nobody has published them.
        largest: Most bytes taken of a file whose size is not known.
        by_hand: What to do with the file once a browser has got it, as a command or in words.
    """

    address: str
    size: int
    largest: int
    by_hand: str


class _Interrupted(Exception):
    """It failed, and may continue; `wait` in s if the server said when."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class _Stale(_Interrupted):
    """The partial file cannot be continued."""


def transfer(
    client: HttpClient, remote: RemoteFile, partial: Path, policy: Policy, on_bytes: OnBytes
) -> None:
    """Bring what is missing of a file, until `partial` has all its bytes.

    Args:
        client: From `http_client`; follows no redirects by itself.
        remote: Which file. Where its size is not known, as many bytes as the server says.
        partial: What is there already, perhaps of an earlier process.
        policy: Which addresses are allowed, and how patient to be.
        on_bytes: Told about progress.

    Raises:
        Refused: The address does not have it, or leads where it must not; or it failed too often.
        OSError: The disk does not take it.
    """
    address, size = remote.address, remote.size
    failures = best = 0
    while (there := _size(partial)) != size or not size:
        if 0 < size < there:
            partial.unlink()
            continue
        best = max(best, there)
        try:
            size = _go_on(client, replace(remote, size=size), partial, policy, on_bytes)
            _expect_all(partial, size)
        except (_Interrupted, httpx.TransportError) as error:
            if is_about_certificates(error):
                raise Refused(
                    f"{address}: {failure_reason(error)}",
                    "if your network has a certificate authority of its own, SSL_CERT_FILE names "
                    "its file",
                ) from error
            if isinstance(error, _Stale):
                partial.unlink()
            failures = 1 if _size(partial) > best else failures + 1
            if failures > policy.retries:
                message = f"{address}: {failure_reason(error)} ({failures} times)"
                raise Refused(message, failure_remedy(error)) from error
            wait = error.wait if isinstance(error, _Interrupted) else None
            time.sleep(policy.back_off * 2 ** (failures - 1) if wait is None else wait)


def transfer_checked(
    client: HttpClient,
    remote: RemoteFile,
    partial: Path,
    policy: Policy,
    on_bytes: OnBytes,
    check: Callable[[Path], Checked],
) -> Checked:
    """Bring a file as `transfer` does, and check it; a wrong one is deleted.

    Where a part was there before, it may be of another file: a wrong one is then brought once
    more, from its first byte.

    Args:
        client: See `transfer`.
        remote: See `transfer`.
        partial: See `transfer`.
        policy: See `transfer`.
        on_bytes: See `transfer`.
        check: Raises `Refused` if the file is not the one that is meant.

    Returns:
        What `check` does.

    Raises:
        Refused: See `transfer` and `check`.
        OSError: The disk does not take it.
    """
    resumed = partial.exists()
    transfer(client, remote, partial, policy, on_bytes)
    try:
        return check(partial)
    except Refused:
        partial.unlink()
        if not resumed:
            raise
    transfer(client, remote, partial, policy, on_bytes)
    try:
        return check(partial)
    except Refused:
        partial.unlink()
        raise


def _go_on(
    client: HttpClient, remote: RemoteFile, partial: Path, policy: Policy, on_bytes: OnBytes
) -> int:
    """One request, and as much of its answer as comes.

    Returns:
        Bytes of the whole file.
    """
    there = _size(partial)
    headers = {"Range": f"bytes={there}-"} if there else {}
    with _answer(client, remote.address, headers, policy) as response:
        if not remote.size and _is_whole(response, there):
            return there
        start = _start(response, there, remote.address)
        _refuse_page(response, remote)
        announced = _announced(response, start, remote)
        limit = announced or remote.largest
        with partial.open("r+b" if start else "wb") as file:
            file.seek(start)
            for piece in response.iter_raw():
                if not start and piece.lstrip()[:9].lower().startswith(_PAGE_START):
                    raise _page(remote)
                start += len(piece)
                if start > limit:
                    file.truncate(0)
                    raise Refused(f"{remote.address}: gives more than {limit} bytes")
                file.write(piece)
                on_bytes(start, announced)
    return announced or start


def _announced(response: httpx.Response, start: int, remote: RemoteFile) -> int:
    """Bytes of the whole file: as published, else what the server says; 0 if neither does.

    Raises:
        Refused: The two differ, or it is too large.
    """
    length = response.headers.get("Content-Length", "")
    if not length.isdigit():
        return remote.size
    announced = start + int(length)
    if remote.size and announced != remote.size:
        raise Refused(
            f"{remote.address}: has {announced} bytes, must have {remote.size}: not the file that "
            "is meant"
        )
    if announced > remote.largest and not remote.size:
        raise Refused(
            f"{remote.address}: has {announced} bytes, more than the {remote.largest} that srcli "
            "takes of a file whose size is not published"
        )
    return announced


def _is_whole(response: httpx.Response, there: int) -> bool:
    """Tell if the server says that nothing is missing: no range begins at the file's end."""
    ended = response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and there
    return bool(ended) and response.headers.get("Content-Range", "") == f"bytes */{there}"


def _refuse_page(response: httpx.Response, remote: RemoteFile) -> None:
    """Refuse a web page: what share sites and captive portals answer with instead of the file."""
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise _page(remote)


def _page(remote: RemoteFile) -> Refused:
    return Refused(
        f"{remote.address}: answers with a web page instead of the file",
        "a log-in page of your network, or a share that asks first: open the address in a browser "
        f"once, or get the file there, then {remote.by_hand}",
    )


@contextmanager
def _answer(
    client: HttpClient, address: str, headers: dict[str, str], policy: Policy
) -> Generator[httpx.Response]:
    """Ask, and follow redirects, each checked before it is followed."""
    asked = address
    for _ in range(policy.redirects + 1):
        policy.check(asked)
        with client.stream("GET", asked, headers=headers) as response:
            if response.status_code not in _REDIRECTS:
                yield response
                return
            asked = urljoin(asked, response.headers.get("Location", ""))
    raise Refused(f"{address}: more than {policy.redirects} redirects; is the address right?")


def _start(response: httpx.Response, there: int, address: str) -> int:
    """At which byte the answer begins.

    Raises:
        Refused: There is no such file.
        _Interrupted: The server asks for patience.
    """
    status = response.status_code
    if status == HTTPStatus.OK:
        return 0  # also from a server that knows no ranges
    if status == HTTPStatus.PARTIAL_CONTENT:
        begin = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
        if begin == str(there):
            return there
        raise Refused(f"{address}: gives another part of the file than asked for")
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and there:
        raise _Stale(f"the server does not continue at byte {there}")
    if status in _RETRY_STATUSES:
        wait = response.headers.get("Retry-After", "")
        raise _Interrupted(
            f"the server says {status} {response.reason_phrase}",
            min(float(wait), _LONGEST_WAIT) if wait.isdigit() else None,
        )
    raise Refused(f"{address}: the server says {status} {response.reason_phrase}")


def _expect_all(partial: Path, size: int) -> None:
    if (there := _size(partial)) < size:
        raise _Interrupted(f"the server ended after {there} of {size} bytes")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
