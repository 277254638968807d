"""The benchmark sets by name: one file each, found by its `SET`."""

from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from srcli.data.benchmark_set import BenchmarkSet
from srcli.errors import UsageError

__all__ = ["benchmark_set", "benchmark_sets"]


@cache
def benchmark_sets() -> dict[str, BenchmarkSet]:
    """All sets by name, in the order in which papers list them."""
    names = (module.name for module in iter_modules(__path__))
    found: list[BenchmarkSet] = [import_module(f"{__name__}.{name}").SET for name in names]
    return {one.name: one for one in sorted(found, key=lambda one: (one.megapixels, one.name))}


def benchmark_set(name: str) -> BenchmarkSet:
    """The set of that name, whatever its case.

    Raises:
        UsageError: There is none; the nearest is suggested.
    """
    by_lower = {known.lower(): one for known, one in benchmark_sets().items()}
    if name.lower() in by_lower:
        return by_lower[name.lower()]
    near = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    hint = f"did you mean {by_lower[near[0]].name}? " if near else ""
    raise UsageError(
        f"no data set named {name!r}; {hint}have {', '.join(benchmark_sets())}, "
        "or any folder: --hr DIR"
    )
