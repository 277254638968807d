"""ETDS: plain 3x3 convolutions, in which a stream that carries the picture is hidden.

Chao et al.: "Equivalent Transformation and Dual Stream Network Construction for Mobile Image
Super-Resolution", CVPR 2023; the size that the authors call M7C48 and ETDS-L.

`etds-dual` is the form that is trained: 45 channels of features, and three that carry the
picture. Its matrices joined are those of a plain network of 48 channels, which is how it is
computed. `etds`, the form of the published files, also clamps the result to 0..1 by two ReLUs.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.convolutions import in_full
from srcli.models.layers.local_network import LocalNetwork
from srcli.models.spec import EXACT, MemoryProfile, ModelSpec, SROutput

__all__ = ["ETDS", "SPECS", "ETDSConfig", "ETDSDual"]

_PICTURE = 3  # channels of the stream that carries the picture


@dataclass(frozen=True)
class ETDSConfig:
    """Size of the network.

    Args:
        scale: SR px per LR px to a side.
        channels: Channels of both streams together.
        layers: Convolutions between the first and the last.
    """

    scale: int
    channels: int = 48
    layers: int = 7


class ETDS(LocalNetwork):
    """The plain form: every convolution has a ReLU behind it, the last two too.

    In trained files the last 3x3 convolution gives 1 minus the picture, and the 1x1 takes that
    from 1. For x3 both give one channel more than is needed, which is dropped.
    """

    decoder_halo = 0

    def __init__(self, config: ETDSConfig) -> None:
        super().__init__()
        self.config, self.scale = config, config.scale
        self.encoder_halo = config.layers + 2
        c, self.used = config.channels, 3 * config.scale**2
        given = -(-self.used // 4) * 4
        self.conv_first = _convolution(3, c)
        self.backbone_convs = nn.ModuleList(_convolution(c, c) for _ in range(config.layers))
        self.conv_last = _convolution(c, given)
        self.conv_clip = nn.Conv2d(given, given, 1)

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute the convolutions between the first and the last in `dtype`."""
        self.backbone_convs.to(dtype)

    def encode(self, lr: Tensor) -> Tensor:
        """The result (b, 3·s², h, w) before the pixel shuffle, of an image or a crop of it."""
        features = F.relu(in_full(self.conv_first, lr))
        middle = cast("list[nn.Conv2d]", list(self.backbone_convs))
        features = features.to(middle[0].weight.dtype)
        for convolution in middle:
            features = F.relu(convolution(features))
        inverse = F.relu(in_full(self.conv_last, features))
        return F.relu(in_full(self.conv_clip, inverse))[:, : self.used]

    def decode(self, features: Tensor, lr: Tensor) -> Tensor:
        """The image (b, 3, s·h, s·w); `lr` is not looked at."""
        return F.pixel_shuffle(features, self.scale)


