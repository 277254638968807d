"""Rows put where they belong, by the operation that is fast on the device at hand.

`index_copy` on MPS takes some hundred times as long as on the CPU (PyTorch before its pull request
185750, of 2026); `index_put` does not.
"""

from torch import Tensor

__all__ = ["put_rows", "with_rows"]

_SLOW = ("mps",)  # devices on which `index_copy` is


def put_rows(target: Tensor, index: Tensor, rows: Tensor) -> None:
    """Write `rows` (k, ...) to the places `index` (k,), all different, of `target` (n, ...)."""
    if target.device.type in _SLOW:
        target.index_put_((index,), rows)
    else:
        target.index_copy_(0, index, rows)


def with_rows(target: Tensor, index: Tensor, rows: Tensor) -> Tensor:
    """A copy of `target` (n, ...) with `rows` (k, ...) at the places `index` (k,)."""
    if target.device.type in _SLOW:
        return target.index_put((index,), rows)
    return target.index_copy(0, index, rows)
