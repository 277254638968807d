"""The report, in a real browser, from file://."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.inference.maps import PureMaps
from srcli.viz.colours import HALTED, LIVE
from srcli.viz.files import REPORT
from srcli.viz.html import build_report
from srcli.viz.map_types import KINDS
from tests.viz import browsing


@pytest.fixture
def page(browser, case) -> Iterator[object]:
    with opened(browser, case.folder / REPORT) as page:
        yield page


@contextmanager
def opened(browser, path: Path) -> Iterator[object]:
    """A report whose maps can be seen."""
    with browsing.opened(browser, path, viewport={"width": 1000, "height": 900}) as page:
        page.wait_for_function("document.getElementById('overlay').naturalWidth > 0")
        yield page


def shown(page) -> np.ndarray:
    return browsing.shown(page, "#stage")


def centres(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The colour in the middle of each whole window of the 44×78 px image."""
    y = ((np.arange(rows) * 8 + 4) / 44 * pixels.shape[0]).astype(int)
    x = ((np.arange(columns) * 8 + 4) / 78 * pixels.shape[1]).astype(int)
    return pixels[y[:, None], x]


def set_range(page, name: str, value: int) -> None:
    browsing.set_range(page.locator(f"#{name}"), value)


def test_screenshots_are_the_arrays(page, case) -> None:
    set_range(page, "opacity", 100)
    set_range(page, "split", 0)
    page.select_option("#kind", label=KINDS["local"].title)
    seen = []
    for layer in (1, 3, 6):
        set_range(page, "layer", layer)
        colours = centres(shown(page), 5, 9)
        halted = np.abs(colours - np.array(HALTED)).sum(-1) < 12
        live = np.abs(colours - np.array(LIVE)).sum(-1) < 12
        assert (halted | live).all()
        assert np.array_equal(halted, case.explained.layers[layer - 1].local_mask[:5, :9])
        seen.append(halted.sum())
    assert seen == sorted(seen)
    assert seen[0] == 0 < seen[-1]


def test_depth_is_shown_first(page, case) -> None:
    assert page.locator("#kind").evaluate("e => e.selectedOptions[0].text") == KINDS["depth"].title
    assert page.locator("#layer").is_disabled()
    set_range(page, "opacity", 100)
    set_range(page, "split", 0)
    painted = KINDS["depth"].paint(case.explained, 0)
    colours = centres(shown(page), 5, 9)
    distance = np.abs(colours[:, :, None] - painted.palette.astype(int)).sum(-1)
    assert np.array_equal(distance.argmin(-1), case.explained.depth[:5, :9])
    for swatch in painted.legend:
        assert swatch.label in page.locator("#legend").inner_text()


def test_before_and_after(page, case) -> None:
    set_range(page, "opacity", 0)
    set_range(page, "split", 0)
    after = shown(page)
    set_range(page, "split", 100)
    before = shown(page)
    set_range(page, "split", 50)
    half = shown(page)
    middle = half.shape[1] // 2
    assert np.array_equal(half[:, : middle - 4], before[:, : middle - 4])
    assert np.array_equal(half[:, middle + 4 :], after[:, middle + 4 :])
    assert np.abs(before - after).mean() > 1
    size = (after.shape[1], after.shape[0])
    result = Image.fromarray(case.explained.image).resize(size, Image.Resampling.BILINEAR)
    assert np.abs(after - np.asarray(result).astype(int)).mean() < 6


def test_opacity_mixes(page) -> None:
    set_range(page, "split", 0)
    images = []
    for value in (0, 50, 100):
        set_range(page, "opacity", value)
        images.append(shown(page))
    nothing, half, full = images
    assert np.abs((nothing + full) / 2 - half).max() <= 2


def test_pointing_tells_the_window(page, case) -> None:
    page.select_option("#kind", label=KINDS["confidence"].title)
    set_range(page, "layer", 2)
    box = page.locator("#stage").bounding_box()
    row, column = 3, 7
    page.locator("#stage").hover(
        position={
            "x": (column * 8 + 4) / 78 * box["width"],
            "y": (row * 8 + 4) / 44 * box["height"],
        }
    )
    check_readout(page, case, row, column, layer=2)
    outline = page.locator("#cursor").bounding_box()
    assert outline["width"] == pytest.approx(8 / 78 * box["width"], abs=1)
    assert outline["x"] - box["x"] == pytest.approx(column * 8 / 78 * box["width"], abs=1)
    page.mouse.move(1, 1)
    assert "arrow keys" in page.locator("#readout").inner_text()


