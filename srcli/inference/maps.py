"""Maps of what an adaptive network did, put together from an image's parts."""

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srcli.errors import UsageError
from srcli.geometry import Tile, TileSpan
from srcli.inference.image_conversion import AnyImage
from srcli.inference.report import Report
from srcli.models.spec import LayerTrace, SROutput

__all__ = [
    "Explanation",
    "LayerMaps",
    "Map",
    "MapStitcher",
    "PureMaps",
]

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


class MapStitcher:
    """Collects the traces of the parts of one image.

    Args:
        height: Of the image, LR px.
        width: Likewise.
    """

    computed_pixels: int
    """LR px that went through the network, extension and context of blended tiles included."""

    def __init__(self, height: int, width: int) -> None:
        self._size = height, width
        self.begin()

    def begin(self) -> None:
        """The image begins, or begins again."""
        self.computed_pixels = 0
        self._row = 0
        self._maps: dict[str, Map] = {}
        self._layers = 0
        self._has_pure = False

    def add_tile(self, tile: Tile, output: SROutput) -> None:
        """Take in a tile: where it lies, and what the network told about it."""
        rows, columns = tile.rows, tile.columns
        area = (rows.crop_stop - rows.crop_start) * (columns.crop_stop - columns.crop_start)
        if output.layers:
            area = self._put_layers(output.layers, (rows, columns))
        if output.pure is not None:
            area = output.pure.mask.numel()
            self._has_pure = True
            self._put("pure", output.pure.mask, (rows, columns))
            self._put("classes", output.pure.classes.to(torch.int16), (rows, columns))
        self.computed_pixels += area

    def add_band(self, layers: tuple[LayerTrace, ...]) -> None:
        """Take in the next band of the whole width, from top to bottom."""
        if not layers:
            return
        height, width = self._size
        start, stop = self._row, min(self._row + layers[0].global_mask.shape[2], height)
        spans = TileSpan(start, stop, start, stop), TileSpan(0, width, 0, width)
        self.computed_pixels += self._put_layers(layers, spans)
        self._row = stop

    def end_bands(self, lr: Tensor) -> None:
        """Count the pixels of `lr` (1, 3, h, w) if the network has no layers that tell of them."""
        if not self._layers:
            self.computed_pixels += lr.shape[2] * lr.shape[3]

    def layers(self) -> tuple[LayerMaps, ...]:
        """The maps of every adaptive layer."""
        return tuple(
            LayerMaps(
                confidence=self._maps.get(f"confidence{number}"),
                local_mask=self._maps[f"local{number}"],
                global_mask=self._maps[f"global{number}"],
            )
            for number in range(self._layers)
        )

    def pure(self) -> PureMaps | None:
        """The pure pixels, of a network that exempts them."""
        if not self._has_pure:
            return None
        return PureMaps(mask=self._maps["pure"], classes=self._maps["classes"])

    def _put_layers(self, layers: tuple[LayerTrace, ...], spans: tuple[TileSpan, TileSpan]) -> int:
        """Copy the core of a part's maps into the image's; how many px the part has."""
        self._layers = len(layers)
        for number, layer in enumerate(layers):
            window = layer.global_mask.shape[3] // layer.local_mask.shape[3]
            self._put(f"local{number}", layer.local_mask, spans, window, window)
            self._put(f"global{number}", layer.global_mask, spans, window)
            if layer.confidence_map is not None:
                self._put(f"confidence{number}", layer.confidence_map.float(), spans, window)
        return layers[0].global_mask.numel()

    def _put(
        self,
        name: str,
        values: Tensor,
        spans: tuple[TileSpan, TileSpan],
        extended: int = 1,
        unit: int = 1,
    ) -> None:
        """Copy the core of a tile's map into the image's.

        Args:
            name: Of the map.
            values: (1, 1, h, w), the tile's.
            spans: Where the tile lies.
            extended: The map covers the image extended to multiples of this many LR px.
            unit: LR px to a side of each value.
        """
        array = values[0, 0].cpu().numpy()
        sides = [-(-side // extended) * extended // unit for side in self._size]
        if name not in self._maps:
            self._maps[name] = np.zeros(sides, array.dtype)
        into: list[slice] = []
        out_of: list[slice] = []
        for span, length, side in zip(spans, self._size, sides, strict=True):
            start, offset = span.core_start // unit, span.crop_start // unit
            stop = side if span.core_stop == length else span.core_stop // unit
            into.append(slice(start, stop))
            out_of.append(slice(start - offset, stop - offset))
        self._maps[name][tuple(into)] = array[tuple(out_of)]
