"""SMFANet's block: whole, as the paper has it, and in bands of rows, which is faster."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

__all__ = ["POOL", "BandedBlock", "ModulationBlock"]

POOL = 8  # LR px per cell of the coarse map, and the least side of an image
_HALO = 2  # rows that a block sees beyond its own: a 3x3 convolution in each of its halves


class SMFA(nn.Module):
    """Self-modulation feature aggregation: a modulated and a detail branch (SMFANet, Sec. 3.2).

    Args:
        channels: Feature channels c; input and output are (b, c, h, w).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        c = channels
        self.split = nn.Conv2d(c, 2 * c, 1)  # detail branch first, then the modulated one
        self.coarse = nn.Conv2d(c, c, 3, padding=1, groups=c)
        self.alpha = nn.Parameter(torch.ones(1, c, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, c, 1, 1))
        self.modulate = nn.Conv2d(c, c, 1)
        self.detail_depthwise = nn.Conv2d(c, 2 * c, 3, padding=1, groups=c)
        self.detail_mix = nn.Conv2d(2 * c, 2 * c, 1)
        self.detail_out = nn.Conv2d(2 * c, c, 1)
        self.merge = nn.Conv2d(c, c, 1)

    def forward(self, u: Tensor) -> Tensor:
        """Aggregate features (b, c, h, w) of a whole image, h and w at least 8."""
        detail, x = self.split(u).chunk(2, 1)
        coarse = F.adaptive_max_pool2d(x, (u.shape[2] // POOL, u.shape[3] // POOL))
        variance = x.float().var((2, 3), keepdim=True).to(x.dtype)
        gate = F.interpolate(self.gate(coarse, variance), u.shape[2:], mode="nearest")
        detail = self.detail_mix(self.detail_depthwise(detail))
        return self.merge(x * gate + self.detail_out(F.gelu(detail)))

    def see_detail(self, doubled: Tensor) -> Tensor:
        """The depthwise convolution, of (b, 2 c, h, w) that has every channel twice."""
        conv = self.detail_depthwise
        return F.conv2d(doubled, conv.weight, conv.bias, padding=1, groups=doubled.shape[1])

    def gate(self, coarse: Tensor, variance: Tensor) -> Tensor:
        """The factors of the modulated branch, one for each coarse cell.

        Args:
            coarse: (b, c, H, W), maxima of the cells.
            variance: (b, c, 1, 1), over the whole image.
        """
        return F.gelu(self.modulate(self.alpha * self.coarse(coarse) + self.beta * variance))


class PCFN(nn.Module):
    """Partial-convolution feed-forward: a quarter of the middle sees 3x3 (SMFANet, Sec. 3.3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 2 * channels
        self.seeing = hidden // 4
        self.expand = nn.Conv2d(channels, hidden, 1)
        self.local = nn.Conv2d(self.seeing, self.seeing, 3, padding=1)
        self.reduce = nn.Conv2d(hidden, channels, 1)

    def forward(self, u: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w)."""
        hidden = F.gelu(self.expand(u))
        local = F.gelu(self.local(hidden[:, : self.seeing]))
        return self.reduce(torch.cat((local, hidden[:, self.seeing :]), 1))


class ModulationBlock(nn.Module):
    """SMFA and PCFN, each on features divided by their norm, each added (SMFANet, Fig. 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.smfa = SMFA(channels)
        self.pcfn = PCFN(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w) of a whole image to (b, c, h, w)."""
        features = features + self.smfa(F.normalize(features))
        return features + self.pcfn(F.normalize(features))


class BandedBlock:
    """Compute a block in bands of rows, the features of one image being (h, w, c) in memory.

    Convolutions of 1x1 px are matrix products of all pixels then, and what is added goes into the
    product. Where two follow each other without an activation their matrices are multiplied first.

    Args:
        block: The block.
    """

    def __init__(self, block: ModulationBlock) -> None:
        smfa, pcfn = block.smfa, block.pcfn
        self._smfa, self._pcfn = smfa, pcfn
        c = len(smfa.merge.weight)
        split, bias = _matrix(smfa.split)
        # Each detail channel twice: then the depthwise convolution has one output for each input.
        self._to_detail = split[:, :c].repeat_interleave(2, 1), bias[:c].repeat_interleave(2)
        self._to_modulated = split[:, c:], bias[c:]
        self._mix = _matrix(smfa.detail_mix)
        self._merge, merge_bias = _matrix(smfa.merge)
        detail_out, detail_bias = _matrix(smfa.detail_out)
        self._detail_out = detail_out @ self._merge
        self._smfa_bias = detail_bias @ self._merge + merge_bias
        expand, bias = _matrix(pcfn.expand)
        self._to_seeing = expand[:, : pcfn.seeing], bias[: pcfn.seeing]
        self._to_blind = expand[:, pcfn.seeing :], bias[pcfn.seeing :]
        reduce, self._pcfn_bias = _matrix(pcfn.reduce)
        self._seeing_out, self._blind_out = reduce[: pcfn.seeing], reduce[pcfn.seeing :]

    def run(self, features: Tensor, result: Tensor, rows: int) -> None:
        """Write the block's output into `result`.

        Args:
            features: (h, w, c) of the whole image.
            result: Like `features`, another memory.
            rows: Computed at a time.
        """
        height = len(features)
        gate = self._gate(features, rows)  # (h / 8, w, c)
        cell = _cells(height, features.device)
        for start in range(0, height, rows):
            stop = min(start + rows, height)
            outer = slice(max(start - _HALO, 0), min(stop + _HALO, height))
            middle = slice(max(start - 1, 0), min(stop + 1, height))
            aggregated = self._aggregate(
                features[outer], gate[cell[middle]], _within(middle, outer)
            )
            self._feed_forward(aggregated, _within(slice(start, stop), middle), result[start:stop])

    def _gate(self, features: Tensor, rows: int) -> Tensor:
        """The factors of the modulated branch, from all of the features: (h / 8, w, c)."""
        height, width, c = features.shape
        pooled: list[Tensor] = []
        count, mean = 0, features.new_zeros(c, dtype=torch.float64)
        squares = torch.zeros_like(mean)  # of the differences from the mean, summed
        for start in range(0, height, rows):
            band = features[start : start + rows]
            x = _product(_normalised(band).flatten(0, 1), self._to_modulated)
            maxima = x.view(*band.shape).permute(2, 0, 1)
            pooled.append(F.adaptive_max_pool2d(maxima, (len(band), width // POOL)))
            n, x = len(x), x.float()
            here = x.sum(0) / n
            apart = here.double() - mean
            squares += x.sub_(here).square_().sum(0)
            squares += apart.square() * (count * n / (count + n))
            mean += apart * (n / (count + n))
            count += n
        coarse = F.adaptive_max_pool2d(torch.cat(pooled, 1), (height // POOL, width // POOL))
        variance = (squares / (count - 1)).to(features.dtype)[:, None, None]
        gate = self._smfa.gate(coarse[None], variance[None])[0].permute(1, 2, 0)
        return gate[:, _cells(width, features.device)]

    def _aggregate(self, features: Tensor, gate: Tensor, inner: slice) -> Tensor:
        """Features after SMFA of the rows `inner`, for which `gate` is: (rows, w, c)."""
        u = _normalised(features)
        detail = _product(u.flatten(0, 1), self._to_detail).view(*u.shape[:2], -1)
        detail = self._smfa.see_detail(detail.permute(2, 0, 1)[None])[0].permute(1, 2, 0)[inner]
        detail = F.gelu(_product(detail.flatten(0, 1), self._mix))
        x = _product(u[inner].flatten(0, 1), self._to_modulated).mul_(gate.flatten(0, 1))
        change = torch.addmm(self._smfa_bias, x, self._merge).addmm_(detail, self._detail_out)
        return change.view(*features[inner].shape).add_(features[inner])

    def _feed_forward(self, features: Tensor, inner: slice, result: Tensor) -> None:
        """Write the rows `inner` of the features after PCFN into `result`."""
        u = _normalised(features)
        seeing = F.gelu(_product(u.flatten(0, 1), self._to_seeing)).view(*u.shape[:2], -1)
        seeing = self._pcfn.local(seeing.permute(2, 0, 1)[None])[0].permute(1, 2, 0)[inner]
        blind = F.gelu(_product(u[inner].flatten(0, 1), self._to_blind))
        change = torch.addmm(self._pcfn_bias, blind, self._blind_out)
        change.addmm_(F.gelu(seeing.flatten(0, 1)), self._seeing_out)
        torch.add(features[inner], change.view(*result.shape), out=result)


def _normalised(features: Tensor) -> Tensor:
    """Features (…, c) divided by their norm over c."""
    norm = cast("Tensor", torch.linalg.vector_norm(features, dim=-1, keepdim=True))
    return features / norm.clamp_min_(1e-12)


def _cells(size: int, device: torch.device) -> Tensor:
    """The coarse cell of each of `size` rows or columns, (size,) int64, as nearest sees it."""
    return torch.arange(size, device=device) * (size // POOL) // size


def _within(inner: slice, outer: slice) -> slice:
    """The rows `inner`, counted from the first of `outer`."""
    return slice(inner.start - outer.start, inner.stop - outer.start)


def _matrix(convolution: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """The weights (in, out) and biases (out,) of a 1x1 convolution."""
    assert convolution.bias is not None
    return convolution.weight.flatten(1).T, convolution.bias


def _product(pixels: Tensor, matrix: tuple[Tensor, Tensor]) -> Tensor:
    """A 1x1 convolution of pixels (n, in): (n, out)."""
    weight, bias = matrix
    return torch.addmm(bias, pixels, weight)
