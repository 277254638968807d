"""Sizes that a format cannot hold are known from the header."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from srcli.errors import ImageTooLarge
from srcli.jobs.job import Job
from srcli.jobs.preflight import require_sizes
from srcli.jobs.size_limits import SizeLimits
from srcli.jobs.target_size import TargetSize
from srcli.media import FORMATS, ImageInfo

_NONE = SizeLimits("adaformer", 10**6, 1e12)


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_a_side_beyond_the_format_is_refused_with_one_that_can(format: str) -> None:
    job = Job(Path("a.png"), Path(f"b.{format}"), format)
    most = FORMATS[format].max_side
    info = ImageInfo("png", 1, most // 2, 3, 8)
    require_sizes(job, [info], TargetSize(height=most), _NONE)
    with pytest.raises(ImageTooLarge, match=f"{most} px a side of {format.upper()}.*png or tiff"):
        require_sizes(job, [info, info], TargetSize(height=most + 1), _NONE)


def test_megapixels_beyond_the_limit_are_refused_with_the_option() -> None:
    job = Job(Path("a.png"), Path("b.png"), "png")
    with pytest.raises(ImageTooLarge, match=r"limit is 0\.1; hint: --max-output-megapixels"):
        require_sizes(
            job,
            [ImageInfo("png", 500, 100, 3, 8)],
            TargetSize(scale=2.0),
            SizeLimits("adaformer", 4, 0.1),
        )


@pytest.mark.parametrize("old", [(8, 8), (30000, 20), (30000, 2000), (70000, 100)])
@pytest.mark.parametrize("limit", [0.01, 10, 4096, 1e6])
@pytest.mark.parametrize("format", ["jpeg", "webp", "png"])
def test_a_remedy_never_leads_to_the_next_refusal(
    old: tuple[int, int], limit: float, format: str
) -> None:
    """Follow the hint: then the size is allowed."""
    asked = TargetSize(width=100000)
    limits = SizeLimits("adaformer", 4, limit)
    try:
        limits.check(Path("a.png"), old, asked.size(*old), format)
    except ImageTooLarge as error:
        hint = str(error).partition("hint: ")[2]
    else:
        return
    if size := re.match(r"ask for (\d+)x(\d+) or less(, or upscale)?", hint):
        limits.check(Path("a.png"), old, (int(size[1]), int(size[2])), format)
        if size[3]:
            limits.check(Path("a.png"), (50000, 50000), asked.size(*old), format)
        return
    if raised := re.search(r"--max-output-megapixels ([\d.]+)", hint):
        limits = replace(limits, max_output_megapixels=float(raised[1]))
    if "--format" in hint:
        format = "png"
    limits.check(Path("a.png"), old, asked.size(*old), format)
