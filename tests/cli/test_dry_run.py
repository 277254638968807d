"""The time that a dry run foretells."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from srcli.cli import dry_run
from srcli.cli.run_options import NetworkOptions
from srcli.errors import UnknownScale
from srcli.jobs.job import Job
from srcli.jobs.preflight import Forecast
from srcli.media import ImageInfo

ENGINE = NetworkOptions(
    "adaformer", "fast", None, None, "cpu", "fp32", compiled=False, yes=False, offline=True
)


def foreseen(size: tuple[int, int] | None, pixels: int) -> Forecast:
    info = ImageInfo("png", 10, 10, 3, 8) if size else None
    return Forecast(Job(Path("a.png"), Path("b.png"), "png"), info, size, 0, pixels=pixels)


def test_each_image_is_timed_with_the_network_that_will_make_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One network makes x2, another x3; nothing makes x9, and a reduction needs none."""

    def entry_for_growth(model: str, needed: int) -> SimpleNamespace:
        if needed > 4:
            raise UnknownScale(f"{model} has no scale {needed}")
        return SimpleNamespace(scale=max(needed, 2))

    monkeypatch.setattr(dry_run, "entry_for_growth", entry_for_growth)
    monkeypatch.setattr(dry_run, "_pace", lambda _, scale: float(10**scale))
    forecasts = [
        foreseen((15, 15), 1),
        foreseen((20, 20), 2),
        foreseen((21, 21), 5),
        foreseen((90, 90), 7),
        foreseen((10, 10), 7),
        foreseen(None, 0),
    ]
    assert dry_run._seconds(forecasts, ENGINE) == 3 * 100 + 5 * 1000


def test_the_network_is_really_timed() -> None:
    assert dry_run._pace(ENGINE, 2) > 0  # made by x4 weights, and reduced
