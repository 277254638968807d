"""Set5: five small images (Bevilacqua et al., BMVC 2012)."""

from srcli.data.benchmark_set import BenchmarkSet
from srcli.data.set_source import selfexsr

__all__ = ["SET"]

SET = BenchmarkSet(
    name="Set5",
    images=5,
    megapixels=0.11,
    parts=selfexsr("Set5", 5, (2, 3, 4)),
)
