"""Downloading a benchmark set: every image whole, and held against the first download."""

import errno
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from srcli.data.benchmark_set import BenchmarkSet
from srcli.data.hash_list import (
    HASH_LIST,
    is_whole,
    read_hashes,
    sha256_of,
    write_hashes,
    write_png,
)
from srcli.data.images import read_rgb
from srcli.data.resize import downscale
from srcli.data.set_content import LARGEST_IMAGE, check_archive, checked_image, unpack
from srcli.data.set_source import SetFile, SetPart
from srcli.errors import DownloadError, UnreadableImage, UsageError
from srcli.transfer.partial_file import locked, partial_name, require_room
from srcli.transfer.policy import Policy
from srcli.transfer.remote_file import OnBytes, RemoteFile, transfer_checked
from srcli.transfer.server import HttpClient, Refused, ask_in_turn, http_client

__all__ = ["MIRRORS", "SetProgress", "download_set"]

MIRRORS = ("SRCLI_DATASETS_URL",)
"""The variables that name a mirror of data sets."""


@dataclass(frozen=True)
class SetProgress:
    """Callbacks for the progress of a set's download.

    Args:
        on_begin: Which files are to come.
        on_bytes: How many bytes of a file are there, of how many.
        on_file: That a file is there.
        on_wait: That another process is at it.
    """

    on_begin: Callable[[Sequence[SetFile]], None] = lambda files: None
    on_bytes: OnBytes = lambda done, total: None
    on_file: Callable[[SetFile], None] = lambda file: None
    on_wait: Callable[[], None] = lambda: None


@dataclass
class _Task:
    """One set at one scale, on its way into its folder."""

    title: str
    part: SetPart
    folder: Path
    policy: Policy
    progress: SetProgress
    hashes: dict[str, str]

    def lr_of(self, name: str) -> str:
        """The LR that is made of an HR image; "" if none is."""
        return name.replace("HR/", "LR/", 1) if self.part.lr_scale else ""

    def is_here(self, file: SetFile) -> bool:
        """Tell if all images of a file are there, and whole."""
        return all(
            is_whole(self.folder / one, self.hashes.get(one))
            for name in file.images.values()
            for one in filter(None, (name, self.lr_of(name)))
        )

    def write_list(self) -> None:
        """Write the hash list as far as it goes."""
        write_hashes(self.folder / HASH_LIST, self.hashes)


def download_set(
    one: BenchmarkSet, scale: int, root: Path, policy: Policy, progress: SetProgress
) -> Path:
    """Bring a set's images for one scale; those that are there and whole are kept.

    The first download makes the hash list that later ones, and `datasets verify`, are held
    against. An archive that was cut off continues where it stopped, and is deleted once its images
    are unpacked.

    Args:
        one: Which set.
        scale: HR px per LR px to a side.
        root: The data root; the set goes to ROOT/NAME.
        policy: What the download may do.
        progress: Receives progress.

    Returns:
        The folder of the images, in which the hash list lies.

    Raises:
        UsageError: It cannot be downloaded, or not for that scale.
        DownloadError: The server does not give it, or the disk does not take it.
    """
    if scale not in one.parts:
        have = ", ".join(map(str, one.parts))
        how = f"it is available for the scales {have}" if have else one.command() or one.origin
        raise UsageError(f"{one.name} cannot be downloaded for x{scale}: {how}")
    part = one.parts[scale]
    folder = root / one.name / part.folder
    title = f"{one.name} x{scale}"
    task = _Task(title, part, folder, policy, progress, read_hashes(folder / HASH_LIST))
    if not policy.offline:
        _bring_all(task)
    elif not all(map(task.is_here, part.files)):
        raise DownloadError(
            f"{title} is not complete in {folder}, and srcli is offline; hint: leave out "
            "--offline and SRCLI_OFFLINE, or copy the set's folder from elsewhere"
        )
    return folder


def _bring_all(task: _Task) -> None:
    """Bring all that is missing.

    Raises:
        DownloadError: See `download_set`.
    """
    names = [one for hr in task.part.image_names for one in (hr, task.lr_of(hr)) if one]
    folders = {(task.folder / name).parent for name in names}
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        with locked(task.folder / HASH_LIST, task.progress.on_wait):
            task.hashes = read_hashes(task.folder / HASH_LIST)
            missing = [file for file in task.part.files if not task.is_here(file)]
            if not missing:
                return
            task.progress.on_begin(missing)
            with http_client(task.policy) as client:
                _bring_files(client, missing, task)
    except DownloadError as error:
        raise DownloadError(f"{task.title} could not be downloaded: {error}") from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        where = error.filename or task.folder
        raise DownloadError(
            f"{task.title} cannot be written: {where}: {error.strerror or error}; "
            f"{'make room there, or ' if full else ''}name another place with --data-root (images "
            "that are there are kept)"
        ) from error
    finally:
        for folder in folders:
            with suppress(OSError):  # it has images
                folder.rmdir()