class ETDSDual(LocalNetwork):
    """The form with two streams; untrained it enlarges to the nearest pixel."""

    decoder_halo = 0

    def __init__(self, config: ETDSConfig) -> None:
        super().__init__()
        self.config, self.scale = config, config.scale
        self.encoder_halo = config.layers + 2
        c, given, layers = config.channels - _PICTURE, 3 * config.scale**2, range(config.layers)
        self.conv_first = _convolution(3, c)
        self.conv_residual_first = _convolution(3, _PICTURE)
        self.backbone_convs = nn.ModuleList(_convolution(c, c) for _ in layers)
        self.residual_convs = nn.ModuleList(_convolution(_PICTURE, _PICTURE) for _ in layers)
        self.add_residual_convs = nn.ModuleList(_convolution(_PICTURE, c) for _ in layers)
        self.conv_last = _convolution(c, given)
        self.conv_residual_last = _convolution(_PICTURE, given)
        for convolution in (self.conv_residual_first, *self.residual_convs):
            _carry(cast("nn.Conv2d", convolution), 1)
        for convolution in self.add_residual_convs:
            _carry(cast("nn.Conv2d", convolution), 0)
        _carry(self.conv_residual_last, config.scale**2)

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute the convolutions between the first and the last in `dtype`."""
        for convolutions in (self.backbone_convs, self.residual_convs, self.add_residual_convs):
            convolutions.to(dtype)

    def encode(self, lr: Tensor) -> Tensor:
        """The result (b, 3·s², h, w) before the pixel shuffle: of the joined matrices."""
        first, *middle, last = self._joined()
        features = F.relu(_full(lr, *first))
        for weight, bias in middle:
            features = F.relu(F.conv2d(features.to(weight.dtype), weight, bias, padding=1))
        return _full(features, *last)

    def decode(self, features: Tensor, lr: Tensor) -> Tensor:
        """The image (b, 3, s·h, s·w), not clamped; `lr` is not looked at."""
        return F.pixel_shuffle(features, self.scale)

    def reference(self, lr: Tensor) -> SROutput:
        """Upscale (b, 3, h, w) by two streams, in the order of the paper: plain and slow."""
        features, picture = F.relu(self.conv_first(lr)), F.relu(self.conv_residual_first(lr))
        for own, carry, add in zip(
            self.backbone_convs, self.residual_convs, self.add_residual_convs, strict=True
        ):
            features = F.relu(own(features) + add(picture))
            picture = F.relu(carry(picture))
        result = self.conv_last(features) + self.conv_residual_last(picture)
        return SROutput(F.pixel_shuffle(result, self.scale))

    def _joined(self) -> list[tuple[Tensor, Tensor]]:
        """Weights and biases of the plain network, which holds the picture in its last channels."""
        c = len(self.conv_first.weight)

        def weights(own: nn.Module, carry: nn.Module, add: nn.Module) -> tuple[Tensor, Tensor]:
            own, carry, add = (cast("nn.Conv2d", one) for one in (own, carry, add))
            above = torch.cat((own.weight, add.weight), 1)
            below = torch.cat((carry.weight.new_zeros(_PICTURE, c, 3, 3), carry.weight), 1)
            return torch.cat((above, below)), torch.cat((_bias(own) + _bias(add), _bias(carry)))

        first, second = self.conv_first, self.conv_residual_first
        last, added = self.conv_last, self.conv_residual_last
        middle = zip(self.backbone_convs, self.residual_convs, self.add_residual_convs, strict=True)
        return [
            (torch.cat((first.weight, second.weight)), torch.cat((_bias(first), _bias(second)))),
            *(weights(own, carry, add) for own, carry, add in middle),
            (torch.cat((last.weight, added.weight), 1), _bias(last) + _bias(added)),
        ]


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _bias(convolution: nn.Conv2d) -> Tensor:
    assert convolution.bias is not None
    return convolution.bias


def _full(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 3x3 convolution in its weight's precision, under autocast too."""
    with torch.autocast(features.device.type, enabled=False):
        return F.conv2d(features.to(weight.dtype), weight, bias, padding=1)


@torch.no_grad()
def _carry(convolution: nn.Conv2d, copies: int) -> None:
    """Let a convolution hand on each of its inputs, `copies` times."""
    convolution.weight.zero_()
    _bias(convolution).zero_()
    for output in range(copies * convolution.in_channels):
        convolution.weight[output, output // copies, 1, 1] = 1


def _spec(name: str, network: type[ETDS | ETDSDual]) -> ModelSpec:
    return ModelSpec(
        name=name,
        paper="ETDS (CVPR 2023)",
        scales=(2, 3, 4),
        alignment=1,
        overlap=9,
        memory=MemoryProfile(forward=800, tile=800, held=192),
        efforts={"exact": EXACT},
        build=lambda scale: network(ETDSConfig(scale)),
    )


SPECS = (_spec("etds", ETDS), _spec("etds-dual", ETDSDual))
