"""Interface of every network: how it is built, its input and its output."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

__all__ = [
    "EXACT",
    "AttendedBand",
    "BandedNetwork",
    "Halting",
    "LayerTrace",
    "ModelSpec",
    "PureTrace",
    "SRNetwork",
    "SROutput",
]


@dataclass(frozen=True)
class Halting:
    """When tokens stop being computed (AdaFormer, Eqs. 19 and 22).

    Args:
        eps: ε_h in [0, 1]: a token halts once its accumulated confidence reaches 1 - eps, so a
            larger value halts more. None: nothing halts.
        observe: Compute the confidence maps also where halting does not need them (with
            `eps=None`, and after the last layer): for images and for training.
        skip_pure: Exempt pure pixels from what the network can spare them (Pure-Pass).
        skip_flat: Copy areas of one colour where something halts, if the network can be computed
            in parts (`inference/flat_blocks.py`).
        local: Windows halt in the local branch.
        shared: Tokens halt in the global branch.
    """

    eps: float | None
    observe: bool = False
    skip_pure: bool = False
    skip_flat: bool = True
    local: bool = True
    shared: bool = True

    @property
    def threshold(self) -> float:
        """The halting score at which a token or window stops."""
        return float("inf") if self.eps is None else 1.0 - self.eps


EXACT = Halting(eps=None)


@dataclass(frozen=True)
class LayerTrace:
    """Windows and pixels that halted before one layer, and the confidence after it.

    Sizes are those of the LR image extended to whole windows of S px (AdaFormer: S = 8).

    Args:
        confidence_map: (b, 1, h, w) in [0, 1], estimated from the layer's output. None where no
            one needed it. Windows in which all has halted keep the last value estimated for them.
        local_mask: (b, 1, h / S, w / S) bool, True = this window sat out the local branch.
        global_mask: (b, 1, h, w) bool, True = this token sat out the global branch.
    """

    confidence_map: Tensor | None
    local_mask: Tensor
    global_mask: Tensor

    @property
    def live_windows(self) -> float:
        """The share of windows that the local branch computed, in [0, 1]."""
        return 1.0 - self.local_mask.float().mean().item()

    @property
    def live_tokens(self) -> float:
        """The share of tokens that took part in the global branch, in [0, 1]."""
        return 1.0 - self.global_mask.float().mean().item()


@dataclass(frozen=True)
class PureTrace:
    """Exempt pixels, and the colour classes that made them so (Pure-Pass).

    Sizes are those of the LR image extended to whole windows.

    Args:
        mask: (b, 1, h, w) bool, True = pure: exempt from the category attention in every layer.
        classes: (b, 1, h, w) int64, the number of the nearest colour centre.
    """

    mask: Tensor
    classes: Tensor


@dataclass(frozen=True)
class SROutput:
    """Output of every network, whatever the mode.

    Args:
        image: (b, 3, s·h, s·w), nominally in [0, 1], not clamped.
        layers: One trace per adaptive layer; empty for a network in which nothing halts.
        pure: The pure pixels, of a network that exempts them, when it did.
    """

    image: Tensor
    layers: tuple[LayerTrace, ...] = ()
    pure: PureTrace | None = None


class SRNetwork(nn.Module, ABC):
    """A super-resolution network: LR pixels in, SR pixels and traces out."""

    scale: int

    @abstractmethod
    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale `lr` (b, 3, h, w), RGB in [0, 1], any h, w ≥ 1. Changes nothing on `self`."""

    @abstractmethod
    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute everything but the first and last convolution in `dtype`."""

    def prepared(self) -> Self:
        """Keep what follows from the parameters alone: they must not change from now on."""
        return self

    def baselines(self) -> "Mapping[str, Callable[[Tensor], SROutput]]":
        """Other ways to run it that tell how good `forward` is, by name; none by default."""
        return {}

    def progress_modules(self) -> "Mapping[nn.Module, int]":
        """Modules that are called in turn on every part of the image; none by default.

        Of each how many LR px one px of its input, (b, c, h, w) or (b, n, c), stands for. Who
        watches them knows how far an image is.
        """
        return {}

    def compilable(self) -> Iterable[nn.Module]:
        """The parts whose shapes vary little, and that so are worth compiling; none by default."""
        return ()


@dataclass(frozen=True)
class AttendedBand:
    """A band of features after all adaptive layers, and what happened there.

    Args:
        features: (b, c, h, w).
        layers: One trace per layer, of this band alone.
    """

    features: Tensor
    layers: tuple[LayerTrace, ...]


class BandedNetwork(SRNetwork):
    """A network that can be computed in parts of the image with the result of the whole.

    The image is first extended (`extend`). What reaches beyond a part is bounded: `encode` and
    `decode` are right on a crop but for `encoder_halo` and `decoder_halo` px at the sides where
    the crop ends before the image does; `attend` takes the features in bands of the whole
    width, from top to bottom, and passes on from band to band what they need of each other.
    """

    encoder_halo: int  # LR px
    decoder_halo: int  # LR px
    band: int  # LR px; bands start on multiples of it; 0: cannot be parted after all
    attends_beyond: tuple[int, int] | None = None
    """LR px that the adaptive layers together look beyond a px: with nothing halted, and with
    halting, whose decisions look further; None: over the whole image."""

    def band_progress_modules(self) -> Collection[nn.Module]:
        """Those of `steps` that see bands, and so no px twice; none by default."""
        return ()

    @abstractmethod
    def extend(self, lr: Tensor) -> Tensor:
        """Extend an image (b, 3, h, w) right and down to the size that the network computes."""

    @abstractmethod
    def encode(self, lr: Tensor) -> Tensor:
        """Features (b, c, h, w) of the extended image or a crop of it."""

    @abstractmethod
    def attend(
        self, bands: Iterable[Tensor], halting: Halting, chunk: int | None = None
    ) -> Iterator[AttendedBand]:
        """Pass bands (b, c, h, w) through the adaptive layers; they come out in the same order.

        Args:
            bands: The features of the whole image from top to bottom; all but the last have
                heights that are multiples of `band`. Asked for when needed, a few in advance.
            halting: When tokens stop being computed.
            chunk: Windows computed at a time; None chooses by the device.
        """

    @abstractmethod
    def decode(self, features: Tensor, lr: Tensor) -> Tensor:
        """The image (b, 3, s·h, s·w) from features and the same crop of the extended image."""


@dataclass(frozen=True)
class MemoryProfile:
    """Memory that a network takes, measured in fp32: bytes per LR px.

    Args:
        forward: Peak of a forward pass.
        tile: The same of `encode` or `decode` alone, for a network in bands.
        held: Features and tokens between these.
        attending: A layer, per px that it computes at a time.
        bands_held: Number of bands on their way through the layers at a time.
        holds_whole_image: True if the layers hold the features of the whole image instead.
    """

    forward: int
    tile: int = 0
    held: int = 0
    attending: int = 0
    bands_held: int = 0
    holds_whole_image: bool = False


@dataclass(frozen=True)
class ModelSpec:
    """A network's entry in the registry.

    Args:
        name: The name by which `-m` finds it.
        paper: Where it was published.
        scales: The scales it can be built for.
        alignment: Tiles start on multiples of this (LR px), so that windows and regions fall as
            they would in the whole image.
        overlap: Context a tile needs on each inner side (LR px).
        memory: Memory that it takes.
        from_authors: Our name for a parameter of the authors' state dict; None for what is
            computed here. None altogether where there is no such state dict.
        convert_authors: Our values for the authors', all by our names, where they differ in more
            than names; takes a state dict that lacks parameters or has others, too. None: they
            are the same.
        efforts: What `--effort` means for it: "exact" and, where tokens halt, more.
        build: Makes the network for a scale, with untrained parameters; a community network with
            its own.
        precisions: Number formats that it can be computed in; () for all.
        keeps_colours: A flat area is to have its colour in the result, so that flat borders are
            restored; a network of others may mean to change it.
    """

    name: str
    paper: str
    scales: tuple[int, ...]
    alignment: int
    overlap: int
    memory: MemoryProfile
    efforts: Mapping[str, Halting]
    build: Callable[[int], SRNetwork]
    from_authors: Callable[[str], str | None] | None = None
    convert_authors: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None = None
    precisions: tuple[torch.dtype, ...] = ()
    keeps_colours: bool = True
