"""Test2K, Test4K and Test8K, made from DIV8K by the published recipe (Kong et al., CVPR 2021).

DIV8K's images 1201 to 1300, 1301 to 1400 and 1401 to 1500; Test2K is the HR reduced four times
by bicubic, Test4K twice, Test8K as it is. LR is a further reduction by the scale.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srcli.data.hash_list import HASH_LIST, is_whole, read_hashes, write_hashes, write_png
from srcli.data.images import read_rgb
from srcli.data.resize import downscale
from srcli.errors import InputError, UsageError

__all__ = ["RECIPES", "prepare"]

# Name: first image of DIV8K, and by how much it is reduced.
RECIPES: Mapping[str, tuple[int, int]] = {
    "Test2K": (1201, 4),
    "Test4K": (1301, 2),
    "Test8K": (1401, 1),
}
_COUNT = 100
_SUFFIXES = (".png", ".jpg", ".webp")


def prepare(name: str, div8k: Path, out: Path, scale: int, on_image: Callable[[str], None]) -> Path:
    """Make a set; what is there already, and whole, is kept.

    Args:
        name: One of `RECIPES`.
        div8k: The folder of DIV8K's images, 1201.png and so on.
        out: The data root; the set goes to OUT/NAME/x{scale}.
        scale: HR px per LR px to a side.
        on_image: Told each image's name when it is there.

    Returns:
        The set's manifest of hashes.

    Raises:
        UsageError: DIV8K is not there whole, or the set cannot be written.
    """
    first, reduction = RECIPES[name]
    sources = {str(n): _source(div8k, n) for n in range(first, first + _COUNT)}
    folder = out / name / f"x{scale}"
    try:
        return _prepare(sources, folder, reduction, scale, on_image)
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or folder}: {error.strerror or error}; hint: make "
            "room there, or name another place with --data-root (what is there and whole is kept)"
        ) from error


def _prepare(
    sources: Mapping[str, Path],
    folder: Path,
    reduction: int,
    scale: int,
    on_image: Callable[[str], None],
) -> Path:
    """Make what is not there of a set in `folder`, from its images by number."""
    for part in ("HR", "LR"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    manifest = folder / HASH_LIST
    hashes = read_hashes(manifest)
    for number, source in sources.items():
        names = [f"{part}/{number}.png" for part in ("HR", "LR")]
        if not all(is_whole(folder / n, hashes.get(n)) for n in names):
            hr = _reduced(source, reduction, scale)
            for target, image in zip(names, (hr, downscale(hr, scale)), strict=True):
                hashes[target] = write_png(image, folder / target)
            write_hashes(manifest, hashes)
        on_image(number)
    return manifest


def _source(div8k: Path, number: int) -> Path:
    for suffix in _SUFFIXES:
        if (path := div8k / f"{number}{suffix}").is_file():
            return path
    raise UsageError(f"{div8k} has no image {number}.png: DIV8K must be there whole")


def _reduced(source: Path, reduction: int, scale: int) -> NDArray[np.uint8]:
    """The HR image: reduced, and cropped so that `scale` divides it."""
    try:
        image = read_rgb(source)
    except InputError as error:
        raise UsageError(f"DIV8K's {source.name} cannot be read: {error}") from error
    step = reduction * scale
    image = image[: image.shape[0] // step * step, : image.shape[1] // step * step]
    return image if reduction == 1 else downscale(image, reduction)
