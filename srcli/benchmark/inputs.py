"""Inputs to measure on."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srcli.data.benchmark_set import (
    Pair,
    find_set,
    images_in_subfolders,
    pair_folders,
    pairs_in,
    single_folder,
)
from srcli.data.roots import data_roots
from srcli.data.sets import benchmark_set, benchmark_sets
from srcli.data.sizes import images_of_sizes
from srcli.errors import InputError, UsageError

__all__ = ["BenchmarkInputs", "Sample", "as_text", "loaded"]


@dataclass(frozen=True)
class Sample:
    """One image: LR (h, w, 3), and HR (s·h, s·w, 3) where there is one."""

    name: str
    lr: NDArray[np.uint8]
    hr: NDArray[np.uint8] | None


@dataclass(frozen=True)
class BenchmarkInputs:
    """Inputs to measure on: exactly one of a set, a folder, HR and LR folders, or sizes.

    Args:
        dataset: A set by name.
        folder: A folder of originals, or of HR and LR in a layout of `pairs_in`.
        hr: A folder of originals; without `lr` their LR is made by bicubic.
        lr: A folder of LR images.
        sizes: LR sizes as 512x341, and image files used as LR.
        data_root: Where sets lie, instead of `SRCLI_DATA`.
        limit: Only that many images.
    """

    dataset: str | None
    folder: Path | None
    hr: Path | None
    lr: Path | None
    sizes: Sequence[str] | None
    data_root: Path | None
    limit: int | None

    def require_one(self) -> None:
        """Check that one kind of input is named; quick.

        Raises:
            UsageError: None is, or several are.
        """
        given = [self.dataset, self.folder, self.hr or self.lr, self.sizes]
        if sum(one is not None for one in given) != 1:
            raise UsageError(
                "give inputs to measure on: one of FOLDER, --dataset NAME, --hr DIR and --lr DIR, "
                "or --latency 512x341"
            )

    def _passed_over(self, pairs: Sequence[Pair]) -> str:
        """A line about images in subfolders of the folder, which are not measured; "" without any.

        Args:
            pairs: What is measured.
        """
        alone = self.folder or (self.hr if self.lr is None else None)
        paths = [pair.hr or pair.lr for pair in pairs]
        if alone is None or any(path is not None and path.parent != alone for path in paths):
            return ""
        count = images_in_subfolders(alone)
        if not count:
            return ""
        which = f"{count} images in subfolders are" if count > 1 else "an image in a subfolder is"
        return f"{alone}: {which} not measured; hint: name each folder of images by itself"

    def find(
        self, scale: int, on_note: Callable[[str], None] = lambda line: None
    ) -> tuple[str, list[Pair]]:
        """The name of it all, and its images, no two of one name; names are text.

        Args:
            scale: HR px per LR px.
            on_note: Called with a line about images that are not measured.

        Raises:
            UsageError: Nothing or too much is asked for, or it is not there.
        """
        self.require_one()
        if self.sizes is not None:
            name, found = "latency", images_of_sizes(self.sizes)
        elif self.dataset is not None:
            one = benchmark_set(self.dataset)
            name, found = one.name, find_set(one, scale, data_roots(self.data_root))
        elif self.folder is not None:
            name, found = self.folder.absolute().name, _in_folder(self.folder, scale)
        elif self.hr is not None and self.lr is not None:
            name, found = self.hr.name, pair_folders(self.hr, self.lr, scale)
        else:
            alone = self.hr or self.lr
            assert alone is not None
            name, found = alone.name, single_folder(alone, is_hr=self.hr is not None)
        if passed_over := self._passed_over(found):
            on_note(passed_over)
        return as_text(name), _told_apart(found[: self.limit])


def _in_folder(folder: Path, scale: int) -> list[Pair]:
    """The images of a folder that somebody names.

    Raises:
        UsageError: There is no such folder, or no images are in it.
    """
    if not folder.is_dir():
        by_lower = {name.lower(): name for name in benchmark_sets()}
        known = by_lower.get(str(folder).lower())
        hint = f"a set by name: --dataset {known}" if known else "check the name"
        what = "is not a folder" if folder.exists() else "does not exist"
        raise UsageError(f"{folder} {what}; hint: {hint}")
    found = pairs_in(folder, scale)
    if not found:
        raise UsageError(
            f"no images in {folder}, and no HR and LR for x{scale} below it; hint: originals lie "
            "in it or in its HR, their LR in its LR (or --hr DIR --lr DIR)"
        )
    return found


def as_text(name: str) -> str:
    r"""A file's name, or what has it in it, as text that can be written: names need not be text.

    >>> print(as_text("Zoë \udcff"))
    Zoë \udcff
    """
    return name.encode("utf-8", "backslashreplace").decode()


def _told_apart(pairs: Sequence[Pair]) -> list[Pair]:
    """Call images that share a name (a.png, a.jpg) by their paths; all names as text."""
    borne = Counter(pair.name for pair in pairs)
    full = [pair.name if borne[pair.name] == 1 else _path_of(pair) for pair in pairs]
    return [replace(pair, name=as_text(name)) for pair, name in zip(pairs, full, strict=True)]


def _path_of(pair: Pair) -> str:
    return str(pair.hr or pair.lr or pair.name)


def loaded(
    pairs: Sequence[Pair],
    scale: int,
    smallest: int,
    leave_out: Callable[[str, str], None],
) -> Iterator[Sample]:
    """Read images one after the other; one that cannot be measured is left out.

    Args:
        pairs: Where they are.
        scale: HR px per LR px.
        smallest: HR px that each side of an original needs to be compared; 0: none is compared.
        leave_out: Told the name of each image that is left out, and why.
    """
    for pair in pairs:
        try:
            hr, lr = pair.load(scale)
            _check_size(pair, hr, scale, smallest)
        except (InputError, UsageError) as error:
            leave_out(pair.name, str(error))
            continue
        yield Sample(pair.name, lr, hr)


def _check_size(pair: Pair, hr: NDArray[np.uint8] | None, scale: int, smallest: int) -> None:
    """Refuse an original, cropped to whole LR px, that is too small to be compared."""
    if hr is not None and min(hr.shape[:2]) < smallest:
        needed = -(-smallest // scale) * scale
        raise UsageError(
            f"{pair.hr}: {hr.shape[1]}x{hr.shape[0]} px (whole LR px) is too small to compare at "
            f"x{scale}; both sides must have {needed} px (time alone: --lr)"
        )
