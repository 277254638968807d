"""An image, its confidence and what of it halted, as AdaFormer's Fig. 6 shows them."""

import numpy as np
from PIL import Image

from srcli.inference.planes import Pixels
from srcli.viz.colours import GROUND
from srcli.viz.map_types import KINDS, Explained
from srcli.viz.paint import draw_map
from srcli.viz.pixels import as_rgb, fitted

__all__ = ["draw_exit_figure"]

_PANEL = 800  # px, the longer side of each of the four
_GAP = 12


def draw_exit_figure(explained: Explained, pixels: Pixels) -> Image.Image:
    """Original above confidence on the left; tokens above windows that halted on the right.

    The masks are those of the last layer, and the confidence that of the last layer before it, on
    which they depend.

    Args:
        explained: What happened, of a network with layers.
        pixels: The input, (h, w, c).
    """
    last = len(explained.layers)
    image = fitted(Image.fromarray(as_rgb(np.asarray(pixels))), _PANEL, _PANEL)
    extent = pixels.shape[0], pixels.shape[1]
    size = image.height, image.width
    confidence, tokens, windows = (
        draw_map(KINDS[kind].paint(explained, layer), size, extent)
        for kind, layer in (("confidence", max(1, last - 1)), ("global", last), ("local", last))
    )
    rows = (image, tokens), (confidence, windows)
    heights = [max(part.height for part in row) for row in rows]
    width = max(part.width for row in rows for part in row)
    figure = Image.new("RGB", (2 * width + _GAP, sum(heights) + _GAP), GROUND)
    for row, top in zip(rows, (0, heights[0] + _GAP), strict=True):
        for part, left in zip(row, (0, width + _GAP), strict=True):
            figure.paste(part.convert("RGB"), (left, top))
    return figure
