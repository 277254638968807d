"""Flat parts of an image, which the convolutions need not compute again and again.

The image is cut into blocks. Where all px of a block and around it have exactly one colour (sky
that is blown out, margins, the bars of a film), encoder and decoder give what they give for a
constant image of that colour: that is computed once for each colour, on some small patches, and
copied. The features of a flat block are the encoder's own to rounding; padding at the border of
the image has its part in them. The attention is computed as ever, and through it other px reach a
flat block: by that its result differs, by at most 0.3 of a level of 255 (docs/adaformer.md). It is
the network's own result that is copied and not the input, so that no step shows where the
computed px begin. A colour that the network does not keep is computed wherever it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from srcli.inference.live_rectangles import live_rectangles
from srcli.models.spec import BandedNetwork, Halting

__all__ = ["BLOCK", "FlatBlocks", "find_flat_blocks"]

BLOCK = 8  # LR px to a side
_AROUND = 17  # LR px around a block that have to have its colour, or what convolutions see
_LEAST = 64  # blocks of a colour: fewer are no work that would be worth its patches
_LEAST_SHARE = 0.1  # of an image's blocks: fewer save no more than looking and copying cost
_COLOURS = 32  # at most; their features are held as long as the image is computed
_OFF = 0.5 / 255  # how far the network's result for a constant image may be from its colour
_FIXED = 16  # blocks: what a rectangle costs however small it is

_Span = tuple[int, int]  # start and stop, as of a slice


@dataclass(frozen=True)
class FlatBlocks:
    """The flat blocks of an extended image (1, 3, h, w), and the network's result for them.

    Args:
        numbers: (h / 8, w / 8) int64, rounded up: the number of each block's colour, -1 for
            one that is live.
        features: (n, p, q, c), the encoder's for an image of each colour, p and q LR px large:
            its border, and one row and column for all that is within.
        pixels: (n, 3, s, s), the decoder's for one px inside such an image.
        size: (h, w), LR px.
        on_spared: Called with the LR px that a network's convolutions were spared.
    """

    numbers: Tensor
    features: Tensor
    pixels: Tensor
    size: tuple[int, int]
    on_spared: Callable[[int], None]
    _live: NDArray[np.bool_]

    def live(self, rows: _Span, columns: _Span, halo: int) -> list[tuple[_Span, _Span]] | None:
        """The rows and columns of what has to be computed of a part of the image, LR px.

        Args:
            rows: Of the part; they start at a block.
            columns: Likewise.
            halo: LR px around a rectangle that are computed with it.

        Returns:
            Rectangles; None if nothing of the part is flat.
        """
        top, left = rows[0] // BLOCK, columns[0] // BLOCK
        live = self._live[top : -(-rows[1] // BLOCK), left : -(-columns[1] // BLOCK)]
        if live.all():
            return None
        return [
            (
                (rows[0] + one.top * BLOCK, min(rows[0] + one.bottom * BLOCK, rows[1])),
                (columns[0] + one.left * BLOCK, min(columns[0] + one.right * BLOCK, columns[1])),
            )
            for one in live_rectangles(live, halo / BLOCK, _FIXED)
        ]

    def encoded(self, rows: _Span, columns: _Span) -> Tensor:
        """The features (1, c, h, w) of a part of the image, right where it is flat."""
        device = self.numbers.device
        y, x = torch.arange(*rows, device=device), torch.arange(*columns, device=device)
        number = self.numbers[y // BLOCK][:, x // BLOCK].clamp_min(0)  # (h, w)
        rows_kept, columns_kept, channels = self.features.shape[1:]
        y = _nearest(y, self.size[0], rows_kept)
        x = _nearest(x, self.size[1], columns_kept)
        place = (number * rows_kept + y[:, None]) * columns_kept + x
        pixels = self.features.view(-1, channels).index_select(0, place.flatten())
        return pixels.view(1, *place.shape, channels).permute(0, 3, 1, 2)

    def image(self, rows: _Span, columns: _Span) -> Tensor:
        """The result (1, 3, s·h, s·w) for a part of the image, right where it is flat."""
        height, width = rows[1] - rows[0], columns[1] - columns[0]
        numbers = self.numbers[
            rows[0] // BLOCK : -(-rows[1] // BLOCK), columns[0] // BLOCK : -(-columns[1] // BLOCK)
        ]
        scale = self.pixels.shape[3]
        pixels = self.pixels[numbers.clamp_min(0)].permute(2, 0, 3, 1, 4)  # (3, y, s, x, s)
        line = pixels[..., None, :].expand(-1, -1, -1, -1, BLOCK, -1).flatten(3)
        image = line[:, :, None].expand(-1, -1, BLOCK, -1, -1).flatten(1, 3)
        return image[None, :, : height * scale, : width * scale]


def find_flat_blocks(
    network: BandedNetwork, lr: Tensor, halting: Halting, on_spared: Callable[[int], None]
) -> FlatBlocks | None:
    """Find the flat blocks of an image, and compute what is copied into them.

    Args:
        network: Computes the image; its bands are whole blocks, or nothing is flat.
        lr: (1, 3, h, w) in [0, 1], extended, on the network's device.
        halting: When tokens stop being computed.
        on_spared: See `FlatBlocks`.

    Returns:
        None if there are too few to be worth it.
    """
    if not network.band or network.band % BLOCK:
        return None
    around = _around(network)
    if _possible(lr, around) < _LEAST:
        return None
    # Waits for the device; (4, y, x).
    blocks = _common_colours(lr, around, network.band).cpu().numpy()
    flat = blocks[3] > 0
    if flat.sum() < max(_LEAST, _LEAST_SHARE * flat.size):
        return None
    colours, of_block, counts = np.unique(
        blocks[:3, flat], axis=1, return_inverse=True, return_counts=True
    )
    frequent = np.argsort(-counts, kind="stable")[:_COLOURS]
    frequent = frequent[counts[frequent] >= _LEAST]
    if not len(frequent):
        return None
    height, width = lr.shape[2:]
    chosen = torch.from_numpy(np.ascontiguousarray(colours[:, frequent].T)).to(lr.device)
    features, pixels = _constant_patches(network, chosen, lr, halting)
    off = (pixels - chosen[:, :, None, None]).abs().amax((1, 2, 3)).cpu().numpy()
    kept = np.flatnonzero(off <= _OFF)
    if not len(kept):
        return None
    number = np.full(len(counts), -1)
    number[frequent[kept]] = kept
    numbers = np.full(flat.shape, -1)
    numbers[flat] = number[of_block.reshape(-1)]
    return FlatBlocks(
        torch.from_numpy(numbers).to(lr.device),
        features,
        pixels,
        (height, width),
        on_spared,
        numbers < 0,
    )


def _around(network: BandedNetwork) -> int:
    """LR px around a block that have to have its colour."""
    return max(_AROUND, network.encoder_halo, network.decoder_halo)


def _possible(lr: Tensor, around: int) -> int:
    """At most so many blocks of (1, 3, h, w) are flat: a quick look at one px of each."""
    some, reach = lr[..., ::BLOCK, ::BLOCK], around // BLOCK
    largest, least = (F.max_pool2d(x, 2 * reach + 1, 1, reach) for x in (some, -some))
    return int((largest == -least).all(1).sum())


def _common_colours(lr: Tensor, around: int, region: int) -> Tensor:
    """The colour of each block of (1, 3, h, w), and whether it is flat.

    It is if it and what is around it have just one colour, and if the same is true of its region,
    and of those of its neighbours: within regions all tokens see each other.

    Args:
        lr: The image.
        around: LR px.
        region: Side of a region, LR px.

    Returns:
        (4, y, x): the colour, and 1 or 0.
    """
    largest, flat = _ranges(lr, BLOCK, around)
    of_regions = _ranges(lr, region, 0)[1].to(lr.dtype)
    share = region // BLOCK
    of_regions = of_regions.repeat_interleave(share, 1).repeat_interleave(share, 2)
    of_regions = -F.max_pool2d(-of_regions[:, : flat.shape[1], : flat.shape[2]], 3, 1, 1)
    return torch.cat([largest[0], flat * of_regions])


def _ranges(lr: Tensor, side: int, around: int) -> tuple[Tensor, Tensor]:
    """The largest values (1, 3, y, x) in and around squares, and where they are all (1, y, x)."""
    largest, least = _largest(lr, side, around), -_largest(-lr, side, around)
    return largest, (largest == least).all(1)


def _largest(lr: Tensor, side: int, around: int) -> Tensor:
    """The largest value of each channel in and around each square of (1, 3, h, w)."""
    wide = side + 2 * around
    rows = F.max_pool2d(lr, (wide, 1), (side, 1), (around, 0), ceil_mode=True)
    return F.max_pool2d(rows, (1, wide), (1, side), (0, around), ceil_mode=True)


def _constant_patches(
    network: BandedNetwork, colours: Tensor, lr: Tensor, halting: Halting
) -> tuple[Tensor, Tensor]:
    """The network's features and result for constant images, all at once.

    Args:
        network: Computes them.
        colours: (n, 3), on its device.
        lr: An image of the same size, (1, 3, h, w).
        halting: When tokens stop being computed.

    Returns:
        The features (n, p, q, c) of patches that have the image's border around one px of their
        inside, and the result (n, 3, s, s) for a px inside.
    """
    halo = network.encoder_halo
    height, width = (min(side, 2 * halo + 1) for side in lr.shape[2:])
    patch = colours[:, :, None, None]
    way = network.short_windows(_constant(patch[:1], BLOCK, BLOCK), halting)  # all of it, or none
    inside = network.encode_short(_constant(patch, 2 * halo + 1, 2 * halo + 1), way)
    inside = inside[..., halo, halo, None, None]
    border = network.encode_short(_constant(patch, height, width), way)
    whole = _constant(inside, network.band, network.band)
    windows = network.band // BLOCK
    everywhere = None if way is None else way.expand(len(colours), windows, windows)
    (attended,) = network.attend_short([whole], halting, everywhere)
    middle = network.band // 2
    halo = network.decoder_halo
    side = 2 * halo + 1
    whole = _constant(attended.features[..., middle, middle, None, None], side, side)
    image = network.decode_short(whole, _constant(patch, side, side), way)
    at = slice(halo * network.scale, (halo + 1) * network.scale)
    return border.permute(0, 2, 3, 1).contiguous(), image[..., at, at].contiguous()


def _constant(value: Tensor, height: int, width: int) -> Tensor:
    """Maps (n, c, height, width) of one value each (n, c, 1, 1)."""
    return value.expand(-1, -1, height, width).contiguous(memory_format=torch.channels_last)


def _nearest(place: Tensor, side: int, patch: int) -> Tensor:
    """Where px of an image's side lie in a patch that has as much border, and one px within."""
    border = patch // 2
    return torch.where(place < side - border, place.clamp_max(border), place - side + patch)
