"""One explained photograph for all tests of its images."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli import Explanation, Upscaler
from srcli.models.layers.attention import LocalAttention
from srcli.viz.files import MaskFiles, write_files
from srcli.viz.map_types import KINDS
from srcli.viz.stats import DenseCost, MaskStats, stats_of

SAMPLE = Path(__file__).parents[2] / "docs" / "samples" / "norway" / "bryggen.webp"
NAME = 'ship & <b>"quay".webp'


@dataclass(frozen=True)
class Case:
    """An image that is no multiple of windows, what happened, and the files about it."""

    pixels: np.ndarray
    explained: Explanation[np.ndarray]
    stats: MaskStats
    executed: list[int]
    folder: Path


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    pixels = np.asarray(Image.open(SAMPLE).convert("RGB"))[50:94, 60:138]
    up = Upscaler(device="cpu", precision="fp32", tile=0)
    executed: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        forward = LocalAttention.forward

        def counted(self: LocalAttention, windows):
            executed.append(len(windows))
            return forward(self, windows)

        patch.setattr(LocalAttention, "forward", counted)
        explained = up.explain(pixels)
    dense = DenseCost(flops=3e6, seconds=1e-5)
    stats = stats_of(explained, pixels, model="adaformer", effort="balanced", dense=dense)
    folder = tmp_path_factory.mktemp("masks")
    kinds = [kind for kind in KINDS.values() if kind.needs == "layers"]
    wanted = MaskFiles(kinds, range(1, 7), "png", npz=True, html=True)
    write_files(folder, explained, pixels, stats, wanted, NAME)
    return Case(pixels, explained, stats, executed, folder)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A headless Chromium."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        pytest.skip("no Chromium here: apt install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"], timeout=300_000
        )
        yield browser
        browser.close()
