"""Arithmetic of fp32 on CUDA while a network computes: fp32, unless TF32 was asked for.

PyTorch computes fp32 convolutions in TF32 there, of which ten bits of the mantissa are left, unless
told otherwise, once for a whole process. So it is told while srcli computes, and afterwards is
as it was.
"""

import contextlib
import threading
from collections.abc import Generator
from contextlib import contextmanager

import torch

__all__ = ["arithmetic"]


class _Switch:
    """The setting of the process, shared by all threads that compute.

    Those who want it the same way compute at once; one who wants it otherwise waits until they have
    finished what they are at: a tile.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._users = 0
        self._tf32 = False
        self._before: tuple[str, bool] | None = None

    def take(self, *, tf32: bool) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._users or self._tf32 is tf32)
            if not self._users:
                self._tf32, self._before = tf32, _read()
                if self._before is not None:
                    _set("high" if tf32 else "highest", allowed=tf32)
            self._users += 1

    def give_back(self) -> None:
        with self._changed:
            self._users -= 1
            if not self._users:
                if self._before is not None:
                    _set(self._before[0], allowed=self._before[1])
                self._changed.notify_all()


_SWITCH = _Switch()


@contextmanager
def arithmetic(device: torch.device, *, tf32: bool) -> Generator[None]:
    """Compute what is in fp32 in fp32, or else in TF32: products and convolutions on CUDA.

    Where the program around has chosen by PyTorch's newer settings (`fp32_precision`), its choice
    stays.

    Args:
        device: Where; nothing changes but for CUDA.
        tf32: Round the factors to TF32.
    """
    if device.type != "cuda":
        yield
        return
    _SWITCH.take(tf32=tf32)
    try:
        yield
    finally:
        _SWITCH.give_back()


def _read() -> tuple[str, bool] | None:
    """The settings for products and convolutions; None if they cannot be told by these names."""
    with contextlib.suppress(RuntimeError):
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    return None


def _set(products: str, *, allowed: bool) -> None:
    torch.set_float32_matmul_precision(products)
    torch.backends.cudnn.allow_tf32 = allowed
