"""B100: the 100 test pictures of the Berkeley segmentation set (Martin et al., ICCV 2001)."""

from srcli.data.benchmark_set import BenchmarkSet

__all__ = ["SET"]

SET = BenchmarkSet(
    name="B100",
    pictures=100,
    megapixels=0.15,
    source=("in the archives of benchmark sets that EDSR, RCAN and BasicSR link to"),
)
