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
from srcli.inference.flat_blocks import FlatBlocks
from srcli.models.layers import sparse
from srcli.models.spec import AttendedBand, BandedNetwork, Halting, LayerTrace

__all__ = ["OutputTile", "band_heights", "exact_parts"]

_CPU_BAND = 1 << 16  # LR px that a band has at least: below, small tensors cost time
_BAND = 1 << 18  # the same elsewhere, where kernels should be large
_WINDOW = 8  # LR px to a window's side


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
    flat: FlatBlocks | None = None,
    on_spared: Callable[[int], None] = lambda _: None,
) -> Iterator[OutputTile]:
    """Upscale an image tile by tile; the parts together are what `network(lr)` gives.

    Args:
        network: Can be computed in bands.
        lr: (1, 3, h, w) in [0, 1], on the network's device.
        grid: The tiles; their cores start on multiples of the network's `band`.
        halting: When tokens stop being computed.
        on_layers: Called with the traces of each band, from top to bottom.
        flat: Blocks of the extended image that encoder and decoder are spared; None: none.
        on_spared: Called with the LR px that not all go through encoder's or decoder's blocks.

    Yields:
        One part for each tile, in reading order.
    """
    height, width = (side * network.scale for side in lr.shape[2:])
    lr = network.extend(lr)
    short = network.short_windows(lr, halting)
    crop = _Crop(lr, short, on_spared)
    rows = crop.reaches(grid.rows, network.decoder_halo, lr.shape[2])
    columns = crop.reaches(grid.columns, network.decoder_halo, lr.shape[3])
    bands = network.attend_short(_encoded(network, crop, grid, flat), halting, short)
    window = _RowWindow(bands, on_layers)

    def decode(y: _Reach, x: _Reach) -> Tensor:
        return network.decode_short(window.crop(y, x), *crop(y, x))

    for y in rows:
        window.move(y.start, y.stop)
        for x in columns:
            image = _computed(decode, y, x, flat, FlatBlocks.image, network.scale)
            top, left = y.core * network.scale, x.core * network.scale
            yield OutputTile(top, left, image[0, :, : height - top, : width - left])


@dataclass(frozen=True)
class _Reach:
    """One tile along one axis of the extended image, LR px.

    Args:
        start: First px that the convolutions see.
        stop: First px that they no longer see.
        core: First px that belongs to the tile.
        length: Px that belong to it.
        halo: Px on both sides that convolutions see, but for the image's border.
    """

    start: int
    stop: int
    core: int
    length: int
    halo: int

    @property
    def span(self) -> tuple[int, int]:
        """The tile's own rows or columns, first and past the last."""
        return self.core, self.core + self.length

    def part(self, start: int, stop: int) -> "_Reach":
        """The reach of some of the tile's rows or columns."""
        first, last = max(start - self.halo, self.start), min(stop + self.halo, self.stop)
        return _Reach(first, last, start, stop - start, self.halo)

    def inner(self, scale: int = 1) -> slice:
        """Where the core lies within what is seen."""
        start = (self.core - self.start) * scale
        return slice(start, start + self.length * scale)


def _reaches(spans: Sequence[TileSpan], halo: int, extended: int) -> list[_Reach]:
    """The tiles of an axis; the last also has what the image was extended by."""
    starts = [span.core_start for span in spans]
    return [
        _Reach(max(start - halo, 0), min(stop + halo, extended), start, stop - start, halo)
        for start, stop in pairwise([*starts, extended])
    ]


