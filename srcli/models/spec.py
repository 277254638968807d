"""Interface of every network: how it is built, its input and its output."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from srcli.errors import UsageError
from srcli.models.traces import EXACT, Halting, LayerTrace, PureTrace

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
    optional_parts: tuple[str, ...] = ()
    """Prefixes of parameters that weights may lack; without them the part is not there."""

    @abstractmethod
    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale `lr` (b, 3, h, w), RGB in [0, 1], any h, w ≥ 1. Changes nothing on `self`."""

    @abstractmethod
    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute everything but the first and last convolution in `dtype`."""

    def computes(self, dtype: torch.dtype) -> bool:
        """True if `lower_precision` knows `dtype`; int8 wants more than parameters."""
        return dtype != torch.int8

    def add_part(self, prefix: str) -> None:
        """Add one of `optional_parts`, its parameters untrained."""
        raise UsageError(f"{type(self).__name__} has no optional part {prefix!r}")

    def shapes_with(self, names: Collection[str]) -> dict[str, tuple[int, ...]]:
        """The shapes of its parameters by name, after adding those optional parts that are named.

        Args:
            names: Of a weights file's parameters.
        """
        for prefix in self.optional_parts:
            if any(name.startswith(prefix) for name in names):
                self.add_part(prefix)
        return {name: tuple(value.shape) for name, value in self.state_dict().items()}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:  # noqa: ANN401 PyTorch does not export the type
        """Load parameters, and with them the optional parts that they have; see `nn.Module`."""
        self.shapes_with(state_dict)
        return super().load_state_dict(state_dict, strict, assign)

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

    @property
    def has_short_ways(self) -> bool:
        """True if its weights brought short ways for smooth windows."""
        return False

    def short_windows(self, lr: Tensor, halting: Halting) -> Tensor | None:
        """Windows that the network computes a short way, in (b, 3, h, w), an extended image.

        Returns:
            (b, h / S, w / S) bool, for `encode_short`, `attend_short` and `decode_short`; None if
            there are none, as in most networks and for `halting.smooth` = 0.
        """
        del lr, halting

    def encode_short(self, lr: Tensor, short: Tensor | None) -> Tensor:
        """Encode as `encode` does, windows of the crop that are `short` by the short way."""
        del short
        return self.encode(lr)

    def attend_short(
        self, bands: Iterable[Tensor], halting: Halting, short: Tensor | None
    ) -> Iterator[AttendedBand]:
        """Attend as `attend` does; windows of the whole image that are `short` sit it out."""
        del short
        return self.attend(bands, halting)

    def decode_short(self, features: Tensor, lr: Tensor, short: Tensor | None) -> Tensor:
        """Decode as `decode` does, windows of the crop that are `short` by the short way."""
        del short
        return self.decode(features, lr)

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
