"""`python -m srcli.training.pack FOLDER… --out DIR`: training images small enough to travel.

All images of some folders become AVIF without subsampling of colour, at the highest quality at
which they fit a given size together. `data.folders = ["DIR"]` trains on them. Files beside the
images that are small texts, as attributions and licences, travel along.
"""

import argparse
import io
import math
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, features

from srcli.atomic import atomic_file
from srcli.data.images import image_files, read_rgb
from srcli.errors import ExitCode, UnreadableImage, UsageError, cannot_write
from srcli.training.process import run_program

__all__ = ["Packed", "pack"]

_QUALITIES = range(30, 101)
_TEXTS = frozenset({".csv", ".json", ".md", ".toml", ".txt", ""})
_LARGEST_TEXT = 200_000  # bytes
_SAMPLE = 12  # images by which the quality is first chosen
_MIB = 1 << 20


@dataclass(frozen=True)
class Packed:
    """Result of packing: images, size, quality.

    Args:
        images: How many.
        pixels: Of all of them.
        size: Bytes of the images.
        quality: AVIF's, 0..100.
        psnr: Of all pixels against the originals, RGB, dB.
        worst: Of the image that lost most.
    """

    images: int
    pixels: int
    size: int
    quality: int
    psnr: float
    worst: float

    def __str__(self) -> str:
        return (
            f"{self.images} images, {self.pixels / 1e6:.1f} megapixels: {self.size / _MIB:.1f} MiB "
            f"of AVIF 4:4:4 at quality {self.quality}, PSNR {self.psnr:.2f} dB (RGB; worst image "
            f"{self.worst:.2f})"
        )


@dataclass(frozen=True)
class _Encoded:
    """One image: where it goes, its bytes, its pixels, and the mean square error."""

    target: Path
    content: bytes
    pixels: int
    error: float


def pack(folders: Sequence[Path], out: Path, mib: float) -> Packed:
    """Pack all images below some folders, and write into `out`.

    Args:
        folders: Searched to any depth; each becomes a folder of its name in `out`.
        out: Made; it must be empty or not there.
        mib: What the images may take together, MiB.

    Raises:
        UsageError: There is nothing to pack, `out` is of no use, or the size is too small.
    """
    if not features.check("avif"):
        raise UsageError(
            "this Pillow has no AVIF; hint: pack on a machine whose Pillow does (11.3 on)"
        )
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty; hint: name another folder, or remove it first")
    if len({folder.name for folder in folders}) != len(folders):
        raise UsageError(
            "two folders have one name; hint: rename one, each gets a folder of its name"
        )
    pairs = [pair for folder in folders for pair in _targets(folder, out)]
    if not pairs:
        raise UsageError(f"no images in {', '.join(map(str, folders))}")
    room = mib * _MIB
    quality = _first_guess(pairs, room)
    while True:
        encoded = list(_encode(pairs, quality))
        size = sum(len(one.content) for one in encoded)
        if size <= room:
            break
        if quality == _QUALITIES[0]:
            raise UsageError(
                f"{len(encoded)} images take {size / _MIB:.1f} MiB at quality {quality}, more than "
                f"{mib:g}; hint: a larger --size, or fewer images"
            )
        quality = max(quality - 1 - int(8 * (size / room - 1)), _QUALITIES[0])
    for one in encoded:
        one.target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(one.target) as file:
            file.write(one.content)
    _copy_texts(folders, out)
    pixels = sum(one.pixels for one in encoded)
    error = sum(one.error * one.pixels for one in encoded) / pixels
    worst = max(one.error for one in encoded)
    done = Packed(len(encoded), pixels, size, quality, _decibels(error), _decibels(worst))
    (out / "PACKED.txt").write_text(f"{done}\n", "utf-8")
    return done


def _targets(folder: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Each image below `folder`, and where it goes."""
    taken: set[Path] = set()
    for path in image_files(folder):
        inside = Path(folder.name) / path.relative_to(folder)
        target = out / inside.with_suffix(".avif")
        if target in taken:  # a.png beside a.webp
            target = out / inside.with_name(f"{inside.name}.avif")
        taken.add(target)
        yield path, target


def _first_guess(pairs: Sequence[tuple[Path, Path]], room: float) -> int:
    """The highest quality at which a sample of the images takes its share of the room."""
    sample = pairs[:: max(len(pairs) // _SAMPLE, 1)]
    share = room * _pixels(sample) / max(_pixels(pairs), 1)
    low, high = _QUALITIES[0], _QUALITIES[-1]
    while low < high:
        middle = (low + high + 1) // 2
        if sum(len(one.content) for one in _encode(sample, middle)) <= share:
            low = middle
        else:
            high = middle - 1
    return low


def _pixels(pairs: Sequence[tuple[Path, Path]]) -> int:
    """Pixels of all images whose headers can be read."""
    total = 0
    for path, _ in pairs:
        try:
            with Image.open(path) as image:
                total += image.width * image.height
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue  # left out, as training would
    return total


def _encode(pairs: Sequence[tuple[Path, Path]], quality: int) -> Iterator[_Encoded]:
    """Encode the images that can be read, several at a time."""

    def one(pair: tuple[Path, Path]) -> _Encoded | None:
        try:
            original = read_rgb(pair[0])
        except UnreadableImage:
            return None
        stream = io.BytesIO()
        Image.fromarray(original).save(
            stream, "AVIF", quality=quality, subsampling="4:4:4", speed=6, max_threads=1
        )
        with Image.open(stream) as image:
            again = np.asarray(image.convert("RGB"))
        error = float(np.square(original.astype(np.float32) - again).mean(dtype=np.float64))
        return _Encoded(pair[1], stream.getvalue(), original.shape[0] * original.shape[1], error)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield from (found for found in pool.map(one, pairs) if found is not None)


def _copy_texts(folders: Sequence[Path], out: Path) -> None:
    """Copy what may say whose the images are."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            small = path.is_file() and path.stat().st_size <= _LARGEST_TEXT
            if small and path.suffix.lower() in _TEXTS and not path.name.startswith("."):
                target = out / folder.name / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


def _decibels(error: float) -> float:
    return 10 * math.log10(255**2 / error) if error else math.inf


def _main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m srcli.training.pack", description="Pack training images for a journey."
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--size", type=float, default=40.0, metavar="MIB", help="MiB (40)")
    given = parser.parse_args()

    def work() -> ExitCode:
        for folder in given.folders:
            if not folder.is_dir():
                raise UsageError(f"there is no folder {folder}")
        try:
            sys.stdout.write(f"{pack(given.folders, given.out, given.size)}\n")
        except OSError as error:
            raise cannot_write(f"cannot write to {given.out}: {error.strerror}", error) from error
        return ExitCode.ALL_DONE

    return run_program(work)


if __name__ == "__main__":
    sys.exit(_main())
