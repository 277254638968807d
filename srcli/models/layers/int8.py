"""Residual blocks in 8-bit integers, for CPUs that multiply these fast; not in the paper.

Both convolutions of a block take integers: each channel of what they take is divided by a step and
rounded. The sum that runs through all blocks stays in fp32, so errors of rounding do not pile up.
How large values get is known from other images (*ranges*, `srcli/training/fit_ranges.py`), and
part of how much channels differ goes into the weights (Xiao et al., "SmoothQuant", ICML 2023,
Eq. 4 with α = 0.5). A value beyond the range of integers would be cut off: every px that sees one
is computed again in fp32. So what a px gets depends on its surroundings alone, in tiles and in
windows computed alone, too.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.convolutions import REACH, BlockWay, inner, residual

__all__ = ["Int8Block"]

_ZERO = 128  # the integer that stands for 0 where values have a sign
_LARGEST = 255
_TINY = 1e-6
_BEYOND = 1.5  # of a range that has its integer: less would be computed again too often
_VALUES_AT_A_TIME = 1 << 18  # what is between two steps of rounding stays in the cache
_SIDE = 2 * REACH + 1

# Above this share of px, computing the whole map again beats gathering the surroundings of each.
_DENSE_SHARE = 0.1


class _Convolution:
    """A 3×3 convolution of integers.

    Args:
        convolution: In fp32.
        step: (c,), the value of 1 in each input channel.
        zero: The integer that stands for 0.
        step_out: Likewise of the output, whose negative values become 0; None: it is fp32.
    """

    def __init__(
        self, convolution: nn.Conv2d, step: Tensor, zero: int, step_out: Tensor | None
    ) -> None:
        weight = convolution.weight * step[:, None, None]
        scale = weight.abs().amax((1, 2, 3)).clamp_min(_TINY) / 127
        integers = (weight / scale[:, None, None, None]).round().to(torch.int8)
        bias = convolution.bias
        assert bias is not None
        self._zero = zero
        self._scale = scale if step_out is None else scale / step_out
        self._bias = bias.detach() if step_out is None else bias.detach() / step_out
        self._zeros = torch.zeros(len(scale), dtype=torch.int64)
        self._out = (torch.float32, "none") if step_out is None else (torch.uint8, "relu")
        self._weight = _onednn().qconv_prepack(
            integers, self._scale, 1.0, zero, [1, 1], [0, 0], [1, 1], 1, None
        )

    def __call__(self, integers: Tensor, padding: int) -> Tensor:
        """Map (b, c, h, w) uint8 to (b, c, h, w), less what the kernel takes without padding."""
        dtype, after = self._out
        return _onednn().qconv2d_pointwise(
            integers, 1.0, self._zero, self._weight, self._scale, self._zeros, self._bias,
            [1, 1], [padding, padding], [1, 1], 1, 1.0, 0, dtype, after, [], "",
        )  # fmt: skip


class Int8Block(BlockWay):
    """Conv 3×3, ReLU, conv 3×3, plus the input: a `ResidualBlock` in integers.

    Args:
        conv1: The first convolution, in fp32.
        conv2: The second.
        ranges: (2, c), the magnitude of each channel before each of them that is hardly exceeded.
    """

    def __init__(self, conv1: nn.Conv2d, conv2: nn.Conv2d, ranges: Tensor) -> None:
        self._exact = conv1, conv2
        ranges = _BEYOND * ranges.float()
        step = _steps(ranges[0], conv1, _LARGEST - _ZERO - 1)
        between = _steps(ranges[1], conv2, _LARGEST - 1)
        self._times = step.reciprocal()
        self._plus = torch.full_like(step, _ZERO + 0.5)  # integers are cut, not rounded
        self._first = _Convolution(conv1, step, _ZERO, between)
        self._second = _Convolution(conv2, between, 0, None)

    def __call__(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w), in a map of its own."""
        return self._run(features, 1, None)

    def on_patches(self, patches: Tensor, inside: Tensor | None) -> Tensor:
        """Compute squares with 2 px around each; as `ResidualBlock.on_patches`."""
        return self._run(patches, 0, inside)

    def _run(self, features: Tensor, padding: int, inside: Tensor | None) -> Tensor:
        integers, beyond = self._integers(features)
        again = _wider(beyond, REACH, padding)
        if again.all():
            return residual(*self._exact, features, padding, inside)
        hidden = self._first(integers, padding)
        if inside is not None:
            hidden *= inside
        result = self._second(hidden, padding)
        result += inner(features, padding)
        again |= _wider(_at_largest(hidden), 1, padding)
        if again.any():
            self._repair(result, features, again, padding, inside)
        return result

    def _integers(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features in integers, (b, c, h, w) uint8; and the px that have one out of range.

        The latter are (b, h, w) bool.
        """
        batch, channels, height, width = features.shape
        rows = features.permute(0, 2, 3, 1).reshape(-1, channels)
        integers = torch.empty(rows.shape, dtype=torch.uint8)
        beyond = torch.zeros(len(rows), dtype=torch.bool)
        some = max(_VALUES_AT_A_TIME // channels, 1)
        scaled = torch.empty(min(some, len(rows)), channels)
        for start in range(0, len(rows), some):
            chunk = slice(start, start + some)
            values = scaled[: len(rows) - start]
            torch.addcmul(self._plus, rows[chunk], self._times, out=values)
            low, high = values.aminmax()
            if not (low >= 1 and high < _LARGEST):  # so is what is not a number
                torch.any((values < 1) | (values >= _LARGEST), 1, out=beyond[chunk])
                values.clamp_(0, _LARGEST)
            integers[chunk] = values
        shape = (batch, height, width)
        return integers.view(*shape, channels).permute(0, 3, 1, 2), beyond.view(shape)

    def _repair(
        self,
        result: Tensor,
        features: Tensor,
        again: Tensor,
        padding: int,
        inside: Tensor | None,
    ) -> None:
        """Compute the px that `again` (b, h, w) marks in fp32, and put them into the result."""
        if again.sum() > _DENSE_SHARE * again.numel():
            full = residual(*self._exact, features, padding, inside)
            result.copy_(torch.where(again[:, None], full, result))
            return
        _, channels, height, width = features.shape
        rows = features.permute(0, 2, 3, 1).reshape(-1, channels)
        step = torch.arange(_SIDE) - (REACH if padding else 0)
        out = result.permute(0, 2, 3, 1)
        at_a_time = _VALUES_AT_A_TIME // (channels * _SIDE)
        for some in cast("tuple[Tensor, ...]", again.nonzero().split(at_a_time)):
            image, y, x = some.unbind(1)
            ys, xs = y[:, None] + step, x[:, None] + step  # (k, 5)
            down = image[:, None] * height + ys.clamp(0, height - 1)
            place = down[:, :, None] * width + xs.clamp(0, width - 1)[:, None]
            patches = rows.index_select(0, place.flatten())
            patches = patches.view(-1, _SIDE, _SIDE, channels).permute(0, 3, 1, 2)
            seen: Tensor | None = None
            if padding:
                down, across = (ys >= 0) & (ys < height), (xs >= 0) & (xs < width)
                there = (down[:, :, None] & across[:, None])[:, None]  # (k, 1, 5, 5)
                patches = patches * there
                seen = there[:, :, 1:-1, 1:-1]
            elif inside is not None:
                near = ys[:, :-REACH, None], xs[:, None, :-REACH]
                seen = inside[:, 0][(image[:, None, None], *near)][:, None]
            out[image, y, x] = residual(*self._exact, patches, 0, seen)[:, :, 0, 0]


def _steps(largest: Tensor, convolution: nn.Conv2d, integers: int) -> Tensor:
    """The value of 1 in each channel of what a convolution takes, (c,).

    Args:
        largest: (c,), the largest magnitudes there.
        convolution: Whose weights are to be rounded, too.
        integers: Number of steps to the largest.
    """
    largest = largest.clamp_min(_TINY)
    weights = convolution.weight.abs().amax((0, 2, 3)).clamp_min(_TINY)
    balance = (largest / weights).sqrt()
    return balance * (largest / balance).max() / integers


def _at_largest(hidden: Tensor) -> Tensor:
    """Px of (b, c, h, w) integers that have the largest there is, and so may have more."""
    _, largest = hidden.permute(0, 2, 3, 1).reshape(-1).aminmax()  # faster than `max`, by far
    if largest < _LARGEST:
        return hidden.new_zeros(hidden[:, 0].shape, dtype=torch.bool)
    return (hidden == _LARGEST).any(1)


def _wider(pixels: Tensor, reach: int, padding: int) -> Tensor:
    """Px up to `reach` px from those of (b, h, w) bool."""
    if not pixels.any():
        less = 0 if padding else 2 * reach
        shape = (len(pixels), pixels.shape[1] - less, pixels.shape[2] - less)
        return pixels.new_zeros(shape)
    side = 2 * reach + 1
    return F.max_pool2d(pixels.float(), side, 1, reach if padding else 0) > 0


def _onednn() -> Any:  # noqa: ANN401 PyTorch does not type it
    return cast("Any", torch.ops).onednn
