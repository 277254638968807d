"""Memory of the host, set up for large tensors that come and go."""

import ctypes
import os
from collections.abc import Callable

__all__ = ["keep_freed_memory", "return_freed_memory"]

# Parameters of glibc's mallopt (malloc.h), and the variable by which users set each themselves.
_PARAMETERS = {
    "MALLOC_MMAP_MAX_": (-4, 0),  # no block is mapped by itself, and unmapped when it is freed
    "MALLOC_TRIM_THRESHOLD_": (-1, 1 << 30),  # bytes free at the heap's end before it shrinks
    "MALLOC_ARENA_MAX": (-8, 1),  # threads share what is free
}


def keep_freed_memory() -> None:
    """Let this process use freed memory again instead of mapping fresh pages for every tensor.

    Mapping them anew takes a fifth of a network's time on a CPU (docs/benchmarks.md#memory). Call
    it before PyTorch is imported. What the user has set in the environment stays. Without glibc,
    PyTorch at least asks for huge pages, of which there are fewer to map; with memory that is kept
    they make it slower.
    """
    mallopt = _function("mallopt")
    if mallopt is None or "GLIBC_TUNABLES" in os.environ:
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
        return
    for variable, (parameter, value) in _PARAMETERS.items():
        if variable not in os.environ:
            mallopt(parameter, value)


def return_freed_memory() -> None:
    """Give the operating system what the C library holds for later, if it can."""
    malloc_trim = _function("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _function(name: str) -> Callable[..., int] | None:
    """A function of the C library; None where there is no such."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows has no library None
        return None
