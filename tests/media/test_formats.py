"""The registry of formats: what each file in `media/formats/` promises."""

from pathlib import Path

import pytest

from srcli.cli.upscale_options import FORMAT_OPTIONS
from srcli.jobs.preflight import estimated_bytes
from srcli.media import FORMATS, ImageInfo, format_of_name, suffix_of


def test_format_option_offers_every_format_that_has_a_name_for_it() -> None:
    named = {format.option for format in FORMATS.values() if format.option}
    assert named == set(FORMAT_OPTIONS) - {"same"}


@pytest.mark.parametrize("name", FORMATS)
def test_each_suffix_belongs_to_one_format(name: str) -> None:
    assert format_of_name(Path("a" + suffix_of(name).upper())) == name


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("result", FORMATS)
def test_disk_estimate_knows_every_pair_of_formats(source: str, result: str) -> None:
    page = ImageInfo(source, 100, 80, 3, bits=8)
    assert 0 < estimated_bytes(result, 400, 320, page, 24_000) <= 400 * 320 * 3
