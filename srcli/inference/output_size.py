"""Sizes of results: which a network computes, which are reduced, and which are refused."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from srcli.errors import ImageTooLarge
from srcli.geometry import Size
from srcli.inference.device import available_ram
from srcli.inference.row_reduction import RowReducer

__all__ = [
    "Resizing",
    "reduce_planes",
]


@dataclass(frozen=True)
class Resizing:
    """Change of one image's size: what the network computes, and what is then reduced.

    Args:
        source: Size of the input.
        target: Size of the result.
        network_scale: SR px per LR px to a side that the network computes.
    """

    source: Size
    target: Size
    network_scale: int

    @property
    def computes(self) -> bool:
        """True if the network runs: the result is larger than the input on some side.

        For a network that keeps the size, if it has the input's.
        """
        keeps = self.network_scale == 1 and self.target == self.source
        return keeps or self.target.exceeds(self.source)

    @property
    def reduces(self) -> bool:
        """True if the network computes a larger image than the result, which is then reduced."""
        return self.computes and self.target != self._network_output

    @property
    def made(self) -> Size:
        """Size of what becomes the result: the network's, or the input itself."""
        return self._network_output if self.computes else self.source

    @property
    def _network_output(self) -> Size:
        return self.source.scaled(self.network_scale)

    def check_scale(self) -> None:
        """Refuse a result that a plain filter would have to enlarge.

        Raises:
            ImageTooLarge: The result is larger than what the network computes.
        """
        if self.target.exceeds(self._network_output):
            raise ImageTooLarge(
                f"{self._description} is more than the network's x{self.network_scale}; "
                f"hint: ask for {self._network_output} or less"
            )

    def check_memory(self, bytes_per_pixel: int, *, reduces_whole: bool = True) -> None:
        """Fail before the work rather than be killed after it.

        Args:
            bytes_per_pixel: Of the result.
            reduces_whole: What is reduced lies whole in the host's memory before.

        Raises:
            ImageTooLarge: The result, and what it is reduced from, need more than is free.
        """
        needed = self.target.pixels * bytes_per_pixel
        if self.reduces and reduces_whole:
            needed += self._network_output.pixels * 3 * 4  # all planes at once, fp32
        free = available_ram()
        if needed > free:
            raise ImageTooLarge(
                f"{self._description} needs {needed / 1e9:.2f} GB of memory, "
                f"{free / 1e9:.2f} GB are free; hint: use a smaller scale"
            )

    @property
    def _description(self) -> str:
        return f"{self.source} px to {self.target}"


def reduce_planes(planes: Tensor, size: Size) -> Tensor:
    """Reduce planes (c, H, W) to `size` by a bicubic filter as wide as the step down.

    The filter is PyTorch's antialiased one (a = -0.5, weights normalised at the border): no
    detail finer than the result can hold survives to turn into moiré.
    """
    if size.width == 1:  # of such, PyTorch 2.13 takes rows for columns
        reducer = RowReducer(Size(planes.shape[2], planes.shape[1]), size)
        return torch.cat([rows for _, rows in reducer.add(planes)], 1)
    return F.interpolate(
        planes[None], size.array_shape, mode="bicubic", antialias=True, align_corners=False
    )[0]
