"""Test2K: 100 large pictures, 1201 to 1300 of DIV8K (Kong et al., CVPR 2021)."""

from srcli.data.benchmark_set import BenchmarkSet

__all__ = ["SET"]

SET = BenchmarkSet(
    name="Test2K",
    pictures=100,
    megapixels=2.2,
    source=("made from DIV8K: srcli datasets prepare Test2K --div8k DIR"),
)
