"""Colours that mean something: readable by colour-blind people, in greyscale too.

Everywhere in srcli's images bright means easy (sure, halted), dark means hard (unsure, live).
"""

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "GROUND",
    "HALTED",
    "INK",
    "LIVE",
    "PARTLY",
    "RGB",
    "SEQUENCE",
    "SMOOTH",
    "hexadecimal",
    "viridis",
]

RGB = tuple[int, int, int]

# Viridis, every sixteenth entry: Stéfan van der Walt and Nathaniel Smith for matplotlib, 2015
# (CC0, https://bids.github.io/colormap). Its lightness rises evenly, also seen without red or
# green cones and in gray.
_ANCHORS = (
    "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c "
    "1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725"
)


def viridis(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The colours of values in [0, 1], (..., 3) uint8; what lies beyond takes the end's colour."""
    anchors = np.array([list(bytes.fromhex(code)) for code in _ANCHORS.split()], np.float64)
    place = np.linspace(0.0, 1.0, len(anchors))
    channels = [np.interp(values, place, anchors[:, channel]) for channel in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)


def _at(value: float) -> RGB:
    red, green, blue = viridis(np.array(value)).tolist()
    return red, green, blue


LIVE = _at(0.0)
PARTLY = _at(0.5)
HALTED = _at(1.0)
SMOOTH: RGB = (255, 255, 255)
SEQUENCE = viridis(np.linspace(0.0, 1.0, 240))
"""240 colours from 0 to 1, (240, 3) uint8."""

GROUND: RGB = (24, 26, 31)  # of legends and sheets: a dark of its own, whatever the viewer's
INK: RGB = (236, 238, 240)


def hexadecimal(colour: RGB) -> str:
    """As HTML writes a colour.

    >>> hexadecimal((0, 34, 78))
    '#00224e'
    """
    return "#" + bytes(colour).hex()
