"""Freed memory is used again instead of being mapped anew."""

import json
import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")

SCRIPT = """
import json, resource, sys
from srcli.host_memory import keep_freed_memory, return_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
import numpy as np, psutil

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        np.ones(6_000_000, np.float64).sum()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults(2)
taken = faults(20)
held = psutil.Process().memory_info().rss
return_freed_memory()
json.dump([taken, held - psutil.Process().memory_info().rss], sys.stdout)
"""


def measured(how: str, **environment: str) -> tuple[int, int]:
    """Page faults of arrays that come and go, and the bytes that were given back after them."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, how],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    faults, returned = json.loads(ended.stdout)
    return faults, returned


def test_freed_memory_is_used_again_until_it_is_returned():
    faults, returned = measured("keep")
    assert faults < 2_000  # 20 arrays of 48 MB have 234,000 pages of 4 KiB
    assert returned > 20_000_000


def test_what_the_user_has_set_stays():
    plain, _ = measured("plain", NUMPY_MADVISE_HUGEPAGE="0")
    kept, _ = measured("keep", NUMPY_MADVISE_HUGEPAGE="0")
    wished, _ = measured("keep", NUMPY_MADVISE_HUGEPAGE="0", MALLOC_MMAP_MAX_="65536")
    tuned, _ = measured(
        "keep", NUMPY_MADVISE_HUGEPAGE="0", GLIBC_TUNABLES="glibc.malloc.mmap_max=65536"
    )
    assert kept < plain / 50, plain
    assert min(wished, tuned) > plain / 2
