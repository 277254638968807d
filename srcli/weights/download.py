"""Downloading weights: once, whole, and never anything but what the manifest means."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from srcli.atomic import atomic_file
from srcli.errors import WeightsError
from srcli.weights.entry import Source, WeightsEntry
from srcli.weights.manifest import how_to_get, needs_trust
from srcli.weights.places import file_of
from srcli.weights.policy import Policy, trusted_certificates, without_password
from srcli.weights.records import DownloadRecord, record_file, remember
from srcli.weights.transfer import OnBytes, Refused, transfer
from srcli.weights.verify import FileHashes, fault_of, hashes_of, mismatch

__all__ = ["Convert", "download"]

Convert = Callable[[WeightsEntry, Path], bytes]
"""Makes the content of the safetensors file of a published checkpoint.

Raises `WeightsError` if names, shapes, types or values are not those of the entry's network.
"""


@dataclass(frozen=True)
class _Task:
    """One download: which weights, where they go, and how."""

    entry: WeightsEntry
    policy: Policy
    on_bytes: OnBytes
    convert: Convert | None

    @property
    def path(self) -> Path:
        return file_of(self.entry)

    @property
    def partial(self) -> Path:
        """What has come so far."""
        return self.path.with_name(f".{self.path.name}.part")


def download(
    entry: WeightsEntry,
    policy: Policy,
    on_bytes: OnBytes = lambda done, total: None,
    on_wait: Callable[[], None] = lambda: None,
    convert: Convert | None = None,
) -> Path:
    """Make sure that the file of an entry is here and whole, and return where.

    It is written under a temporary name, which a later call goes on with, and renamed once its
    hash is right. A published checkpoint is converted then, and goes; a record keeps its hash and
    that of the safetensors file. Of several processes one downloads, the others wait for it.

    Args:
        entry: Which weights.
        policy: What the download may do.
        on_bytes: Told how many bytes are there, of how many.
        on_wait: Told once if another process is at it.
        convert: For a published checkpoint.

    Raises:
        WeightsError: It cannot be had, is not what the manifest means, or cannot be kept.
    """
    task = _Task(entry, policy, on_bytes, convert)
    if fault_of(entry) is None:
        return task.path
    _require_permission(entry, policy)
    try:
        task.path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(task.path, on_wait):
            if fault_of(entry) is not None:  # else another process has brought it meanwhile
                _from_anywhere(task)
    except OSError as error:
        raise WeightsError(_disk_trouble(task.path, entry, error)) from error
    return task.path


def _require_permission(entry: WeightsEntry, policy: Policy) -> None:
    """Refuse what must not be downloaded, before anybody is asked for it."""
    if entry.source is not Source.DOWNLOAD:
        raise WeightsError(f"{entry.name} cannot be downloaded: {how_to_get(entry)}")
    if policy.offline:
        by_hand = f"put the file at {file_of(entry)}"
        if entry.converted:
            by_hand = f"bring {entry.file} from elsewhere and srcli weights import it"
        raise WeightsError(
            f"{entry.name} is not here whole, and srcli is told to stay offline: leave --offline "
            f"and SRCLI_OFFLINE away, or {by_hand}"
        )
    if needs_trust(entry) and not policy.trust_first:
        raise WeightsError(
            f"{entry.name}: nobody publishes a hash of it, so that its first download can only be "
            "checked by its structure; hint: --trust-first (or SRCLI_TRUST_FIRST=1) takes it, and "
            "its sha256 counts from then on"
        )


def _from_anywhere(task: _Task) -> None:
    """Ask one address after the other."""
    entry, policy, partial = task.entry, task.policy, task.partial
    if needs_trust(entry):  # no hash would tell that two halves are not of one file
        partial.unlink(missing_ok=True)
    _refuse_without_room(partial, entry)
    troubles: list[str] = []
    hints: list[str] = []
    with _client(policy) as client:
        for address in policy.addresses(entry):
            try:
                _from_address(client, address, task)
            except OSError as error:
                if error.errno == errno.ENOSPC:  # a full disk is not to stay full
                    partial.unlink(missing_ok=True)
                raise
            except WeightsError as trouble:
                troubles.append(str(trouble).replace(address, without_password(address)))
                hints += [trouble.hint] if isinstance(trouble, Refused) and trouble.hint else []
            except (httpx.InvalidURL, httpx.HTTPError, ValueError) as error:  # no address at all
                troubles.append(f"{without_password(address)}: {error}")
            else:
                return
    advice = "".join(f"; hint: {hint}" for hint in dict.fromkeys(hints))
    raise WeightsError(f"{entry.name} could not be downloaded: {'; '.join(troubles)}{advice}")


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


def _from_address(client: httpx.Client, address: str, task: _Task) -> None:
    """Bring the file from one address, check it, and give it its name."""
    entry, partial = task.entry, task.partial
    resumed = partial.exists()
    transfer(client, address, partial, entry.size, task.policy, task.on_bytes)
    found = hashes_of(partial)
    if mismatch(entry, found) and resumed:  # the part from before may be of another file
        partial.unlink()
        transfer(client, address, partial, entry.size, task.policy, task.on_bytes)
        found = hashes_of(partial)
    if fault := mismatch(entry, found):
        partial.unlink()
        raise Refused(f"{address}: {fault}; deleted, not used", _remedy(entry))
    if entry.converted:
        _keep_converted(address, task, found)
        return
    with partial.open("r+b") as file:
        os.fsync(file.fileno())
    partial.replace(task.path)


def _keep_converted(address: str, task: _Task, found: FileHashes) -> None:
    """Make the safetensors file of a checkpoint and remember both; the checkpoint goes."""
    entry, partial = task.entry, task.partial
    if task.convert is None:
        raise WeightsError(f"{entry.name} is a checkpoint that has to be converted, and is not")
    try:
        content = task.convert(entry, partial)
        record = DownloadRecord(
            sha256=found.sha256,
            git_blob=found.git_blob,
            size=found.size,
            converted_sha256=hashlib.sha256(content).hexdigest(),
            converted_size=len(content),
            address=without_password(address),
        )
        remember(entry, record)  # first: without it the file would be worth nothing
        with atomic_file(task.path) as file:
            file.write(content)
    except WeightsError as error:
        said = str(error).replace(str(partial), address)
        raise Refused(f"{said}; deleted, not used") from error
    finally:
        partial.unlink(missing_ok=True)


def _remedy(entry: WeightsEntry) -> str:
    """What may help against a file with another hash."""
    if entry.hash_published:
        return "something on the way, or a mirror, gives another file: try another network"
    return (
        f"if its authors have replaced it and you trust that, srcli weights remove {entry.name} "
        "--forget, then download it again"
    )


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
    needed = entry.size * (2 if entry.converted else 1) - there
    free = shutil.disk_usage(partial.parent).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed} bytes needed, {free} free")


def _disk_trouble(path: Path, entry: WeightsEntry, error: OSError) -> str:
    folder = path.parent
    if error.filename and Path(str(error.filename)).is_relative_to(record_file(entry).parent):
        folder = record_file(entry).parent
    if error.errno == errno.ENOSPC:
        return (
            f"{entry.name} does not fit on the disk of {folder}: {error.strerror}; make room, "
            "or set SRCLI_CACHE to a folder elsewhere"
        )
    return (
        f"{folder}: {entry.name} cannot be written there: {error.strerror or error}; "
        "set SRCLI_CACHE to a folder that can be written"
    )
