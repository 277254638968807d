"""Set14: fourteen small pictures (Zeyde et al., 2010)."""

from srcli.data.benchmark_set import BenchmarkSet

__all__ = ["SET"]

SET = BenchmarkSet(
    name="Set14",
    pictures=14,
    megapixels=0.23,
    source=("in the archives of benchmark sets that EDSR, RCAN and BasicSR link to"),
)
