"""LAPAR-A: every pixel of the result is a 5x5 filter of the bicubic enlargement.

Li et al.: "LAPAR: Linearly-Assembled Pixel-Adaptive Regression Network for Single Image
Super-resolution and Beyond", NeurIPS 2020. A network gives each pixel of the result 72 weights;
the filter is the sum of 72 fixed filters times these. The sum is taken first, inside the last
convolution, so that 25 numbers a pixel are held instead of 72.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.lapar_filters import SIDE, filters
from srcli.models.layers.local_network import LocalNetwork
from srcli.models.layers.windows import reflect_to
from srcli.models.spec import EXACT, Halting, MemoryProfile, ModelSpec, SROutput

__all__ = ["LAPAR", "SPEC", "LAPARConfig", "from_authors"]

_MEAN = (0.4488, 0.4371, 0.4040)
_BORDER = SIDE // 2  # SR px
_BAND = 1 << 14  # LR px whose weights are computed at a time


@dataclass(frozen=True)
class LAPARConfig:
    """Size of the network that makes the weights.

    Args:
        scale: SR px per LR px to a side.
        channels: Feature channels c.
        groups: Local fusion blocks.
        units: Residual units in each.
    """

    scale: int
    channels: int = 32
    groups: int = 4
    units: int = 4


class NormedConvolution(nn.Module):
    """A convolution whose weights are g · v / |v|, the norm over each output channel's."""

    def __init__(self, inputs: int, outputs: int, side: int = 3) -> None:
        super().__init__()
        plain = nn.Conv2d(inputs, outputs, side)
        assert plain.bias is not None
        self.bias = plain.bias
        self.weight_v = plain.weight
        self.weight_g = nn.Parameter(_norm(plain.weight.detach()))
        self.border = side // 2

    def weight(self) -> Tensor:
        """The weights (out, in, side, side)."""
        return self.weight_v * (self.weight_g / _norm(self.weight_v))

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, in, h, w) to (b, out, h, w)."""
        return F.conv2d(features, self.weight(), self.bias, padding=self.border)


def _norm(weight: Tensor) -> Tensor:
    """The norm of each output channel's weights, (out, 1, 1, 1)."""
    return cast("Tensor", torch.linalg.vector_norm(weight, dim=(1, 2, 3), keepdim=True))


class WeightedSum(nn.Module):
    """`a · change + b · features`, both factors learnt."""

    def __init__(self, change: float = 1.0, features: float = 1.0) -> None:
        super().__init__()
        self.change = nn.Parameter(torch.tensor([change]))
        self.features = nn.Parameter(torch.tensor([features]))

    def forward(self, change: Tensor, features: Tensor) -> Tensor:
        """Add two maps of one shape."""
        return self.change * change + self.features * features


class ResidualUnit(nn.Module):
    """Convolution, ReLU, convolution, and the input, each with a factor."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = NormedConvolution(channels, channels)
        self.second = NormedConvolution(channels, channels)
        self.add = WeightedSum()

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w)."""
        return self.add(self.second(F.relu(self.first(features))), features)


