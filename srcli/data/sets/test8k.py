"""Test8K: 100 large pictures, 1401 to 1500 of DIV8K (Kong et al., CVPR 2021)."""

from srcli.data.benchmark_set import BenchmarkSet

__all__ = ["SET"]

SET = BenchmarkSet(
    name="Test8K",
    pictures=100,
    megapixels=35,
    source=("made from DIV8K: srcli datasets prepare Test8K --div8k DIR"),
)
