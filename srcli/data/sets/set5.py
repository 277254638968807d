"""Set5: five small pictures (Bevilacqua et al., BMVC 2012)."""

from srcli.data.benchmark_set import BenchmarkSet

__all__ = ["SET"]

SET = BenchmarkSet(
    name="Set5",
    pictures=5,
    megapixels=0.11,
    source=("in the archives of benchmark sets that EDSR, RCAN and BasicSR link to"),
)
