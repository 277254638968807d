"""Screens: pages of text, interfaces, code and a plot, painted by `srcli.training.pages`."""

from pathlib import Path

from srcli.data.benchmark_set import BenchmarkSet

__all__ = ["SET"]

SET = BenchmarkSet(
    name="screens",
    images=8,
    megapixels=0.39,
    origin="it comes with srcli",
    packaged=Path(__file__).parents[1] / "screens",
)
