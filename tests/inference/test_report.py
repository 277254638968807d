"""Costs of several images, added."""

import pytest

from srcli.inference.report import Report, add_reports


def report(megapixels: float, windows: tuple[float, ...]) -> Report:
    return Report(1.0, 2, 1, 0, megapixels, windows, exact=True)


def test_shares_are_those_of_the_images_that_computed() -> None:
    both = add_reports([report(3, (1.0, 0.5)), report(9, ()), report(1, (0.2, 0.1))])
    assert both.live_windows == pytest.approx((0.8, 0.4))
    assert (both.megapixels, both.seconds, both.tiles) == (13, 3, 6)


def test_different_networks_have_no_shares_in_common() -> None:
    assert add_reports([report(1, (1.0, 0.5)), report(1, (1.0,))]).live_windows == ()
    assert add_reports([report(1, ()), report(0, ())]).live_windows == ()


def test_hundreds_of_thousands_of_frames_add_up_at_once() -> None:
    """One report a frame: a film has more of them than a square of them could be worked through."""
    whole = add_reports([report(2, (1.0, 0.25))] * 200_000)
    assert whole.live_windows == pytest.approx((1.0, 0.25))
    assert whole.megapixels == 400_000
