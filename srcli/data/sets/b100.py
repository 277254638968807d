"""B100: the 100 test images of the Berkeley segmentation set (Martin et al., ICCV 2001)."""

from srcli.data.benchmark_set import BenchmarkSet
from srcli.data.set_source import selfexsr

__all__ = ["SET"]

SET = BenchmarkSet(
    name="B100",
    images=100,
    megapixels=0.15,
    parts=selfexsr("BSD100", 100, (2, 3, 4)),
)