class FusionBlock(nn.Module):
    """Units in a row, whose outputs are joined and reduced."""

    def __init__(self, channels: int, units: int) -> None:
        super().__init__()
        self.units = nn.ModuleList(ResidualUnit(channels) for _ in range(units))
        self.reduce = NormedConvolution(units * channels, channels)
        self.add = WeightedSum()

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w)."""
        outputs: list[Tensor] = []
        x = features
        for unit in self.units:
            x = unit(x)
            outputs.append(x)
        return self.add(self.reduce(torch.cat(outputs, 1)), features)


class LAPAR(LocalNetwork):
    """Weights by a network, and filters by these on the enlargement."""

    decoder_halo = 4  # 3 px and 5 px of the result at x2, and bicubic's 2 px

    def __init__(self, config: LAPARConfig) -> None:
        super().__init__()
        self.config, self.scale = config, config.scale
        c = config.channels
        self.encoder_halo = 1 + config.groups * (2 * config.units + 1)
        self.head = NormedConvolution(3, c)
        self.groups = nn.ModuleList(FusionBlock(c, config.units) for _ in range(config.groups))
        self.enlarge = NormedConvolution(c, c * config.scale**2)
        self.near, self.far = NormedConvolution(c, c, 3), NormedConvolution(c, c, 5)
        self.add = WeightedSum(0.5, 0.5)
        self.fuse = NormedConvolution(c, c)
        self.filters: Tensor
        self.register_buffer("filters", filters(), persistent=False)  # (72, 25)
        self.tail = NormedConvolution(c, len(self.filters))

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute everything between the first and last convolution in `dtype`."""
        for part in (self.groups, self.enlarge, self.near, self.far, self.add, self.fuse):
            part.to(dtype)

    def extend(self, lr: Tensor) -> Tensor:
        """Extend sides of 1 px to 2, so that the result has a border to mirror."""
        return reflect_to(reflect_to(lr, 2, 2), 3, 2)

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w), the weights in bands of rows; `halting` has no effect."""
        whole, lr = lr, self.extend(lr)
        features, height, halo = self.encode(lr), lr.shape[2], self.decoder_halo
        rows = max(1, _BAND // lr.shape[3])
        bands: list[Tensor] = []
        for start in range(0, height, rows):
            stop, first = min(start + rows, height), max(start - halo, 0)
            seen = slice(first, min(stop + halo, height))
            band = self.decode(features[:, :, seen], lr[:, :, seen])
            top = (start - first) * self.scale
            bands.append(band[:, :, top : top + (stop - start) * self.scale])
        image = torch.cat(bands, 2)
        return SROutput(image[..., : whole.shape[2] * self.scale, : whole.shape[3] * self.scale])

    def encode(self, lr: Tensor) -> Tensor:
        """Features (b, c, h, w) of an image or a crop of it."""
        with torch.autocast(lr.device.type, enabled=False):
            features = self.head(lr.float() - lr.new_tensor(_MEAN)[:, None, None])
        features = F.relu(features).to(self.fuse.bias.dtype)
        for group in self.groups:
            features = group(features)
        return features

    def decode(self, features: Tensor, lr: Tensor) -> Tensor:
        """The image (b, 3, s·h, s·w) from features and the same crop of the image."""
        tail = self.tail
        weight = torch.einsum("fk,fcyx->kcyx", self.filters, tail.weight())
        large = self._at_full_size(features)
        with torch.autocast(lr.device.type, enabled=False):
            kernels = F.conv2d(large.float(), weight, tail.bias @ self.filters, padding=1)
            enlarged = self._enlarged(lr)
            height, width = kernels.shape[2:]
            image = torch.zeros_like(enlarged[..., :height, :width])
            for place in range(SIDE**2):
                y, x = divmod(place, SIDE)
                seen = enlarged[..., y : y + height, x : x + width]
                image = torch.addcmul(image, kernels[:, place, None], seen)
        return image

    def reference(self, lr: Tensor) -> SROutput:
        """Upscale (b, 3, h, w), h and w at least 2, in the order of the paper: plain and slow."""
        weights = self.tail(self._at_full_size(self.encode(lr)).float())  # (b, 72, s·h, s·w)
        height, width = weights.shape[2:]
        patches = F.unfold(self._enlarged(lr).flatten(0, 1)[:, None], SIDE)  # (3·b, 25, pixels)
        filtered = torch.einsum("fk,nkp->nfp", self.filters, patches)
        filtered = filtered.view(len(lr), 3, len(self.filters), height, width)
        return SROutput((weights[:, None] * filtered).sum(2))

    def _at_full_size(self, features: Tensor) -> Tensor:
        """Features (b, c, s·h, s·w) of which the weights are made."""
        large = F.pixel_shuffle(F.relu(self.enlarge(features)), self.scale)
        return F.relu(self.fuse(self.add(self.near(large), self.far(large))))

    def _enlarged(self, lr: Tensor) -> Tensor:
        """The bicubic enlargement (b, 3, s·h + 4, s·w + 4) with a mirrored border."""
        large = F.interpolate(lr.float(), scale_factor=self.scale, mode="bicubic")
        return F.pad(large, (_BORDER,) * 4, mode="reflect")


# In this order: parts first, then what is in them.
_AUTHORS_NAMES = {
    "w_conv.head.0.": "head.",
    "w_conv.body.": "groups.",
    "w_conv.up.0.": "enlarge.",
    "w_conv.tail.tail_k3.": "near.",
    "w_conv.tail.tail_k5.": "far.",
    "w_conv.tail.scale_k3.scale": "add.change",
    "w_conv.tail.scale_k5.scale": "add.features",
    "w_conv.tail.fuse.": "fuse.",
    "w_conv.tail.w_conv.": "tail.",
    ".reduction.": ".reduce.",
    ".body.0.": ".first.",
    ".body.2.": ".second.",
    ".b": ".units.",
    ".res_scale.scale": ".add.change",
    ".x_scale.scale": ".add.features",
}
_BIAS = ".bias"


def from_authors(name: str) -> str | None:
    """Our name for a parameter of the authors' state dict; None for the filters.

    >>> from_authors("w_conv.body.3.b1.body.2.weight_g")
    'groups.3.units.1.second.weight_g'
    """
    if name == "decom_conv.weight":
        return None
    stem, bias = name.removesuffix(_BIAS), name.endswith(_BIAS)
    for theirs, ours in _AUTHORS_NAMES.items():
        stem = (stem + ".").replace(theirs, ours).removesuffix(".")
    return stem + _BIAS * bias


SPEC = ModelSpec(
    name="lapar-a",
    paper="LAPAR (NeurIPS 2020)",
    scales=(2, 3, 4),
    alignment=1,
    overlap=42,
    memory=MemoryProfile(forward=1700, tile=12300, held=128),
    efforts={"exact": EXACT},
    build=lambda scale: LAPAR(LAPARConfig(scale)),
    from_authors=from_authors,
)
