"""Exact tiling: an image computed in parts, with the result of the whole.

The image streams through the network from top to bottom. Strips of it are encoded tile by tile,
each tile with as much around it as its convolutions see. The strips' features go, in bands of the
whole width, through the adaptive layers, which pass on from band to band what they need of each
other. What comes out is gathered until a strip and the rows around it are complete, and is
decoded tile by tile. So only some strips of features exist at any time, however tall the image.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from srcli.geometry import TileGrid, TileSpan
from srcli.models.spec import AttendedBand, BandedNetwork, Halting, LayerTrace

__all__ = ["OutputTile", "band_rows", "exact_parts"]

_CPU_BAND = 1 << 16  # LR px that a band has at least: below, small tensors cost time
_BAND = 1 << 18  # the same elsewhere, where kernels should be large


@dataclass(frozen=True)
class OutputTile:
    """A finished rectangle of the result.

    Args:
        top: First row, SR px.
        left: First column, SR px.
        image: (3, h, w).
    """

    top: int
    left: int
    image: Tensor


def exact_parts(
    network: BandedNetwork,
    lr: Tensor,
    grid: TileGrid,
    halting: Halting,
    on_layers: Callable[[tuple[LayerTrace, ...]], None],
) -> Iterator[OutputTile]:
    """Upscale an image tile by tile; the parts together are what `network(lr)` gives.

    Args:
        network: Can be computed in bands.
        lr: (1, 3, h, w) in [0, 1], on the network's device.
        grid: The tiles; their cores start on multiples of the network's `band`.
        halting: When tokens stop being computed.
        on_layers: Called with the traces of each band, from top to bottom.

    Yields:
        One part for each tile, in reading order.
    """
    height, width = (side * network.scale for side in lr.shape[2:])
    lr = network.extend(lr)
    rows = _reaches(grid.rows, network.decoder_halo, lr.shape[2])
    columns = _reaches(grid.columns, network.decoder_halo, lr.shape[3])
    window = _RowWindow(network.attend(_encoded(network, lr, grid), halting), on_layers)
    for y in rows:
        window.move(y.start, y.stop)
        for x in columns:
            features = window.crop(x.start, x.stop)
            image = network.decode(features, lr[..., y.start : y.stop, x.start : x.stop])
            top, left = y.core * network.scale, x.core * network.scale
            image = image[0, :, y.inner(network.scale), x.inner(network.scale)]
            yield OutputTile(top, left, image[:, : height - top, : width - left])


@dataclass(frozen=True)
class _Reach:
    """One tile along one axis of the extended image, LR px.

    Args:
        start: First px that the convolutions see.
        stop: First px that they no longer see.
        core: First px that belongs to the tile.
        length: Px that belong to it.
    """

    start: int
    stop: int
    core: int
    length: int

    def inner(self, scale: int = 1) -> slice:
        """Where the core lies within what is seen."""
        start = (self.core - self.start) * scale
        return slice(start, start + self.length * scale)


def _reaches(spans: Sequence[TileSpan], halo: int, extended: int) -> list[_Reach]:
    """The tiles of an axis; the last also has what the image was extended by."""
    starts = [span.core_start for span in spans]
    return [
        _Reach(max(start - halo, 0), min(stop + halo, extended), start, stop - start)
        for start, stop in pairwise([*starts, extended])
    ]


def _encoded(network: BandedNetwork, lr: Tensor, grid: TileGrid) -> Iterator[Tensor]:
    """The features of an extended image, strip by strip, in bands."""
    columns = _reaches(grid.columns, network.encoder_halo, lr.shape[3])
    height = band_rows(lr.device, network.band, lr.shape[3])
    for y in _reaches(grid.rows, network.encoder_halo, lr.shape[2]):
        parts = [
            network.encode(lr[..., y.start : y.stop, x.start : x.stop])[..., y.inner(), x.inner()]
            for x in columns
        ]
        strip = parts.pop() if len(parts) == 1 else torch.cat(parts, 3)
        parts.clear()
        yield from strip.split(height, 2)
        del strip  # the bands hold what is still needed of it


def band_rows(device: torch.device, band: int, width: int) -> int:
    """Rows of a band of `width` LR px, a multiple of `band`: so many that the device is busy.

    More would be no faster, and every layer holds one back.
    """
    least = _CPU_BAND if device.type == "cpu" else _BAND
    return band * max(1, -(-least // (width * band)))


class _RowWindow:
    """The rows of features that the decoder sees, on their way from top to bottom."""

    def __init__(
        self,
        bands: Iterator[AttendedBand],
        on_layers: Callable[[tuple[LayerTrace, ...]], None],
    ) -> None:
        self._bands = bands
        self._on_layers = on_layers
        self._held: deque[Tensor] = deque()
        self._top = 0  # of what is held
        self._bottom = 0
        self._seen = slice(0)

    def move(self, start: int, stop: int) -> None:
        """Show the rows from `start` to `stop`; none above `start` is asked for again."""
        while self._bottom < stop:
            band = next(self._bands)
            self._held.append(band.features)
            self._bottom += band.features.shape[2]
            self._on_layers(band.layers)
        while self._top + self._held[0].shape[2] <= start:
            self._top += self._held.popleft().shape[2]
        self._seen = slice(start - self._top, stop - self._top)

    def crop(self, left: int, right: int) -> Tensor:
        """The rows shown, from column `left` to `right`, (1, c, h, w)."""
        return torch.cat([band[..., left:right] for band in self._held], 2)[:, :, self._seen]
