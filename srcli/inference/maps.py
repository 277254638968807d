"""Maps of what an adaptive network did, as arrays over the whole image."""

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from srcli.errors import UsageError
from srcli.inference.image_kinds import AnyImage
from srcli.inference.report import Report

__all__ = ["Explanation", "LayerMaps", "Map", "PureMaps"]

Map = NDArray[Any]


@dataclass(frozen=True)
class LayerMaps:
    """Windows and pixels that halted before one layer, and the confidence after it.

    h and w are those of the LR image extended right and down to whole windows of S px.

    Args:
        confidence: (h, w) float32 in [0, 1], estimated from the layer's output (AdaFormer,
            Eq. 15); windows in which all has halted keep the last value. None for a network that
            estimates none.
        local_mask: (h / S, w / S) bool, True = this window sat out the local branch (Eq. 19).
        global_mask: (h, w) bool, True = this pixel sat out the global branch (Eq. 22).
    """

    confidence: Map | None
    local_mask: Map
    global_mask: Map

    @property
    def halted_windows(self) -> float:
        """The share of windows that sat out the local branch, in [0, 1] (AdaFormer, Fig. 4)."""
        return float(self.local_mask.mean())

    @property
    def halted_pixels(self) -> float:
        """The share of pixels that sat out the global branch, in [0, 1] (AdaFormer, Fig. 4)."""
        return float(self.global_mask.mean())


@dataclass(frozen=True)
class PureMaps:
    """Exempt pixels, and the colour classes that made them so (Pure-Pass).

    Args:
        mask: (h, w) bool, True = pure; h and w of the LR image.
        classes: (h, w) int16, the number of the nearest colour centre.
    """

    mask: Map
    classes: Map


@dataclass(frozen=True)
class Explanation(Generic[AnyImage]):
    """A result, what it took, and where the network looked.

    Args:
        image: As `Upscaler.upscale` gives it: explaining changes no pixel.
        report: What it took.
        scale: SR px per LR px to a side.
        threshold: The accumulated confidence at which windows and pixels halted; None if nothing
            was to halt.
        layers: The maps of each adaptive layer; empty for a network that has none.
        pure: The pure pixels; None for a network that exempts none.
        flops: Floating-point operations executed, a multiply-add counted twice, element-wise work
            not counted.
        computed_pixels: LR px that went through the network, tiles' context, extension and a
            separately upscaled alpha channel included.
    """

    image: AnyImage
    report: Report
    scale: float
    threshold: float | None
    layers: tuple[LayerMaps, ...]
    pure: PureMaps | None
    flops: int
    computed_pixels: int

    @property
    def window(self) -> int:
        """Side of a window, LR px; 0 without adaptive layers."""
        if not self.layers:
            return 0
        return self.layers[0].global_mask.shape[1] // self.layers[0].local_mask.shape[1]

    def score(self, layer: int) -> Map:
        """The confidence accumulated after a layer, (h, w) float32 (AdaFormer, Eq. 18).

        Args:
            layer: 1 for the first.

        Raises:
            UsageError: No such layer, or the network estimates no confidence.
        """
        if not 1 <= layer <= len(self.layers):
            raise UsageError(f"layer must be 1 to {len(self.layers)}, got {layer}")
        maps = [one.confidence for one in self.layers[:layer] if one.confidence is not None]
        if len(maps) < layer:
            raise UsageError("this network estimates no confidence: it has no halting score")
        total = np.zeros_like(maps[0])
        for confidence in maps:
            total += confidence
        return total

    @property
    def depth(self) -> Map:
        """The number of layers that each window was computed in, (h / S, w / S) uint8."""
        assert self.layers
        live = np.stack([~layer.local_mask for layer in self.layers])
        return live.sum(0, dtype=np.uint8)
