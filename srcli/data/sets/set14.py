"""Set14: fourteen small images (Zeyde et al., 2010)."""

from srcli.data.benchmark_set import BenchmarkSet
from srcli.data.set_source import selfexsr

__all__ = ["SET"]

SET = BenchmarkSet(
    name="Set14",
    images=14,
    megapixels=0.23,
    parts=selfexsr("Set14", 14, (2, 3, 4)),
)
