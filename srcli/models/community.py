"""Networks of other people, recognised and built by spandrel from their parameters alone.

spandrel (`pip install 'srcli[community]'`) knows the architectures that people publish upscalers
in: ESRGAN, Compact, SPAN, PLKSR, SwinIR, HAT, OmniSR, DAT and more. It is imported here and
nowhere else, and only when such a network is built: it needs torchvision.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from srcli.errors import WeightsError
from srcli.extras import COMMUNITY_HINT, spandrel_is_here
from srcli.models.spec import EXACT, Halting, SRNetwork, SROutput

__all__ = ["CommunityNetwork", "Traits", "UnknownNetwork", "build_network"]

_PLAIN = 3  # channels of an RGB image
_CHANNELS = (1, 3, 4)
_CROPPED_FACES = "FaceSR"


@runtime_checkable
class _SizeRequirements(Protocol):
    """spandrel's requirements for the size of an input, px."""

    minimum: int
    multiple_of: int
    square: bool


@runtime_checkable
class _Descriptor(Protocol):
    """The part that srcli uses of spandrel's `ImageModelDescriptor`."""

    architecture: Any
    purpose: str
    scale: int
    input_channels: int
    output_channels: int
    supports_half: bool
    supports_bfloat16: bool
    size_requirements: _SizeRequirements

    @property
    def model(self) -> nn.Module: ...

    def __call__(self, image: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Traits:
    """Traits of a community network, as spandrel states them.

    Args:
        architecture: By spandrel's name for it.
        scale: SR px per LR px to a side; 1 for one that restores.
        multiple_of: Sides of an input are padded to a multiple of this, LR px.
        minimum: And to at least this, LR px.
        precisions: In which it can be computed; fp32 is the first.
    """

    architecture: str
    scale: int
    multiple_of: int
    minimum: int
    precisions: tuple[torch.dtype, ...]


class UnknownNetwork(WeightsError):
    """spandrel does not know the network of some parameters."""


class CommunityNetwork(SRNetwork):
    """One of spandrel's networks behind the interface that all networks have here.

    Images are padded to the sizes that it takes (mirrored, by spandrel) and cropped again. A gray
    network computes the three colours one by one; one that takes alpha is given an opaque image.
    The result is clamped to [0, 1], and NaN altogether where anything in it was not finite.
    """

    def __init__(self, descriptor: _Descriptor) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.body = descriptor.model
        self.scale = descriptor.scale
        self._dtype = torch.float32
        self._order = torch.contiguous_format

    def put_channels_last(self) -> None:
        """Compute with channels last in memory from now on, which suits most convolutions."""
        self._order = torch.channels_last
        self.body.to(memory_format=self._order)  # pyright: ignore[reportCallIssue]

    @property
    def traits(self) -> Traits:
        """Its traits, as spandrel states them."""
        found = self._descriptor
        precisions = [torch.float32]
        precisions += [torch.float16] if found.supports_half else []
        precisions += [torch.bfloat16] if found.supports_bfloat16 else []
        return Traits(
            architecture=str(found.architecture.name),
            scale=found.scale,
            multiple_of=found.size_requirements.multiple_of,
            minimum=found.size_requirements.minimum,
            precisions=tuple(precisions),
        )

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute all of it in `dtype`, one of its `traits.precisions`."""
        self.body.to(dtype)
        self._dtype = dtype

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w), one image at a time; `halting` has no effect."""
        images = cast("tuple[Tensor, ...]", lr.split(1))
        return SROutput(torch.cat([self._upscale(image) for image in images]))

    def _upscale(self, lr: Tensor) -> Tensor:
        """One image (1, 3, h, w) to (1, 3, s·h, s·w)."""
        channels = self._descriptor.input_channels
        if channels == 1:
            gray = bool((lr[:, 1:] == lr[:, :1]).all())
            planes = cast("tuple[Tensor, ...]", lr.split(1, dim=1))[: 1 if gray else None]
            done = [self._run(plane) for plane in planes]
            return torch.cat(done, 1).expand(-1, _PLAIN, -1, -1)
        if channels > _PLAIN:
            lr = torch.cat([lr, torch.ones_like(lr[:, :1])], 1)
        return self._run(lr)[:, :_PLAIN].expand(-1, _PLAIN, -1, -1)

    def _run(self, given: Tensor) -> Tensor:
        """Run it in its precision; spandrel clamps its result, so infinities are seen before."""
        finite: list[bool] = []

        def look(module: nn.Module, inputs: object, output: object) -> None:
            several = isinstance(output, tuple | list)
            raw = cast("Sequence[object]", output)[0] if several else output
            finite.append(not isinstance(raw, Tensor) or bool(raw.isfinite().all()))

        handle = self.body.register_forward_hook(look)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of old code about new releases of torch
                image = self._descriptor(given.to(self._dtype, memory_format=self._order)).float()
        finally:
            handle.remove()
        return image if all(finite) else torch.full_like(image, torch.nan)


def build_network(parameters: Mapping[str, Tensor], name: str) -> CommunityNetwork:
    """Build the network that parameters are of.

    Args:
        parameters: By the names that its trainer has for them.
        name: Whose they are, for messages.

    Raises:
        UnknownNetwork: spandrel does not know the network.
        WeightsError: spandrel is not installed or cannot be imported, or the network is not one
            that makes an image of one image.
    """
    if not spandrel_is_here():
        raise WeightsError(f"{name} needs spandrel; hint: {COMMUNITY_HINT}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            spandrel: Any = import_module("spandrel")
    except Exception as error:  # torchvision's operators fail with a plain RuntimeError
        raise WeightsError(
            f"{name}: spandrel cannot be imported ({_first_line(error)}); hint: install torch and "
            "torchvision of releases that belong together, and spandrel anew"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            descriptor: Any = spandrel.ModelLoader().load_from_state_dict(dict(parameters))
    except spandrel.UnsupportedModelError as error:
        raise UnknownNetwork(f"{name}: neither srcli nor spandrel knows its network") from error
    except Exception as error:  # whatever its detection stumbles over
        raise WeightsError(
            f"{name}: spandrel cannot build its network: {_first_line(error)}"
        ) from error
    _require_usable(spandrel, descriptor, name)
    return CommunityNetwork(descriptor)


def _require_usable(spandrel: Any, descriptor: Any, name: str) -> None:  # noqa: ANN401
    """Refuse networks that take anything but one whole image, or give none."""
    architecture = descriptor.architecture.name
    if not isinstance(descriptor, spandrel.ImageModelDescriptor):
        raise WeightsError(f"{name}: {architecture} fills in masked parts, it upscales no images")
    if descriptor.purpose == _CROPPED_FACES:
        raise WeightsError(f"{name}: {architecture} restores cropped faces, not whole images")
    for what, count in (
        ("takes", descriptor.input_channels),
        ("gives", descriptor.output_channels),
    ):
        if count not in _CHANNELS:
            raise WeightsError(
                f"{name}: {architecture} {what} images of {count} channels, srcli has 1, 3 or 4"
            )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
