"""Since when a run's minutes count."""

import time

import psutil

__all__ = ["process_began"]

_LONGEST = 3600.0  # s; a process that seems older had its clock set meanwhile


def process_began() -> float:
    """When this process began, by `time.monotonic`: before Python and torch were loaded."""
    age = time.time() - psutil.Process().create_time()
    return time.monotonic() - (age if 0.0 <= age <= _LONGEST else 0.0)
