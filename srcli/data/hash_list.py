"""The hash list of a set: a JSON file beside its images, sha256 by name."""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srcli.atomic import atomic_file

__all__ = [
    "HASH_LIST",
    "altered_files",
    "is_whole",
    "read_hashes",
    "sha256_of",
    "write_hashes",
    "write_png",
]

HASH_LIST = "manifest.json"
"""Its name, in the folder whose files it lists."""


def read_hashes(path: Path) -> dict[str, str]:
    """sha256 by name; none of a list that cannot be read, so that all is made again."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, str]", found) if isinstance(found, dict) else {}


def write_hashes(path: Path, hashes: Mapping[str, str]) -> None:
    """Write a list, whole or not at all.

    Raises:
        OSError: The disk does not take it.
    """
    with atomic_file(path) as file:
        file.write(json.dumps(hashes, indent=1).encode())


def sha256_of(path: Path) -> str:
    """The sha256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(path: Path, sha256: str | None) -> bool:
    """True if the file is there and has that sha256."""
    return path.is_file() and sha256_of(path) == sha256


def altered_files(hash_list: Path) -> list[str]:
    """The names in a list whose files are missing or have another sha256."""
    hashes = read_hashes(hash_list)
    return [name for name, sha in hashes.items() if not is_whole(hash_list.parent / name, sha)]


def write_png(image: NDArray[np.uint8], path: Path) -> str:
    """Write an image (h, w, 3) as PNG, whole or not at all, and return the file's sha256.

    Raises:
        OSError: The disk does not take it.
    """
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, format="PNG")
    with atomic_file(path) as file:
        file.write(encoded.getbuffer())
    return hashlib.sha256(encoded.getbuffer()).hexdigest()