def _bring_files(client: HttpClient, files: Sequence[SetFile], task: _Task) -> None:
    """Bring one file after the other; the hash list holds what has come, however that ends."""
    before = dict(task.hashes)
    try:
        for file in files:
            _bring(client, file, task)
            if not before:  # so that what a killed process leaves is not taken for the set
                task.write_list()
                before = dict(task.hashes)
            task.progress.on_file(file)
    finally:
        if task.hashes != before:
            task.write_list()


def _bring(client: HttpClient, file: SetFile, task: _Task) -> None:
    """Bring one file of the server's, from the first address that has it."""
    bring = _bring_archive if file.is_archive else _bring_image
    addresses = task.policy.addresses(file.mirror_name, (file.url,))
    ask_in_turn(addresses, lambda address: bring(client, address, file, task))


def _bring_image(client: HttpClient, address: str, file: SetFile, task: _Task) -> None:
    """Bring an image, and make its LR; what a run that was cut off has left is kept."""
    name = file.images[""]
    target = task.folder / name
    found = None
    if name not in task.hashes and target.is_file():
        with suppress(Refused):
            found = checked_image(target, str(target), task.part, None)
    image, sha256 = found or _brought_image(client, address, file, task)
    hashes = {name: sha256}
    if lr := task.lr_of(name):
        hashes[lr] = _kept_lr(image, lr, task) or write_png(_reduced(image, task), task.folder / lr)
    task.hashes.update(hashes)


def _brought_image(
    client: HttpClient, address: str, file: SetFile, task: _Task
) -> tuple[NDArray[np.uint8], str]:
    """Bring an image, check it, and give it its name."""
    name = file.images[""]
    target = task.folder / name
    coming = partial_name(target)
    coming.unlink(missing_ok=True)  # no hash would tell that two halves are not of one file
    remote = RemoteFile(address, file.size, LARGEST_IMAGE, f"put it at {target}")
    try:
        found = transfer_checked(
            client, remote, coming, task.policy, task.progress.on_bytes,
            lambda path: checked_image(path, address, task.part, task.hashes.get(name)),
        )  # fmt: skip
        coming.replace(target)
    finally:
        coming.unlink(missing_ok=True)
    return found


def _reduced(image: NDArray[np.uint8], task: _Task) -> NDArray[np.uint8]:
    """The LR of an HR image (h, w, 3), which is cropped to whole LR px first."""
    scale = task.part.lr_scale
    height, width = (side // scale * scale for side in image.shape[:2])
    return downscale(image[:height, :width], scale)


def _kept_lr(image: NDArray[np.uint8], name: str, task: _Task) -> str | None:
    """The sha256 of an LR image that was there before the hash list, if it belongs to its HR."""
    path = task.folder / name
    if name in task.hashes or not path.is_file():
        return None
    try:
        lr = read_rgb(path)
    except UnreadableImage:
        return None
    sides = tuple(side // task.part.lr_scale for side in image.shape[:2])
    return sha256_of(path) if lr.shape[:2] == sides else None


def _bring_archive(client: HttpClient, address: str, file: SetFile, task: _Task) -> None:
    """Bring an archive, and unpack it."""
    coming = partial_name(task.folder / PurePosixPath(file.mirror_name).name)
    by_hand = f"unpack it into {(task.folder / next(iter(file.images.values()))).parent}"
    remote = RemoteFile(address, file.size, file.size, by_hand)
    require_room(coming, file.size, copies=2)
    try:
        transfer_checked(
            client, remote, coming, task.policy, task.progress.on_bytes,
            lambda path: check_archive(path, address, file.sha256),
        )  # fmt: skip
    except OSError as error:
        if error.errno == errno.ENOSPC:  # a full disk is not to stay full
            coming.unlink(missing_ok=True)
        raise
    try:
        task.hashes.update(unpack(coming, address, file.images, task.folder, task.hashes))
    except (OSError, Refused):
        coming.unlink()
        raise
    coming.unlink()
