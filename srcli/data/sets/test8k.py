"""Test8K: 100 large images, 1401 to 1500 of DIV8K (Kong et al., CVPR 2021)."""

from srcli.data.benchmark_set import BenchmarkSet

__all__ = ["SET"]

SET = BenchmarkSet(
    name="Test8K",
    images=100,
    megapixels=35,
    origin=(
        "it is DIV8K's images 1401 to 1500, as they are, and DIV8K can be requested from its "
        "authors (Gu et al., ICCVW 2019)"
    ),
    prepared=True,
)
