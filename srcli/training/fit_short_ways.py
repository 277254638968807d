"""Short ways of an AdaFormer, fitted to what it gives without them.

Their parameters (`srcli/models/layers/short_way.py`) are linear regressions over the px of smooth
windows: they have a closed form, and nothing else of the network changes.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from srcli.errors import UsageError
from srcli.models.adaformer import SHORT_WAYS, AdaFormer
from srcli.models.layers.short_way import ShortWay, smooth_windows
from srcli.models.layers.window_places import pixels_of
from srcli.models.spec import Halting
from srcli.training.regression import Regression

__all__ = ["fit_short_ways"]

_PIXELS = 8_000  # of an image, at most: more of one say little that is new


class _Fit:
    """The regressions of one short way."""

    def __init__(self, channels: int, blocks: int) -> None:
        self._direct = Regression(9 * channels, channels)
        self._linear = [Regression(channels, channels) for _ in range(blocks - 1)]

    def add(self, states: Sequence[Tensor], wanted: Tensor, places: Tensor) -> None:
        """Take some px in.

        Args:
            states: Features (1, c, h, w) before each residual block, and after the last.
            wanted: What the stack should give, (1, c, h, w).
            places: (k,) int64, of h · w.
        """
        rows = [_at(state, places) for state in states]
        self._direct.add(_neighbourhoods(states[0], places), _at(wanted, places))
        for number, regression in enumerate(self._linear):
            regression.add(rows[number], rows[number + 1])

    def write_to(self, way: ShortWay) -> None:
        """Set a short way's parameters."""
        self._direct.write_to(way.direct)
        stand_ins = cast("Iterable[torch.nn.Conv2d]", way.stand_ins)
        for regression, stand_in in zip(self._linear, stand_ins, strict=True):
            regression.write_to(stand_in)


@torch.no_grad()
def fit_short_ways(network: AdaFormer, images: Iterable[Tensor], halting: Halting) -> int:
    """Give a network short ways, fitted to its encoder and decoder in smooth windows.

    The decoder's takes what the encoder's has made, and is fitted to what the decoder gives for
    what the encoder gives.

    Args:
        network: Trained, on the CPU, in fp32. Its other parameters stay as they are.
        images: LR images, (1, 3, h, w) in [0, 1].
        halting: When tokens stop being computed, and which windows are smooth.

    Returns:
        How many px they were fitted to.

    Raises:
        UsageError: Too few px are smooth for a fit.
    """
    network.short_ways = None
    channels, window = network.config.channels, network.config.window
    encoder, decoder = (_Fit(channels, len(stack)) for stack in (network.encoder, network.decoder))
    random_numbers = torch.Generator().manual_seed(0)
    chosen: list[tuple[Tensor, Tensor, Tensor]] = []  # image, smooth windows, px
    for lr in images:
        wide = network.extend(lr.contiguous(memory_format=torch.channels_last))
        short = smooth_windows(wide, window, halting.smooth)
        places = pixels_of(short, window).flatten().nonzero()[:, 0]
        order = torch.randperm(len(places), generator=random_numbers)
        if len(places):
            chosen.append((wide, short, places[order[:_PIXELS]]))
    count = sum(len(places) for _, _, places in chosen)
    if count < 100 * channels:
        raise UsageError(
            f"{count} px of the images are smooth, and short ways need {100 * channels}; hint: "
            "name more, or larger photographs in --data"
        )
    for wide, _, places in chosen:
        states = _states(network.encoder, network.head(wide - network.mean))
        encoder.add(states, states[-1], places)
    network.add_part(SHORT_WAYS)
    ways = cast("Mapping[str, ShortWay]", network.short_ways)
    encoder.write_to(ways["encoder"])
    for wide, short, places in chosen:
        (full,) = network.attend([network.encode(wide)], halting)
        (band,) = network.attend_short([network.encode_short(wide, short)], halting, short)
        states = _states(network.decoder, band.features)
        decoder.add(states, network.decoder(full.features), places)
    decoder.write_to(ways["decoder"])
    _keep_colours(network, halting)
    return count


def _keep_colours(network: AdaFormer, halting: Halting) -> None:
    """Change the decoder's one convolution, a little, so that constant images keep their colour.

    The short ways are affine in a constant image's colour, so four colours tell all. What a
    regression leaves of an error there would be a step at the border of smooth windows.
    """
    window, scale = network.config.window, network.scale
    ways = cast("Mapping[str, ShortWay]", network.short_ways)
    colours = torch.cat([torch.zeros(1, 3), torch.eye(3)])
    lr = colours[:, :, None, None].expand(-1, -1, 3 * window, 3 * window)
    short = torch.ones(len(colours), 3, 3, dtype=torch.bool)
    (band,) = network.attend_short([network.encode_short(lr, short)], halting, short)
    image = network.decode_short(band.features, lr, short)
    middle = 3 * window // 2
    features = F.pad(band.features[..., middle, middle], (0, 1), value=1.0).double()
    at = slice(middle * scale, (middle + 1) * scale)
    off = F.pixel_unshuffle(colours[:, :, None, None] - image[..., at, at], scale).flatten(1)
    response = network.tail.weight.sum((2, 3)).double()  # of the tail to constant features
    inverse = cast("Tensor", torch.linalg.pinv(response, rtol=1e-4))
    change = off.double() @ inverse.T  # (4, c) of features
    affine = (cast("Tensor", torch.linalg.pinv(features)) @ change).float()  # (c + 1, c)
    direct = ways["decoder"].direct
    direct.weight[:, :, 1, 1] += affine[:-1].T
    assert direct.bias is not None
    direct.bias += affine[-1]


def _states(stack: torch.nn.Sequential, features: Tensor) -> list[Tensor]:
    """Features (1, c, h, w) before each residual block of a stack, and after the last."""
    states = [features]
    for block in stack:
        states.append(block(states[-1]))
    return states


def _at(features: Tensor, places: Tensor) -> Tensor:
    """Some px of (1, c, h, w): (k, c)."""
    return features[0].flatten(1).T.index_select(0, places)


def _neighbourhoods(features: Tensor, places: Tensor) -> Tensor:
    """The 3×3 neighbourhoods (k, 9 c) of some px of (1, c, h, w), as a convolution's taps."""
    width = features.shape[3]
    wide = F.pad(features[0], (1, 1, 1, 1))  # (c, h + 2, w + 2)
    y, x = places // width, places % width
    taps = [wide[:, y + i, x + j] for i in range(3) for j in range(3)]  # (c, k) each
    return torch.stack(taps, 2).permute(1, 0, 2).flatten(1)
