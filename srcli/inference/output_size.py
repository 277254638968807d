"""From one size to another: what a network makes, what is only reduced, what is refused."""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from srcli.errors import ImageTooLarge
from srcli.inference.device import available_ram

__all__ = [
    "Resizing",
    "reduce_planes",
]


@dataclass(frozen=True)
class Resizing:
    """One image's way to its size.

    Args:
        height: Of the image, px.
        width: Likewise.
        size: (H, W) of the result, px.
        native: The network's scale.
    """

    height: int
    width: int
    size: tuple[int, int]
    native: int

    @property
    def computes(self) -> bool:
        """True if the network has something to make: the result is larger on some side."""
        return self.size[0] > self.height or self.size[1] > self.width

    @property
    def reduces(self) -> bool:
        """True if the network makes something larger, which is then reduced."""
        return self.computes and self.size != (self.height * self.native, self.width * self.native)

    def check_scale(self) -> None:
        """A result is only ever reduced, never enlarged by a plain filter.

        Raises:
            ImageTooLarge: The network's result would have to be enlarged.
        """
        if self.size[0] > self.height * self.native or self.size[1] > self.width * self.native:
            raise ImageTooLarge(
                f"{self._words} is more than the network's x{self.native}; hint: ask for "
                f"{self.width * self.native}x{self.height * self.native} or less"
            )

    def check_memory(self, bytes_per_pixel: int) -> None:
        """Fail before the work rather than be killed after it.

        Args:
            bytes_per_pixel: Of the result.

        Raises:
            ImageTooLarge: The result, and what it is made of, need more than is free.
        """
        needed = math.prod(self.size) * bytes_per_pixel
        if self.reduces:
            needed += self.height * self.width * self.native**2 * 3 * 4  # all planes at once, fp32
        free = available_ram()
        if needed > free:
            raise ImageTooLarge(
                f"{self._words} needs {needed / 1e9:.2f} GB of memory, {free / 1e9:.2f} GB are "
                "free: use a smaller scale"
            )

    @property
    def _words(self) -> str:
        return f"{self.width}x{self.height} px to {self.size[1]}x{self.size[0]}"


def reduce_planes(planes: Tensor, height: int, width: int) -> Tensor:
    """Reduce (c, H, W) to (c, height, width) by a bicubic filter as wide as the step down.

    The filter is PyTorch's antialiased one (a = -0.5, weights normalised at the border): no
    detail finer than the result can hold survives to turn into moiré.
    """
    return F.interpolate(
        planes[None], (height, width), mode="bicubic", antialias=True, align_corners=False
    )[0]
