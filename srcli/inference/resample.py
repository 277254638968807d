"""The last step to a size the network does not make: reduce, antialiased, before quantising."""

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

__all__ = ["reduce_planes"]


def reduce_planes(planes: Tensor, height: int, width: int) -> Tensor:
    """Reduce (c, H, W) to (c, height, width) by a bicubic filter as wide as the step down.

    The filter is PyTorch's antialiased one (a = -0.5, weights normalised at the border): no
    detail finer than the result can hold survives to turn into moiré.
    """
    return F.interpolate(
        planes[None], (height, width), mode="bicubic", antialias=True, align_corners=False
    )[0]
