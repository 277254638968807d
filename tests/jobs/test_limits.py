"""Sizes that a format cannot hold are known from the header."""

from pathlib import Path

import pytest

from srcli.errors import ImageTooLarge
from srcli.jobs.job import Job
from srcli.jobs.preflight import SizeLimits, require_sizes
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
