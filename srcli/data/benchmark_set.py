"""Benchmark sets: images by name, found in the layouts that people have."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srcli.data.hash_list import HASH_LIST
from srcli.data.images import read_rgb
from srcli.data.resize import downscale
from srcli.data.set_source import SetPart
from srcli.errors import MissingDataSet, UsageError

__all__ = [
    "BenchmarkSet",
    "Pair",
    "find_set",
    "pair_folders",
    "pairs_in",
    "scales_there",
    "single_folder",
]

_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True)
class BenchmarkSet:
    """Description of a set.

    Args:
        name: As papers write it; its folder bears it, in any case.
        images: How many there are.
        megapixels: Of a typical HR image.
        parts: What `datasets download` brings, by scale; none if it cannot be downloaded.
        origin: Where its images are to be had otherwise, as a clause.
        prepared: Whether `datasets prepare` makes it of DIV8K.
        packaged: Its folder if it comes with srcli.
    """

    name: str
    images: int
    megapixels: float
    parts: Mapping[int, SetPart] = field(default_factory=dict[int, SetPart])
    origin: str = ""
    prepared: bool = False
    packaged: Path | None = None

    def command(self, scale: int = 4) -> str:
        """The command that brings or makes it for a scale; "" if there is none."""
        of_scale = "" if scale == 4 else f" -s {scale}"
        if scale in self.parts:
            return f"srcli datasets download {self.name}{of_scale}"
        if self.prepared:
            return f"srcli datasets prepare {self.name} --div8k FOLDER{of_scale}"
        return ""

    def hash_lists(self, roots: Sequence[Path]) -> list[Path]:
        """The hash lists of its folders in `roots`, those of its scales included."""
        return [
            path
            for root in roots
            for folder in _folders_named(root, self.name)
            for path in (folder / HASH_LIST, *sorted(folder.glob(f"x*/{HASH_LIST}")))
            if path.is_file()
        ]


@dataclass(frozen=True)
class Pair:
    """One image of a set.

    Args:
        name: Its name without suffix.
        hr: The original; None if there is none, so that quality cannot be measured.
        lr: The reduced image; None if it is to be made of `hr`.
    """

    name: str
    hr: Path | None
    lr: Path | None

    def load(self, scale: int) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8]]:
        """Read HR and LR, (h, w, 3) each; HR is cropped to s times LR, the top left kept.

        Raises:
            UnreadableImage: A file cannot be decoded.
            UsageError: Their sizes do not belong together, or HR is too small to be reduced.
        """
        hr = None if self.hr is None else read_rgb(self.hr)
        if self.lr is not None:
            lr = read_rgb(self.lr)
        else:
            assert hr is not None, "a pair has an image"
            if min(hr.shape[:2]) < scale:
                raise UsageError(
                    f"{self.hr}: {hr.shape[1]}x{hr.shape[0]} px is less than one LR px at "
                    f"x{scale}; both sides must have {scale} px"
                )
            hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
            lr = downscale(hr, scale)
        return self._cropped(hr, lr, scale), lr

    def _cropped(
        self, hr: NDArray[np.uint8] | None, lr: NDArray[np.uint8], scale: int
    ) -> NDArray[np.uint8] | None:
        """HR cropped to `scale` times LR; at most a handful of pixels may be too many."""
        if hr is None:
            return None
        height, width = lr.shape[0] * scale, lr.shape[1] * scale
        spare = (hr.shape[0] - height, hr.shape[1] - width)
        if min(spare) < 0 or max(spare) >= 12 + scale:
            raise UsageError(
                f"{self.name}: HR is {hr.shape[1]}x{hr.shape[0]} px and LR "
                f"{lr.shape[1]}x{lr.shape[0]}, which is no x{scale} pair"
            )
        return hr[:height, :width]


def find_set(one: BenchmarkSet, scale: int, roots: Sequence[Path]) -> list[Pair]:
    """Find a set's images in srcli itself, or under the first of `roots` that has them.

    Layouts: see `pairs_in`.

    Raises:
        MissingDataSet: It is nowhere, or its download is not complete.
        UsageError: Its HR and LR do not belong together.
    """
    if one.packaged is not None:
        return pairs_in(one.packaged, scale)
    for root in roots:
        for folder in _folders_named(root, one.name):
            pairs = pairs_in(folder, scale)
            if pairs:
                _require_all(pairs, one, scale, folder)
                return pairs
    raise _missing(one, scale, roots)


def _require_all(pairs: Sequence[Pair], one: BenchmarkSet, scale: int, folder: Path) -> None:
    """Refuse what a download, or making, that was cut off has left."""
    lists = [path / HASH_LIST for path in (folder, folder / f"x{scale}")]
    if len(pairs) < one.images and any(path.is_file() for path in lists):
        raise MissingDataSet(
            f"{one.name} x{scale} is in {folder} only in part: {len(pairs)} of {one.images} "
            f"images; hint: {one.command(scale)} continues"
        )


def _missing(one: BenchmarkSet, scale: int, roots: Sequence[Path]) -> MissingDataSet:
    """Where it was looked for, and how it is to be had."""
    looked = ", ".join(str(root / one.name) for root in roots)
    line = f"{one.name} x{scale} is not on this machine (looked for {looked})"
    elsewhere = "--data-root or SRCLI_DATA names the folder that holds it"
    command = one.command(scale)
    if not one.origin:
        return MissingDataSet(f"{line}; hint: {command or elsewhere}")
    remedy = f"once that folder is there: {command}; " if command else "once they are there: "
    return MissingDataSet(f"{line}: {one.origin}", f"{remedy}{elsewhere}")


def scales_there(one: BenchmarkSet, roots: Sequence[Path]) -> list[int]:
    """The scales for which a set is at hand."""
    there: list[int] = []
    for scale in (2, 3, 4):
        try:
            find_set(one, scale, roots)
        except UsageError:
            continue
        there.append(scale)
    return there


def pair_folders(hr: Path, lr: Path, scale: int) -> list[Pair]:
    """Pair the images of two folders by name; LR names may end in x2, x3, x4.

    Raises:
        UsageError: A folder is missing or empty, they hold different images, or several of one
            name.
    """
    originals, reduced = _images(hr), _images(lr)
    if not originals or not reduced:
        raise UsageError(f"no images in {lr if originals else hr}")
    by_name = {_without_scale(path.stem, scale): path for path in reduced}
    missing = [path.name for path in originals if path.stem not in by_name]
    if missing or len(originals) != len(reduced):
        lacks = f"; {lr} has none for {missing[0]}" if missing else ""
        raise UsageError(
            f"{hr} has {len(originals)} images and {lr} {len(reduced)}: they must be the same"
            f"{lacks}"
        )
    if len(by_name) != len(reduced):
        twice = Counter(_without_scale(path.stem, scale) for path in reduced).most_common(1)[0][0]
        raise UsageError(f"{lr} has several images named {twice}; hint: rename all but one")
    return [Pair(path.stem, path, by_name[path.stem]) for path in originals]


def single_folder(folder: Path, *, is_hr: bool) -> list[Pair]:
    """The images of one folder, as HR to be reduced or as LR without originals.

    Raises:
        UsageError: It is missing or empty.
    """
    found = _images(folder)
    if not found:
        raise UsageError(f"no images in {folder}")
    return [Pair(p.stem, p if is_hr else None, None if is_hr else p) for p in found]


def pairs_in(folder: Path, scale: int) -> list[Pair]:
    """The images in `folder`, in the first of these layouts; empty if it is in none.

    `x4/HR` and `x4/LR`; `GTmod12` and `LRbicx4` (BasicSR); `HR` and `LR_bicubic/X4` (KAIR); `HR`
    and `LR`; `GTmod12` or `HR` alone, or images in the folder itself, from which LR is made.
    Names of folders are taken in any case.

    Raises:
        UsageError: Its HR and LR do not belong together.
    """
    layouts = (
        (f"x{scale}/HR", f"x{scale}/LR"),
        ("GTmod12", f"LRbicx{scale}"),
        ("HR", f"LR_bicubic/X{scale}"),
        ("HR", "LR"),
    )
    for names in layouts:
        hr, lr = (_below(folder, name) for name in names)
        if hr is not None and lr is not None and _images(hr) and _images(lr):
            return pair_folders(hr, lr, scale)
    for hr in (_below(folder, "GTmod12"), _below(folder, "HR"), folder):
        if hr is not None and hr.is_dir() and _images(hr):
            return single_folder(hr, is_hr=True)
    return []


def _below(folder: Path, path: str) -> Path | None:
    """The folder of that path in `folder`, whatever its case; None if there is none."""
    for name in path.split("/"):
        found = _folders_named(folder, name)
        if not found:
            return None
        folder = found[0]
    return folder


def _folders_named(root: Path, name: str) -> list[Path]:
    """The folder of that name in `root`, whatever its case."""
    if not root.is_dir():
        return []
    return sorted(p for p in root.iterdir() if p.is_dir() and p.name.lower() == name.lower())


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    return sorted(
        p
        for p in folder.iterdir()
        if p.suffix.lower() in _IMAGES and p.is_file() and not p.name.startswith(".")
    )


def images_in_subfolders(folder: Path) -> int:
    """Number of images in the folders below a folder."""
    return sum(
        len(_images(one))
        for one in folder.rglob("*/")
        if one.is_dir() and not any(part.startswith(".") for part in one.relative_to(folder).parts)
    )


def _without_scale(stem: str, scale: int) -> str:
    return stem.removesuffix(f"x{scale}").removesuffix("_")
