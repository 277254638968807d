"""Downloading weights: once, whole, and never anything but what the manifest means."""

import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from srcli.atomic import atomic_file
from srcli.errors import DownloadError, WeightsError
from srcli.transfer.partial_file import locked, partial_name, require_room
from srcli.transfer.policy import Policy, without_password
from srcli.transfer.remote_file import OnBytes, RemoteFile, transfer_checked
from srcli.transfer.server import HttpClient, Refused, ask_in_turn, http_client
from srcli.weights.hashes import FileHashes, fault_of, hashes_of, mismatch
from srcli.weights.local_files import DownloadRecord, file_of, record_file, remember
from srcli.weights.manifest import how_to_get, needs_trust
from srcli.weights.manifest_file import Source, WeightsEntry

__all__ = ["Convert", "download", "require_trust"]

Convert = Callable[[WeightsEntry, Path], bytes]
"""Makes the content of the safetensors file of a published checkpoint.

Raises `WeightsError` if names, shapes, types or values are not those of the entry's network.
"""

_LARGEST_UNSTATED = 200_000_000  # bytes of a file whose size no manifest states


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
        """Bytes received so far."""
        return partial_name(self.path)


def download(
    entry: WeightsEntry,
    policy: Policy,
    on_bytes: OnBytes = lambda done, total: None,
    on_wait: Callable[[], None] = lambda: None,
    convert: Convert | None = None,
) -> Path:
    """Make sure that the file of an entry is here and whole, and return where.

    It is written under a temporary name, which a later call continues with, and renamed once its
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
        with locked(task.path, on_wait):
            if fault_of(entry) is not None:  # else another process has brought it meanwhile
                _from_anywhere(task)
    except DownloadError as error:
        raise WeightsError(f"{entry.name} could not be downloaded: {error}") from error
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
            f"{entry.name} is not complete on this machine, and srcli is offline; hint: leave "
            f"out --offline and SRCLI_OFFLINE, or {by_hand}"
        )
    require_trust(entry, policy)


def require_trust(entry: WeightsEntry, policy: Policy) -> None:
    """Refuse a first download that nothing verifies, unless that is allowed.

    Raises:
        WeightsError: It is not.
    """
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
    require_room(partial, entry.size, copies=2 if entry.converted else 1)
    with http_client(policy) as client:
        try:
            ask_in_turn(
                policy.addresses(entry.file, entry.urls),
                lambda address: _from_address(client, address, task),
            )
        except OSError as error:
            if error.errno == errno.ENOSPC:  # a full disk is not to stay full
                partial.unlink(missing_ok=True)
            raise


def _from_address(client: HttpClient, address: str, task: _Task) -> None:
    """Bring the file from one address, check it, and give it its name."""
    entry, partial = task.entry, task.partial
    remote = RemoteFile(address, entry.size, _LARGEST_UNSTATED, "srcli weights import FILE")

    def check(path: Path) -> FileHashes:
        found = hashes_of(path)
        if fault := mismatch(entry, found):
            raise Refused(f"{address}: {fault}; deleted, not used", _remedy(entry))
        return found

    found = transfer_checked(client, remote, partial, task.policy, task.on_bytes, check)
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
    """Remedy for a file with another hash."""
    if entry.hash_published:
        return "something on the way, or a mirror, gives another file: try another network"
    return (
        f"if its authors have replaced it and you trust that, srcli weights remove {entry.name} "
        "--forget, then download it again"
    )


def _disk_trouble(path: Path, entry: WeightsEntry, error: OSError) -> str:
    folder = path.parent
    if error.filename and Path(str(error.filename)).is_relative_to(record_file(entry).parent):
        folder = record_file(entry).parent
    if error.errno == errno.ENOSPC:
        return (
            f"{entry.name} does not fit on the disk of {folder}: {error.strerror}; hint: make "
            "room, or set SRCLI_CACHE to a folder elsewhere"
        )
    return (
        f"{folder}: {entry.name} cannot be written there: {error.strerror or error}; "
        "set SRCLI_CACHE to a folder that can be written"
    )