@dataclass(frozen=True)
class _Crop:
    """Crops of an extended image, and of the map of its windows that go the short way.

    Args:
        lr: (1, 3, h, w).
        short: (1, h / S, w / S) bool; None: there is no such way.
        on_spared: Called with the px of each crop whose blocks are not computed as a whole.
    """

    lr: Tensor
    short: Tensor | None
    on_spared: Callable[[int], None]

    def reaches(self, spans: Sequence[TileSpan], halo: int, extended: int) -> list[_Reach]:
        """Tiles of an axis; of whole windows, where each is computed one way or the other."""
        if self.short is not None:
            halo = -(-halo // _WINDOW) * _WINDOW
        return _reaches(spans, halo, extended)

    def __call__(self, y: _Reach, x: _Reach) -> tuple[Tensor, Tensor | None]:
        """The part of the image that a tile sees, and of the map."""
        part = self.lr[..., y.start : y.stop, x.start : x.stop]
        if self.short is None:
            return part, None
        self.on_spared(part.shape[2] * part.shape[3])
        rows, columns = (slice(one.start // _WINDOW, -(-one.stop // _WINDOW)) for one in (y, x))
        return part, self.short[:, rows, columns]


def _computed(
    compute: Callable[[_Reach, _Reach], Tensor],
    y: _Reach,
    x: _Reach,
    flat: FlatBlocks | None,
    copy: Callable[[FlatBlocks, tuple[int, int], tuple[int, int]], Tensor],
    scale: int = 1,
) -> Tensor:
    """A tile (1, c, s·h, s·w): computed, or where it is flat copied.

    Args:
        compute: Gives what is seen of two axes, (1, c, s·h, s·w).
        y: The tile's rows.
        x: Its columns.
        flat: The flat blocks; None: none.
        copy: Gives rows and columns of the image, right where it is flat.
        scale: The s of the result.
    """
    live = None if flat is None else flat.live(y.span, x.span, y.halo)
    if flat is None or live is None:
        return compute(y, x)[..., y.inner(scale), x.inner(scale)]
    tile = copy(flat, y.span, x.span)
    spared = (y.stop - y.start) * (x.stop - x.start)
    for rows, columns in live:
        part_y, part_x = y.part(*rows), x.part(*columns)
        spared -= (part_y.stop - part_y.start) * (part_x.stop - part_x.start)
        part = compute(part_y, part_x)[..., part_y.inner(scale), part_x.inner(scale)]
        top, left = (rows[0] - y.core) * scale, (columns[0] - x.core) * scale
        tile[..., top : top + part.shape[2], left : left + part.shape[3]] = part
    flat.on_spared(spared)
    return tile


def _encoded(
    network: BandedNetwork, crop: _Crop, grid: TileGrid, flat: FlatBlocks | None
) -> Iterator[Tensor]:
    """The features of an extended image, strip by strip, in bands."""
    lr = crop.lr
    columns = crop.reaches(grid.columns, network.encoder_halo, lr.shape[3])

    def encode(y: _Reach, x: _Reach) -> Tensor:
        return network.encode_short(*crop(y, x))

    for y in crop.reaches(grid.rows, network.encoder_halo, lr.shape[2]):
        parts = [_computed(encode, y, x, flat, FlatBlocks.encoded) for x in columns]
        strip = parts.pop() if len(parts) == 1 else torch.cat(parts, 3)
        parts.clear()
        height, width = strip.shape[2:]
        yield from strip.split(band_heights(lr.device, network.band, width, height), 2)
        del strip  # the bands hold what is still needed of it


def band_heights(device: torch.device, band: int, width: int, height: int) -> list[int]:
    """Heights of the bands of a strip, from top to bottom: so many rows that the device is busy.

    More would be no faster, and every layer holds one back. Elsewhere than on a CPU, where every
    band costs the same launches, none is small, and none of a large image so small that it would
    be computed and masked (`sparse.masked_up_to`).

    Args:
        device: Where.
        band: LR px that all heights but the last are multiples of.
        width: Of the strip, LR px.
        height: Of the strip, LR px.
    """
    units = -(-height // band)
    if device.type == "cpu":
        each = max(1, -(-_CPU_BAND // (width * band)))
        stops = [*range(each, units, each), units]
    else:
        least = max(_BAND, sparse.masked_up_to(device) * _WINDOW**2)
        bands = max(1, units // -(-least // (width * band)))
        stops = [units * number // bands for number in range(1, bands + 1)]
    ends = [min(stop * band, height) for stop in stops]
    return [end - start for start, end in pairwise([0, *ends])]


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

    def move(self, start: int, stop: int) -> None:
        """Show the rows from `start` to `stop`; none above `start` is asked for again."""
        while self._bottom < stop:
            band = next(self._bands)
            self._held.append(band.features)
            self._bottom += band.features.shape[2]
            self._on_layers(band.layers)
        while self._top + self._held[0].shape[2] <= start:
            self._top += self._held.popleft().shape[2]

    def crop(self, y: _Reach, x: _Reach) -> Tensor:
        """Crop the shown rows to the reach of a tile, (1, c, h, w)."""
        parts: list[Tensor] = []
        top = self._top
        for band in self._held:
            bottom = top + band.shape[2]
            if top < y.stop and bottom > y.start:
                rows = slice(max(y.start - top, 0), y.stop - top)
                parts.append(band[:, :, rows, x.start : x.stop])
            top = bottom
        return torch.cat(parts, 2) if len(parts) > 1 else parts[0]
