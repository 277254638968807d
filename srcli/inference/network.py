"""A network with its weights, on its device, in its precision."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from srcli.errors import NonFiniteOutput, UsageError
from srcli.inference.arithmetic import arithmetic
from srcli.inference.compiling import compile_parts
from srcli.inference.device import all_finite, format_between, pick_precision, precision_name
from srcli.inference.device_link import link_to
from srcli.models import model_spec
from srcli.models.community import CommunityNetwork
from srcli.models.spec import BandedNetwork, Halting, ModelSpec, SRNetwork, SROutput
from srcli.weights import WeightsEntry, fingerprint_of
from srcli.weights.load import read_weights
from srcli.weights.manifest_file import COMMUNITY

__all__ = [
    "LoadedNetwork",
    "load_network",
]

# What bf16 takes of fp32's memory at the peak: the images at both ends, similarities and sums
# stay fp32. Measured on a CPU: AdaFormer 0.81 to 0.86, ATD-light 0.89.
_LOWER_SHARE = 0.9


class LoadedNetwork:
    """Runs one network; a result that is not finite in low precision is computed again in fp32.

    Args:
        weights: The manifest's entry to load.
        device: Where to compute.
        dtype: In which precision; fp32, bf16, fp16 or int8.
        compiled: Compile its parts when they first run.
        tf32: What is in fp32 may be computed in TF32.

    Raises:
        WeightsError: The file is missing, altered, or does not fit the network.
        UsageError: It shall be compiled, and there is nothing here to compile with.
    """

    _tf32 = False
    _fingerprint = ""

    def __init__(
        self,
        weights: WeightsEntry,
        device: torch.device,
        dtype: torch.dtype,
        *,
        compiled: bool = False,
        tf32: bool = False,
    ) -> None:
        self._tf32 = tf32
        self._set_up(_spec_of(weights, device), weights.scale, weights, device, dtype)
        if compiled:
            self.uncompiled = compile_parts(self.module)
            self.compiled = self.compilable and not self.uncompiled

    @classmethod
    def untrained(
        cls,
        spec: ModelSpec,
        scale: int,
        device: torch.device,
        dtype: torch.dtype,
        *,
        tf32: bool = False,
    ) -> "LoadedNetwork":
        """A network with random parameters, the same in every run: to measure its speed."""
        network = cls.__new__(cls)
        network._tf32 = tf32
        network._set_up(spec, scale, None, device, dtype)
        return network

    @classmethod
    def of_parameters(
        cls,
        spec: ModelSpec,
        scale: int,
        parameters: Mapping[str, Tensor],
        device: torch.device,
        dtype: torch.dtype,
        *,
        fingerprint: str = "",
    ) -> "LoadedNetwork":
        """A network with parameters that are in memory, by srcli's names for them.

        Args:
            spec: The network.
            scale: SR px per LR px to a side.
            parameters: By name.
            device: Where to compute.
            dtype: In which precision.
            fingerprint: Hash of what they were read from, if that is known.
        """
        network = cls.__new__(cls)
        network._set_up(spec, scale, None, device, dtype, parameters)
        network._fingerprint = fingerprint
        return network

    def _set_up(
        self,
        spec: ModelSpec,
        scale: int,
        weights: WeightsEntry | None,
        device: torch.device,
        dtype: torch.dtype,
        parameters: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.weights = weights
        self.compiled = False
        """True if parts of the network are compiled, or will be when they first run."""
        self.uncompiled = ""
        """Why it is not compiled although that was asked for, in a line."""
        self._parameters = parameters
        self.device = device
        self.link = link_to(device)
        """Link by which images come to the device and back; None on the CPU."""
        self.dtype = dtype if dtype in (spec.precisions or (dtype,)) else torch.float32
        """Number format; fp32 where the network cannot be computed in the one asked for."""
        self.spec = spec
        self.scale = scale
        """SR px per LR px to a side."""
        self.reruns = 0
        self.module = self._load(self.dtype)
        if not self.module.computes(self.dtype):
            self.dtype = torch.float32
        self._fp32: SRNetwork | None = self.module if self.dtype == torch.float32 else None

    @property
    def fingerprint(self) -> str:
        """Hash of the weights' file as published; "random" if there are none."""
        if self._parameters is not None:
            return self._fingerprint
        return "random" if self.weights is None else fingerprint_of(self.weights)

    @property
    def precision(self) -> str:
        """The name by which `--precision` knows what it computes in."""
        return "tf32" if self._tf32 else precision_name(self.dtype)

    @property
    def bytes_per_pixel(self) -> float:
        """Memory a forward pass takes at its peak, per LR px."""
        full = format_between(self.dtype) == torch.float32
        return self.spec.memory.forward * (1.0 if full else _LOWER_SHARE)

    @property
    def banded(self) -> bool:
        """True if the network can be computed in parts with the result of the whole."""
        return isinstance(self.module, BandedNetwork) and self.module.band > 0

    @property
    def compilable(self) -> bool:
        """True if any part of the network is worth compiling."""
        return any(True for _ in self.module.compilable())

    @property
    def halo(self) -> int:
        """Reach of the convolutions beyond a tile, LR px; 0 for a network not in bands."""
        network = self.module
        if not isinstance(network, BandedNetwork):
            return 0
        return max(network.encoder_halo, network.decoder_halo)

    @torch.inference_mode()
    def __call__(self, lr: Tensor, halting: Halting) -> SROutput:
        """Upscale one crop, (1, 3, h, w) in [0, 1] on any device; the result stays on ours.

        Raises:
            NonFiniteOutput: The result is not finite even in fp32.
        """
        lr = self.take(lr)
        with self.arithmetic():
            for network in self.precisions():
                output = network(lr, halting)
                if all_finite(output.image):
                    return output
        raise self.not_finite()

    def arithmetic(self) -> AbstractContextManager[None]:
        """Meaning of fp32 while the network computes; `__call__` sees to it."""
        return arithmetic(self.device, tf32=self._tf32)

    def take(self, lr: Tensor) -> Tensor:
        """Bring an image to our device, in the memory order convolutions want."""
        return lr.to(self.device).contiguous(memory_format=torch.channels_last)

    def precisions(self) -> Iterator[SRNetwork]:
        """The network as it was asked for; then, for what overflows there, in fp32."""
        yield self.module
        if self.module is not self._fp32:
            self.reruns += 1
            if self._fp32 is None:
                self._fp32 = self._load(torch.float32)
            yield self._fp32

    def not_finite(self) -> NonFiniteOutput:
        """The error for a result that is not finite in any precision."""
        return NonFiniteOutput(
            f"{self.spec.name} gave values that are not finite, in fp32 too; "
            "check the image for extreme values, or the machine's memory"
        )

    def _load(self, dtype: torch.dtype) -> SRNetwork:
        with torch.random.fork_rng(devices=[]):  # a training run's random numbers stay as they are
            if self.weights is None and self._parameters is None:
                torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
            network = self.spec.build(self.scale)
        if self.weights is not None and self.weights.model != COMMUNITY:
            _take_over(network, self.weights)
        elif self._parameters is not None:
            network.load_state_dict(dict(self._parameters))
        network.requires_grad_(requires_grad=False)
        if dtype != torch.float32 and network.computes(dtype):
            network.lower_precision(dtype)
        if not isinstance(network, CommunityNetwork):
            network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        return network.eval().to(self.device).prepared()


