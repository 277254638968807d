"""Pixels on their way to a device and back: integers, and without waiting where that can be done.

Of a result as the network makes it, four bytes a value, a device would have to send four times as
much, and every copy into ordinary memory stops the host until all work before it is done. So
pixels travel as uint8 or uint16, float planes exist on the device only, and CUDA copies them into
pinned memory on a stream of its own while the network goes on.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["CudaLink", "Link", "PlainLink", "link_to", "pack", "unpack"]

_ON_THE_WAY = {np.dtype(np.uint8): torch.uint8, np.dtype(np.uint16): torch.int16}
"""Types that pixels travel in, by their own; any other travels as float32. CUDA and MPS have few
operations on uint16: its bits travel as int16."""
_LARGEST = {torch.uint8: 255.0, torch.int16: 65535.0}
_SIGN = 1 << 15


@runtime_checkable
class Link(Protocol):
    """Copies to a device and back; the CPU needs none."""

    def send(self, pixels: NDArray[Any]) -> Tensor:
        """Bring an array (h, w, c) to the device: as uint8, uint16's bits as int16, or float32."""
        ...

    def fetch(self, packed: Tensor) -> Callable[[], Tensor]:
        """Begin to bring a contiguous tensor of the device here.

        Returns:
            What waits for it and returns it; `packed` may be changed or dropped before that.
        """
        ...


class PlainLink:
    """Copies that the host waits for: MPS, whose memory is the host's.

    Args:
        device: The device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def send(self, pixels: NDArray[Any]) -> Tensor:
        """See `Link`."""
        return _staged(pixels, pinned=False).to(self._device)

    def fetch(self, packed: Tensor) -> Callable[[], Tensor]:
        """See `Link`."""
        here = packed.cpu()
        return lambda: here


class CudaLink:
    """Copies by way of pinned memory; those to the host on a stream of their own.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def send(self, pixels: NDArray[Any]) -> Tensor:
        """See `Link`."""
        return _staged(pixels, pinned=True).to(self._device, non_blocking=True)

    def fetch(self, packed: Tensor) -> Callable[[], Tensor]:
        """See `Link`."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        here = torch.empty(packed.shape, dtype=packed.dtype, pin_memory=True)
        with torch.cuda.stream(self._stream):
            here.copy_(packed, non_blocking=True)
            arrived = self._stream.record_event()
        packed.record_stream(self._stream)  # its memory is not used again before that

        def wait() -> Tensor:
            arrived.synchronize()
            return here

        return wait


def link_to(device: torch.device) -> Link | None:
    """The link to a device; None for the CPU, whose memory is the host's."""
    if device.type == "cpu":
        return None
    return CudaLink(device) if device.type == "cuda" else PlainLink(device)


def _staged(pixels: NDArray[Any], *, pinned: bool) -> Tensor:
    """A copy of an array in the type that it travels in."""
    dtype = _ON_THE_WAY.get(pixels.dtype, torch.float32)
    staged = torch.empty(pixels.shape, dtype=dtype, pin_memory=pinned)
    bits = pixels.view(np.int16) if pixels.dtype == np.uint16 else pixels
    np.copyto(staged.numpy(), bits, casting="same_kind")
    return staged


def unpack(sent: Tensor) -> Tensor:
    """Planes (c, h, w) float32 in [0, 1] of what `Link.send` gave, (h, w, c), on its device.

    The same to the last bit as what the CPU makes of the pixels: a quotient, which CUDA would
    compute as a product if it were asked to divide by a number that is not on the device.
    """
    planes = sent.permute(2, 0, 1).float()
    if sent.dtype == torch.int16:
        planes = torch.where(planes < 0, planes + 2 * _SIGN, planes)
    largest = _LARGEST.get(sent.dtype)
    return planes if largest is None else planes / torch.full_like(planes[:1, :1, :1], largest)


def pack(planes: Tensor, dtype: np.dtype[Any]) -> Tensor:
    """Pixels (h, w, c) of float planes (c, h, w) on any device: clamped, rounded, in integers.

    Args:
        planes: Nominally in [0, 1].
        dtype: Of the pixels.

    Returns:
        uint8; the bits of uint16 as int16; else float32. Contiguous.
    """
    travels_as = _ON_THE_WAY.get(dtype, torch.float32)
    values = planes.float().clamp(0.0, 1.0)
    if travels_as in _LARGEST:
        values.mul_(_LARGEST[travels_as]).round_()
    if travels_as == torch.int16:  # the same bits, by arithmetic that every device has
        values = torch.where(values < _SIGN, values, values - 2 * _SIGN)
    packed = torch.empty((*values.shape[1:], len(values)), dtype=travels_as, device=values.device)
    return packed.copy_(values.permute(1, 2, 0))
