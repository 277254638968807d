"""Where the parts of a result become pixels of one array, reduced on the way if need be.

On the CPU parts are rounded and written at once; what is reduced is reduced whole. A device clamps,
reduces, rounds and packs band by band, and its pixels are copied while it goes on.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from srcli.geometry import Size
from srcli.inference.arithmetic import arithmetic
from srcli.inference.device_link import Link, pack
from srcli.inference.output_size import reduce_planes
from srcli.inference.planes import Pixels, quantise
from srcli.inference.row_reduction import RowReducer

__all__ = ["DeviceWriter", "HostWriter", "ResultWriter", "result_writer"]

_VALUES = 1 << 24  # packed at a time: what a device needs in between is five times as many bytes
_WAITING = 4  # copies on their way: more would only hold more memory


@runtime_checkable
class ResultWriter(Protocol):
    """Takes the parts of one result."""

    def put(self, image: Tensor, top: int, left: int) -> None:
        """Take a part (c, h, w), nominally in [0, 1]: parts come in reading order.

        Args:
            image: The part; it is the writer's from now on.
            top: Its first row.
            left: Its first column.
        """
        ...

    def finish(self) -> None:
        """Wait until all parts are written."""
        ...


def result_writer(target: Pixels, made: Size, link: Link | None) -> ResultWriter:
    """A writer of parts into an array.

    Args:
        target: (h, w, c), written.
        made: Size of all parts together; where `target` is smaller they are reduced.
        link: To the device that the parts lie on; None: the CPU.
    """
    return HostWriter(target, made) if link is None else DeviceWriter(target, made, link)


class HostWriter:
    """Writes parts that lie in the host's memory. Arguments as in `result_writer`."""

    def __init__(self, target: Pixels, made: Size) -> None:
        self._target = target
        self._made = made
        self._reduces = target.shape[:2] != made.array_shape
        self._whole: Tensor | None = None

    def put(self, image: Tensor, top: int, left: int) -> None:
        """See `ResultWriter`."""
        rows, columns = _span(top, image.shape[1]), _span(left, image.shape[2])
        if not self._reduces:
            quantise(image, self._target[rows, columns])
        elif image.shape[1:] == self._made.array_shape:
            self._whole = image
        else:
            if self._whole is None:
                self._whole = torch.empty(len(image), *self._made.array_shape)
            self._whole[:, rows, columns] = image

    def finish(self) -> None:
        """See `ResultWriter`."""
        if self._whole is not None:
            height, width = self._target.shape[:2]
            quantise(reduce_planes(self._whole, Size(width, height)), self._target)


class DeviceWriter:
    """Packs parts on their device. Arguments as in `result_writer`.

    What is reduced differs from the CPU's by rounding: products instead of a loop.
    """

    def __init__(self, target: Pixels, made: Size, link: Link) -> None:
        self._target, self._link = target, link
        self._made = made
        height, width = target.shape[:2]
        reduces = (height, width) != made.array_shape
        self._reducer = RowReducer(made, Size(width, height)) if reduces else None
        self._strip: list[Tensor] = []  # parts side by side, until they reach the right edge
        self._copies: deque[tuple[Callable[[], Tensor], slice, slice]] = deque()

    def put(self, image: Tensor, top: int, left: int) -> None:
        """See `ResultWriter`."""
        if self._reducer is None:
            self._fetch(image, top, left)
            return
        self._strip.append(image)
        if left + image.shape[2] < self._made.width:
            return
        rows = image if len(self._strip) == 1 else torch.cat(self._strip, 2)
        self._strip.clear()
        with arithmetic(rows.device, tf32=False):
            for first, reduced in self._reducer.add(rows):
                self._fetch(reduced, first, 0)

    def finish(self) -> None:
        """See `ResultWriter`."""
        while self._copies:
            self._write()

    def _fetch(self, image: Tensor, top: int, left: int) -> None:
        """Begin to copy a part, some rows at a time."""
        channels, height, width = image.shape
        band = max(1, _VALUES // (channels * width))
        columns = _span(left, width)
        for start in range(0, height, band):
            packed = pack(image[:, start : start + band], self._target.dtype)
            rows = _span(top + start, len(packed))
            self._copies.append((self._link.fetch(packed), rows, columns))
            if len(self._copies) > _WAITING:
                self._write()

    def _write(self) -> None:
        """Wait for the copy that began first, and write it."""
        wait, rows, columns = self._copies.popleft()
        here = wait().numpy()
        if self._target.dtype == np.uint16:
            here = here.view(np.uint16)
        self._target[rows, columns] = here


def _span(start: int, length: int) -> slice:
    return slice(start, start + length)
