"""Manga109: 109 manga pages (Matsui et al., 2017)."""

from srcli.data.benchmark_set import BenchmarkSet

__all__ = ["SET"]

SET = BenchmarkSet(
    name="Manga109",
    images=109,
    megapixels=0.97,
    origin="request its images at manga109.org, for research",
)
