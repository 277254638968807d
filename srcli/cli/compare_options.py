"""The options of `srcli upscale` for the page that compares bicubic and result."""

from dataclasses import dataclass

import click

from srcli.cli.grouping import Decorator, grouped

__all__ = ["CompareOptions", "compare_options"]


@dataclass(frozen=True)
class CompareOptions:
    """Options for a page that compares."""

    compare: bool
    show: bool

    @property
    def wanted(self) -> bool:
        """A page is asked for."""
        return self.compare or self.show


compare_options: Decorator = grouped(
    "comparing",
    CompareOptions,
    click.option(
        "--compare",
        is_flag=True,
        help="Write a page with a slider between bicubic and result for each image (20 at most), "
        "also of results that exist: compare.html in the output folder, or STEM_x4_compare.html.",
    ),
    click.option(
        "--open", "show", is_flag=True, help="Write that page and open it in the browser."
    ),
)
