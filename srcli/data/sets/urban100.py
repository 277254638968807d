"""Urban100: 100 images of buildings (Huang et al., CVPR 2015)."""

from srcli.data.benchmark_set import BenchmarkSet
from srcli.data.set_source import selfexsr

__all__ = ["SET"]

SET = BenchmarkSet(
    name="Urban100",
    images=100,
    megapixels=0.77,
    parts=selfexsr("Urban100", 100, (2, 4)),
)
