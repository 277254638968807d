"""Downloading weights: once, whole, and never anything but what the manifest means."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from srcli.errors import WeightsError
from srcli.weights.entry import Source, WeightsEntry
from srcli.weights.manifest import how_to_get
from srcli.weights.places import file_of
from srcli.weights.policy import Policy, trusted_certificates, without_password
from srcli.weights.transfer import OnBytes, transfer
from srcli.weights.verify import fault_of

__all__ = ["download"]


def download(
    entry: WeightsEntry,
    policy: Policy,
    on_bytes: OnBytes = lambda done, total: None,
    on_wait: Callable[[], None] = lambda: None,
) -> Path:
    """Make sure that the file of an entry is here and whole, and return where.

    It is written under a temporary name, which a later call goes on with, and renamed once its
    sha256 is right. Of several processes one downloads, the others wait for it.

    Args:
        entry: Which weights.
        policy: What the download may do.
        on_bytes: Told how many bytes are there, of how many.
        on_wait: Told once if another process is at it.

    Raises:
        WeightsError: It cannot be had, is not what the manifest means, or cannot be kept.
    """
    path = file_of(entry)
    if fault_of(entry) is None:
        return path
    if entry.source is not Source.DOWNLOAD:
        raise WeightsError(f"{entry.name} cannot be downloaded: {how_to_get(entry)}")
    if policy.offline:
        raise WeightsError(
            f"{entry.name} is not here whole, and srcli is told to stay offline: leave --offline "
            f"and SRCLI_OFFLINE away, or put the file at {path}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path, on_wait):
            if fault_of(entry) is not None:  # else another process has brought it meanwhile
                _from_anywhere(entry, path, policy, on_bytes)
    except OSError as error:
        raise WeightsError(_disk_trouble(path, entry, error)) from error
    return path


def _from_anywhere(entry: WeightsEntry, path: Path, policy: Policy, on_bytes: OnBytes) -> None:
    """Ask one address after the other."""
    partial = path.with_name(f".{path.name}.part")
    _refuse_without_room(partial, entry)
    troubles: list[str] = []
    with _client(policy) as client:
        for address in policy.addresses(entry):
            try:
                _from_address(client, address, entry, path, partial, policy, on_bytes)
            except OSError as error:
                if error.errno == errno.ENOSPC:  # a full disk is not to stay full
                    partial.unlink(missing_ok=True)
                raise
            except WeightsError as trouble:
                troubles.append(str(trouble).replace(address, without_password(address)))
            except (httpx.InvalidURL, httpx.HTTPError, ValueError) as error:  # no address at all
                troubles.append(f"{without_password(address)}: {error}")
            else:
                return
    raise WeightsError(f"{entry.name} could not be downloaded: {'; '.join(troubles)}")


def _client(policy: Policy) -> httpx.Client:
    """Speaks HTTP by way of the proxies of the environment, but directly to this machine."""
    try:
        return httpx.Client(
            headers={"User-Agent": "srcli", "Accept-Encoding": "identity"},
            timeout=policy.timeout,
            verify=trusted_certificates(),
            mounts={f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")},
        )
    except ValueError as error:  # what httpx makes of an address that is none
        raise WeightsError(f"the proxy of the environment cannot be used: {error}") from error


def _from_address(
    client: httpx.Client,
    address: str,
    entry: WeightsEntry,
    path: Path,
    partial: Path,
    policy: Policy,
    on_bytes: OnBytes,
) -> None:
    """Bring the file from one address, check it, and give it its name."""
    resumed = partial.exists()
    transfer(client, address, partial, entry.size, policy, on_bytes)
    digest = _sha256(partial)
    if digest != entry.sha256 and resumed:  # the part from before may be of another file
        partial.unlink()
        transfer(client, address, partial, entry.size, policy, on_bytes)
        digest = _sha256(partial)
    if digest != entry.sha256:
        partial.unlink()
        raise WeightsError(
            f"{address}: sha256 is {digest}, the manifest says {entry.sha256}; deleted, not used"
        )
    with partial.open("r+b") as file:
        os.fsync(file.fileno())
    partial.replace(path)


@contextmanager
def _locked(path: Path, on_wait: Callable[[], None]) -> Generator[None]:
    """Hold the lock that is one for all processes; it lies beside the file."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _refuse_without_room(partial: Path, entry: WeightsEntry) -> None:
    there = partial.stat().st_size if partial.exists() else 0
    free = shutil.disk_usage(partial.parent).free
    if free < entry.size - there:
        raise OSError(errno.ENOSPC, f"{entry.size - there} bytes needed, {free} free")


def _disk_trouble(path: Path, entry: WeightsEntry, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"{entry.name} does not fit on the disk of {path.parent}: {error.strerror}; make room, "
            "or set SRCLI_CACHE to a folder elsewhere"
        )
    return (
        f"{path.parent}: {entry.name} cannot be written there: {error.strerror or error}; "
        "set SRCLI_CACHE to a folder that can be written"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
