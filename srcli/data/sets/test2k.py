"""Test2K: 100 large images, 1201 to 1300 of DIV8K (Kong et al., CVPR 2021)."""

from srcli.data.benchmark_set import BenchmarkSet

__all__ = ["SET"]

SET = BenchmarkSet(
    name="Test2K",
    images=100,
    megapixels=2.2,
    origin=(
        "it is DIV8K's images 1201 to 1300, reduced by 4, and DIV8K can be requested from its "
        "authors (Gu et al., ICCVW 2019)"
    ),
    prepared=True,
)