def check_readout(page, case, row: int, column: int, layer: int) -> None:
    text = page.locator("#readout").inner_text()
    square = np.s_[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
    confidence = case.explained.layers[layer - 1].confidence[square].mean()
    score = case.explained.score(layer)[square].mean()
    depth = case.explained.depth[row, column]
    assert f"window {column + 1}, {row + 1}" in text
    assert ("all 6 layers" if depth == 6 else f"halted after layer {depth} ") in text + " "
    told = re.search(r"confidence ([\d.]+), score ([\d.]+)", text)
    assert float(told[1]) == pytest.approx(confidence, abs=6e-4)
    assert float(told[2]) == pytest.approx(score, abs=6e-4)


def test_the_keyboard_reaches_everything(page, case) -> None:
    """No pointer: every control gets the focus by Tab and obeys the arrow keys."""
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.id")
        reached.append(name)
        if name == "stage":
            for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
                page.keyboard.press(key)
            check_readout(page, case, 1, 0, layer=4)
        elif name == "split":
            page.keyboard.press("End")
            assert page.locator("#split-value").inner_text() == "100 : 0"
        elif name == "kind":
            page.keyboard.press("Home")
            assert page.locator("#layer").is_enabled()
        elif name == "layer":
            before = page.locator("#overlay").get_attribute("src")
            page.keyboard.press("ArrowRight")
            assert page.locator("#layer-value").inner_text() == "5 of 6"
            assert page.locator("#overlay").get_attribute("src") != before
        elif name == "opacity":
            page.keyboard.press("Home")
            assert page.locator("#overlay").evaluate("e => e.style.opacity") == "0"
        elif name == "actual":
            page.keyboard.press("Space")
            assert page.locator("#stage").bounding_box()["width"] == pytest.approx(312, abs=1)
    assert reached == ["stage", "split", "kind", "layer", "opacity", "actual"]


def test_pure_pixels(browser, case, tmp_path: Path) -> None:
    """The report of a network in which nothing halts, but some pixels are exempt."""
    classes = (np.arange(44 * 78) // 400 % 3).astype(np.int16).reshape(44, 78)
    maps = PureMaps(mask=classes != 1, classes=classes)
    explained = replace(case.explained, layers=(), pure=maps, threshold=None)
    kinds = [kind for kind in KINDS.values() if kind.needs in ("pure", "classes")]
    stats = replace(case.stats, halted_windows=(), halted_pixels=(), depth_shares=())
    stats = replace(stats, pure_pixels=float(maps.mask.mean()))
    text = build_report(explained, case.pixels, stats, kinds, "a.png")
    (tmp_path / REPORT).write_text(text, "utf-8")
    with opened(browser, tmp_path / REPORT) as page:
        set_range(page, "opacity", 100)
        set_range(page, "split", 0)
        pixels = shown(page)
        y, x = np.mgrid[2:44:5, 2:78:5]
        colours = pixels[
            ((y + 0.5) / 44 * pixels.shape[0]).astype(int),
            ((x + 0.5) / 78 * pixels.shape[1]).astype(int),
        ]
        pure = np.abs(colours - np.array(HALTED)).sum(-1) < 12
        assert np.array_equal(pure, maps.mask[y, x])
        page.locator("#stage").hover()
        page.select_option("#kind", label=KINDS["classes"].title)
        assert page.locator("#legend li").count() == 1 + 2
        assert page.locator("#layer").is_disabled()


def test_names_cannot_break_out(page) -> None:
    assert page.locator("h1").inner_text().startswith('ship & <b>"quay".webp: adaformer x4')
    assert page.locator("h1 b").count() == 0


def test_the_page_holds_everything(case) -> None:
    """Nothing in it points anywhere else."""
    text = (case.folder / REPORT).read_text("utf-8")
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:)|https?://|@import|url\(", text)
    assert "default-src 'none'" in text
