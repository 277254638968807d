"""Find the names that are alike among millions, in a few bytes each: by hash, then exactly."""

from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from srcli.jobs.job import Job
from srcli.jobs.naming import case_folded

__all__ = ["JobsByName", "hashes_of", "shared_with", "with_repeated"]

Hashes = npt.NDArray[np.int64]


def hashes_of(keys: Iterable[Hashable]) -> Hashes:
    """Eight bytes of each key, alike for keys that are alike (in this process)."""
    return np.fromiter(map(hash, keys), np.int64)


def with_repeated(jobs: Sequence[Job], key: Callable[[Job], Hashable]) -> list[Job]:
    """The jobs whose key another one has, too, and hardly any others; in their order."""
    hashes = hashes_of(map(key, jobs))
    ordered = np.sort(hashes)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return []
    return [jobs[place] for place in np.flatnonzero(np.isin(hashes, repeated)).tolist()]


def shared_with(
    keys: Callable[[Job], Hashable | None], jobs: Sequence[Job], others: Hashes
) -> list[Job]:
    """The jobs whose key is one of others', and hardly any others; a job without one is none."""
    if not len(others):
        return []
    found: list[Job] = []
    chunk = 1 << 16
    for start in range(0, len(jobs), chunk):
        part = jobs[start : start + chunk]
        own = [keys(job) for job in part]
        alike = np.isin(hashes_of(own), others)
        found += [part[at] for at in np.flatnonzero(alike).tolist() if own[at] is not None]
    return found


class JobsByName:
    """Finds the jobs of an input by any spelling of its name; see `case_folded`."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        hashes = hashes_of(case_folded(job.source) for job in jobs)
        order = np.argsort(hashes, kind="stable")
        self._jobs, self._hashes, self._order = jobs, hashes[order], order

    def named(self, name: str) -> list[Job]:
        """The jobs of the input that has this case-folded name, in their order."""
        key = hash(name)
        begin = int(np.searchsorted(self._hashes, key, "left"))
        end = int(np.searchsorted(self._hashes, key, "right"))
        places: list[int] = self._order[begin:end].tolist()
        jobs = [self._jobs[place] for place in places]
        return [job for job in jobs if case_folded(job.source) == name]
