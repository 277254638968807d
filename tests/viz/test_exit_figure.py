"""AdaFormer's Fig. 6: the image, the confidence and both masks, each with its legend."""

import numpy as np
from PIL import Image

from srcli.viz.exit_figure import draw_exit_figure
from srcli.viz.map_types import KINDS
from srcli.viz.paint import draw_map
from tests.viz.conftest import Case


def test_four_panels_show_image_confidence_and_both_masks(case: Case):
    figure = np.asarray(draw_exit_figure(case.explained, case.pixels))
    size, extent = (451, 800), (44, 78)
    image = Image.fromarray(case.pixels).resize((800, 451), Image.Resampling.BICUBIC)
    assert np.array_equal(figure[:451, :800], np.asarray(image))
    last = len(case.explained.layers)
    panels = {
        kind: np.asarray(
            draw_map(KINDS[kind].paint(case.explained, n), size, extent).convert("RGB")
        )
        for kind, n in (("global", last), ("confidence", last - 1), ("local", last))
    }
    lower = len(panels["global"]) + 12
    assert figure.shape == (lower + len(panels["confidence"]), 2 * 800 + 12, 3)
    for kind, top, left in (("global", 0, 812), ("confidence", lower, 0), ("local", lower, 812)):
        height, width, _ = panels[kind].shape
        assert np.array_equal(figure[top : top + height, left : left + width], panels[kind])
