"""DIV2K: the 100 validation pictures of DIV2K (Agustsson and Timofte, CVPRW 2017)."""

from srcli.data.benchmark_set import BenchmarkSet

__all__ = ["SET"]

SET = BenchmarkSet(
    name="DIV2K",
    pictures=100,
    megapixels=2.8,
    source=("from data.vision.ee.ethz.ch/cvl/DIV2K, for research: DIV2K_valid_HR"),
)
