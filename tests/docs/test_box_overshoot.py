"""The measurement of ghost outlines beside 1-px boxes."""

from types import ModuleType

import numpy as np
import pytest

from srcli.data.resize import resize
from tests.forked_python import ROOT
from tests.load_program import load_program


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    return load_program(ROOT / "docs" / "measure" / "box_overshoot.py")


def test_sharp_edges_do_not_overshoot_and_ghosts_do(measure: ModuleType):
    lr = measure.screen((200, 200, 200), (60, 60, 60))
    sr = lr.repeat(4, 0).repeat(4, 1)
    assert measure.overshoot(lr, sr).max() == 0
    sr[4 * 6 - 2, 100] = 230  # beside a line, brighter than the ground
    sr[4 * 6 - 1, 120] = 100  # beside a line, between line and ground
    sr[4 * 6 - 7, 140] = 185  # two px away, darker than the ground
    sr[4 * 6, 160] = 0  # the line itself, finer and darker
    found = measure.overshoot(lr, sr)
    assert (found[22, 100] == 30).all()
    assert (found[17, 140] == 15).all()
    assert np.count_nonzero(found.any(-1)) == 2


def test_bicubic_overshoots_by_a_tenth_and_a_half_of_the_contrast(measure: ModuleType):
    lr = measure.screen((200, 200, 200), (60, 60, 60))
    largest = measure.overshoot(lr, resize(lr, 256, 256)).max()
    assert 0.05 * 140 < largest < 0.2 * 140
