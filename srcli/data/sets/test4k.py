"""Test4K: 100 large images, 1301 to 1400 of DIV8K (Kong et al., CVPR 2021)."""

from srcli.data.benchmark_set import BenchmarkSet

__all__ = ["SET"]

SET = BenchmarkSet(
    name="Test4K",
    images=100,
    megapixels=8.8,
    origin=(
        "it is DIV8K's images 1301 to 1400, reduced by 2, and DIV8K can be requested from its "
        "authors (Gu et al., ICCVW 2019)"
    ),
    prepared=True,
)
