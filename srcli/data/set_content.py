"""Checks that what a server gave is the image, or the archive of images, that is meant."""

import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from srcli.atomic import atomic_file
from srcli.data.hash_list import HASH_LIST, is_whole, sha256_of
from srcli.data.images import read_rgb
from srcli.data.set_source import SetPart
from srcli.errors import UnreadableImage
from srcli.transfer.server import Refused

__all__ = ["LARGEST_IMAGE", "check_archive", "checked_image", "unpack"]

LARGEST_IMAGE = 40_000_000
"""Most bytes that an image's file may have."""

_PNG = b"\x89PNG\r\n\x1a\n"


def checked_image(
    path: Path, address: str, part: SetPart, first: str | None
) -> tuple[NDArray[np.uint8], str]:
    """Decode an image, and hold it against the first download.

    Args:
        path: The file.
        address: Where it came from.
        part: What it is of.
        first: The sha256 of the first download; None if this is the first.

    Returns:
        The image (h, w, 3), and the file's sha256.

    Raises:
        Refused: It is no PNG image, not of the sides that are meant, or not that of the first time.
    """
    with path.open("rb") as file:
        start = file.read(len(_PNG))
    if start != _PNG:
        raise Refused(f"{address}: gives {path.stat().st_size} bytes that are no PNG image")
    try:
        image = read_rgb(path)
    except UnreadableImage as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise Refused(f"{address}: is not a whole PNG image: {reason}") from error
    height, width = image.shape[:2]
    multiple = part.side_multiple
    if height % multiple or width % multiple or min(height, width) < part.lr_scale:
        raise Refused(
            f"{address}: is {width}x{height} px, whose sides must be multiples of {multiple}: not "
            "the image that is meant"
        )
    sha256 = sha256_of(path)
    if first is not None and sha256 != first:
        raise Refused(
            f"{address}: sha256 is {sha256}, that of the first download was {first}; deleted, not "
            "used",
            f"if its authors have replaced it and you trust that, delete {part.folder}/{HASH_LIST}",
        )
    return image, sha256


def check_archive(path: Path, address: str, sha256: str) -> None:
    """Hold an archive against its published hash.

    Raises:
        Refused: It has another one.
    """
    if (found := sha256_of(path)) != sha256:
        raise Refused(
            f"{address}: sha256 is {found}, must be {sha256}; deleted, not used",
            "something on the way, or a mirror, gives another file: try another network",
        )


def unpack(
    path: Path, address: str, images: Mapping[str, str], folder: Path, hashes: Mapping[str, str]
) -> dict[str, str]:
    """Write an archive's images that are not there whole; nothing else in it is touched.

    Args:
        path: The archive.
        address: Where it came from.
        images: Names in `folder`, by name in the archive without its folders there.
        folder: Where the images go.
        hashes: sha256 by name in `folder` of those that are there.

    Returns:
        sha256 by name in `folder` of those that were written.

    Raises:
        Refused: It is no archive, or lacks an image.
        OSError: The disk does not take it.
    """
    written: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = {PurePosixPath(one.filename).name: one for one in archive.infolist()}
            for name, target in images.items():
                member = members.get(name)
                if member is None or member.file_size > LARGEST_IMAGE:
                    raise Refused(f"{address}: has no image {name}: not the archive that is meant")
                if not is_whole(folder / target, hashes.get(target)):
                    with atomic_file(folder / target) as image:
                        image.write(archive.read(member))
                    written[target] = sha256_of(folder / target)
    except zipfile.BadZipFile as error:
        raise Refused(f"{address}: is no archive that can be unpacked: {error}") from error
    return written
