"""Images on disk that training patches are cut from as further targets: a teacher's outputs.

Each is a safetensors file with one tensor, `sr` (h, w, 3) uint8, uncompressed: a patch is read from
the mapped file without decoding the image, and nothing of it has to be held in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from srcli.errors import UsageError

__all__ = ["TENSOR", "TargetImages"]

TENSOR = "sr"


@dataclass(frozen=True)
class TargetImages:
    """The target images of the sources of a `ImageStore`, by the number of the source.

    Args:
        files: For each source, the image whose LR is the reduced source: (h, w, 3), as the source.
        own_size: For each source, the image whose LR is the source's file itself, and the number
            of the source that is this file unreduced; empty if there are none.
    """

    files: Sequence[Path]
    own_size: Sequence[tuple[int, Path]] = ()

    def patch(self, number: int, y: int, x: int, side: int) -> NDArray[np.uint8]:
        """Cut (side, side, 3) at (y, x), HR px, out of the target of source `number`.

        Raises:
            UsageError: The file is not there any more, or damaged.
        """
        return _cut(self.files[number], y, x, side)

    def own_size_patch(self, number: int, y: int, x: int, side: int) -> NDArray[np.uint8]:
        """Cut (side, side, 3) at (y, x), SR px, out of the own-size target of source `number`.

        Raises:
            UsageError: The file is not there any more, or damaged.
        """
        return _cut(self.own_size[number][1], y, x, side)

    def whole(self, number: int) -> NDArray[np.uint8]:
        """The whole target (h, w, 3) of source `number`.

        Raises:
            UsageError: The file is not there any more, or damaged.
        """
        return _cut(self.files[number], 0, 0, None)

    def own_size_whole(self, number: int) -> NDArray[np.uint8]:
        """The whole own-size target (s·h, s·w, 3) of source `number`.

        Raises:
            UsageError: The file is not there any more, or damaged.
        """
        return _cut(self.own_size[number][1], 0, 0, None)


def _cut(path: Path, y: int, x: int, side: int | None) -> NDArray[np.uint8]:
    """A square of an image, or all of it."""
    rows = slice(y, y + side) if side else slice(None)
    columns = slice(x, x + side) if side else slice(None)
    try:
        with cast("Any", safe_open(path, framework="numpy")) as file:
            return file.get_slice(TENSOR)[rows, columns]
    except (OSError, SafetensorError) as error:
        raise UsageError(
            f"{path}, a teacher's output, cannot be read any more: {error}; "
            "hint: --resume computes it again"
        ) from error
