"""Test4K: 100 large pictures, 1301 to 1400 of DIV8K (Kong et al., CVPR 2021)."""

from srcli.data.benchmark_set import BenchmarkSet

__all__ = ["SET"]

SET = BenchmarkSet(
    name="Test4K",
    pictures=100,
    megapixels=8.8,
    source=("made from DIV8K: srcli datasets prepare Test4K --div8k DIR"),
)