def load_network(
    weights: WeightsEntry, device: torch.device, precision: str, *, compiled: bool = False
) -> LoadedNetwork:
    """Load a network in a precision by name; see `pick_precision` and `LoadedNetwork`.

    Raises:
        UsageError: There is no such precision, or the network cannot be computed in it.
        WeightsError: See `LoadedNetwork`.
    """
    dtype = pick_precision(precision, device, to_the_last_bit=weights.model == COMMUNITY)
    if compiled and dtype == torch.int8:
        if precision != "auto":
            raise UsageError("int8 cannot be compiled; hint: leave out --compile")
        dtype = torch.float32
    network = LoadedNetwork(weights, device, dtype, compiled=compiled, tf32=precision == "tf32")
    if precision != "auto" and network.dtype != dtype:
        reason = f"its architecture, {weights.architecture}, does not support it"
        if dtype == torch.int8:
            reason = "its weights have no ranges for it"
        raise UsageError(
            f"{weights.title} cannot be computed in {precision}: {reason}; hint: --precision fp32"
        )
    return network


def _spec_of(weights: WeightsEntry, device: torch.device) -> ModelSpec:
    """The registry's entry of the network that weights are for, or one made for these weights."""
    if weights.model != COMMUNITY:
        return model_spec(weights.model)
    from srcli.inference.community import community_spec  # needs more of torch than most runs

    return community_spec(weights, device)


def _take_over(network: SRNetwork, weights: WeightsEntry) -> None:
    """Load the weights' file into a network."""
    network.load_state_dict(read_weights(weights, network.shapes_with))
