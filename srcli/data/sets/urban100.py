"""Urban100: 100 pictures of buildings (Huang et al., CVPR 2015)."""

from srcli.data.benchmark_set import BenchmarkSet

__all__ = ["SET"]

SET = BenchmarkSet(
    name="Urban100",
    pictures=100,
    megapixels=0.77,
    source=(
        "in the archives of benchmark sets that EDSR, RCAN and BasicSR link to; "
        "first published with SelfExSR"
    ),
)
