"""The HR images that training crops come from, and their LR counterparts."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srcli.data.resize import downscale, resize
from srcli.errors import UnreadableImage, UsageError

__all__ = ["ImageStore", "Source", "TrainingImage", "find_sources", "image_files", "read_rgb"]

_SUFFIXES = frozenset({".avif", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class Source:
    """An image to train on: a file, as it is or reduced.

    Args:
        path: The file.
        height: HR px used, a multiple of the scale.
        width: HR px used, a multiple of the scale.
        reduced_from: (height, width) of the file if it is to be reduced first.
    """

    path: Path
    height: int
    width: int
    reduced_from: tuple[int, int] | None = None


@dataclass(frozen=True)
class TrainingImage:
    """A decoded pair: hr (s·h, s·w, 3) and lr (h, w, 3), uint8."""

    hr: NDArray[np.uint8]
    lr: NDArray[np.uint8]


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Decode an 8-bit image as (h, w, 3) RGB.

    Raises:
        UnreadableImage: It cannot be decoded, or has more than 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise UnreadableImage(f"{path}: {image.mode} is not 8 bits a channel")
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableImage(f"{path}: {error}") from error


def find_sources(
    folders: Sequence[Path], scale: int, smallest: int, reductions: Sequence[float], large: int
) -> tuple[list[Source], list[str]]:
    """List what the images below `folders` offer, from their headers alone.

    Args:
        folders: Searched to any depth, in this order.
        scale: HR px per LR px; images are cropped to a multiple of it.
        smallest: HR px that each side needs.
        reductions: Factors below 1 by which large photographs are offered once more.
        large: HR px of the shorter side from which a photograph is large.

    Returns:
        The sources, and one line for each file, or folder in a folder, that is of no use.

    Raises:
        UsageError: A folder is not there, or holds no usable image: why, and the first reason.
    """
    sources: list[Source] = []
    useless: list[str] = []
    for folder in folders:
        if not os.path.isdir(folder):  # noqa: PTH112 - which a path too long does not raise for
            raise UsageError(f"no training folder {folder}")
        paths, closed = _images_below(folder)
        broken, small, before = list[str](), list[str](), len(sources)
        for path in paths:
            try:
                with Image.open(path) as image:
                    width, height = image.size
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                broken.append(f"{path}: {error}")
                continue
            if min(height, width) < smallest:
                small.append(f"{path}: {width}x{height} px, a patch takes {smallest}")
                continue
            sources.append(Source(path, height // scale * scale, width // scale * scale))
            if min(height, width) >= large:
                sources.extend(_reduced(path, height, width, reductions, scale, smallest))
        if len(sources) == before:
            raise UsageError(f"{folder} {_nothing_among(broken, small, closed)}")
        useless += closed + broken + small
    return sources, useless


def image_files(folder: Path) -> list[Path]:
    """The files below `folder` that training would read, sorted; closed folders are left out."""
    return _images_below(folder)[0]


def _images_below(folder: Path) -> tuple[list[Path], list[str]]:
    """Files below `folder` with an image's suffix, sorted; and a line for each closed folder."""
    closed: list[OSError] = []
    paths = [
        Path(parent, name)
        for parent, _, names in os.walk(folder, onerror=closed.append)
        for name in names
        if Path(name).suffix.lower() in _SUFFIXES
    ]
    return sorted(paths), [f"{error.filename}: {error.strerror}" for error in closed]


def _nothing_among(broken: Sequence[str], small: Sequence[str], closed: Sequence[str]) -> str:
    """Why a folder cannot be trained on, with the first of the reasons."""
    count = len(broken) + len(small)
    what = f"has no images ({', '.join(sorted(_SUFFIXES))})"
    if count:
        what = (
            f"has nothing to train on: of {count} image{'s' * (count > 1)} {len(broken)} cannot "
            f"be read, {len(small)} too small"
        )
    return "; ".join([what, *[*broken, *small, *closed][:1]])


def _reduced(
    path: Path, height: int, width: int, reductions: Sequence[float], scale: int, smallest: int
) -> Iterator[Source]:
    """The reductions of one photograph that are still large enough."""
    for factor in reductions:
        rows, columns = round(height * factor), round(width * factor)
        if min(rows, columns) >= smallest:
            used = rows // scale * scale, columns // scale * scale
            yield Source(path, *used, reduced_from=(rows, columns))


class ImageStore:
    """Decoded images by number, the recently used ones kept in memory. Thread-safe.

    Args:
        sources: What to decode.
        scale: HR px per LR px.
        budget: Bytes of pixels to keep. LR images, which take longer to make than HR ones take
            to decode, are forgotten last.
    """

    def __init__(self, sources: Sequence[Source], scale: int, budget: int) -> None:
        self.sources = tuple(sources)
        self._scale = scale
        self._budget = budget
        self._hr, self._lr = _Held(), _Held()
        self._lock = threading.Lock()

    def get(self, number: int) -> TrainingImage:
        """The image of source `number`, decoded now if memory does not hold it.

        Raises:
            UnreadableImage: The file cannot be decoded.
        """
        with self._lock:
            hr, lr = self._hr.get(number), self._lr.get(number)
        if hr is None:
            hr = self._decode(self.sources[number])
        if lr is None:
            lr = downscale(hr, self._scale)
        with self._lock:
            self._hr.keep(number, hr)
            self._lr.keep(number, lr)
            self._hr.shrink(self._budget - self._lr.size)
            self._lr.shrink(self._budget - self._hr.size)
        return TrainingImage(hr, lr)

    def all_readable(self, threads: int) -> Iterator[tuple[int, TrainingImage | UnreadableImage]]:
        """All images by number, in order, decoded in threads; the error of an unreadable one."""

        def tried(number: int) -> TrainingImage | UnreadableImage:
            try:
                return self.get(number)
            except UnreadableImage as error:
                return error

        with ThreadPoolExecutor(threads, thread_name_prefix="images") as pool:
            yield from enumerate(pool.map(tried, range(len(self.sources))))

    def _decode(self, source: Source) -> NDArray[np.uint8]:
        image = read_rgb(source.path)
        if source.reduced_from is not None:
            image = resize(image, *source.reduced_from)
        return np.ascontiguousarray(image[: source.height, : source.width])


class _Held:
    """Arrays by number in the order of their use, and their bytes together."""

    def __init__(self) -> None:
        self._arrays: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self.size = 0

    def get(self, number: int) -> NDArray[np.uint8] | None:
        if number in self._arrays:
            self._arrays.move_to_end(number)
        return self._arrays.get(number)

    def keep(self, number: int, array: NDArray[np.uint8]) -> None:
        if number not in self._arrays:
            self._arrays[number] = array
            self.size += array.nbytes

    def shrink(self, budget: int) -> None:
        """Forget those used longest ago, all but the last, until they fit."""
        while self.size > budget and len(self._arrays) > 1:
            _, forgotten = self._arrays.popitem(last=False)
            self.size -= forgotten.nbytes
