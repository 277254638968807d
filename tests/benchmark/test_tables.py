"""Tables of `srcli bench`."""

from pathlib import Path
from typing import Any

import pytest

from srcli.benchmark.measure import Row
from srcli.benchmark.results import Run
from srcli.benchmark.tables import image_table, summary_tables
from tests.benchmark.conftest import Here, machine


def set5_psnr(settings: dict[str, Any], failed: dict[str, str], untried: int = 0) -> str:
    row = Row("adaformer exact", "a", 10, 10, 30.0, 0.9, (1.0,), 1.0, 1.0, None)
    whole = {"scale": 4, "protocol": "basicsr-y", "precision": "float32", **settings}
    tables = summary_tables(Run("Set5", whole, machine(), {}, (row,), failed, untried))
    return " ".join(cell for cells in tables[0].cells for cell in cells)


def test_published_figures_stand_beside_what_is_measured_alike():
    alike = {"whole_set": True}
    assert "32.43" in set5_psnr(alike, {})
    assert "32.43" not in set5_psnr({"whole_set": False}, {})
    for protocol in ("rgb", "camixer-rgb", "adaformer-y"):
        assert "32.43" not in set5_psnr({**alike, "protocol": protocol}, {})
    assert "32.43" not in set5_psnr(alike, {"b": "broken"})
    assert "32.43" not in set5_psnr(alike, {}, untried=1)


@pytest.mark.parametrize(
    ("words", "stands"),
    [
        (("-d", "B100"), True),
        (("-d", "B100", "--limit", "3"), False),
        (("-d", "B100", "--protocol", "rgb"), False),
        (("--hr", "B100"), False),
    ],
)
def test_published_figures_need_a_whole_set_by_name(
    words: tuple[str, ...], stands: bool,
    tiny: Path, bench_here: Here, monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    (tiny / "B100" / "B100").symlink_to(tiny / "B100" / "x4" / "HR")
    monkeypatch.chdir(tiny / "B100")
    code, out, err = bench_here(*words, "--data-root", tiny, "-m", "bicubic", "--repeats", "1")
    assert code == 0, err
    assert ("25.96 (the literature)" in out) is stands


def test_a_images_median_is_between_two_runs():
    row = Row("net", "a", 10, 10, None, None, (1.0, 3.0), None, None, None)
    (cells,) = image_table(Run("Set5", {"scale": 4}, machine(), {}, (row,), {})).cells
    assert cells[5] == "2"
