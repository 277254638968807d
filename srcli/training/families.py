"""The networks that can be trained, and what differs between them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from srcli.data.patches import PatchBatch
from srcli.models.adaformer import AdaFormer, AdaFormerConfig
from srcli.models.atd import ATDConfig, ATDLight
from srcli.models.camixer_atd import CAMixerATDConfig, CAMixerATDLight
from srcli.models.pp_atd import PPATDLight, PureConfig
from srcli.models.spec import EXACT, Halting, SRNetwork
from srcli.training.fit_upsampler import fit_upsampler
from srcli.training.network import Backend, PatchNetwork, PatchOutput

__all__ = [
    "FAMILIES",
    "Family",
    "NetworkConfig",
    "PlainNetwork",
    "adaptive",
    "build",
    "config_of",
    "describe_built",
    "family_of",
    "for_patches",
    "started",
]

NetworkConfig = AdaFormerConfig | ATDConfig
Parameters = Mapping[str, Tensor]


class PlainNetwork(nn.Module):
    """A network without confidence maps; in the last phase its pure pixels are exempt.

    Args:
        net: The network; its parameters are the ones that train.
    """

    def __init__(self, net: SRNetwork) -> None:
        super().__init__()
        self.net = net
        self.run_plain()

    def run_plain(self) -> None:
        """Run as written, the way it is until `compile_parts`."""
        self._upscale = _upscale

    def compile_parts(self, backend: Backend = "inductor") -> None:
        """Let it be compiled when it first runs."""
        self._upscale = torch.compile(_upscale, backend=backend, dynamic=False)

    def forward(self, lr: Tensor, threshold: float) -> PatchOutput:
        """Upscale (b, 3, h, w); a finite threshold is the last phase."""
        last = threshold < float("inf")
        image = self._upscale(self.net, lr, Halting(eps=None, skip_pure=True) if last else EXACT)
        no_layers = lr.new_zeros(len(lr), 0, *lr.shape[2:])
        return PatchOutput(image, no_layers, torch.zeros(0, device=lr.device))


def _upscale(network: SRNetwork, lr: Tensor, halting: Halting) -> Tensor:
    """The image (b, 3, s·h, s·w) alone."""
    return network(lr, halting).image


@dataclass(frozen=True)
class Family:
    """A kind of network that can be trained, and what differs between them.

    Args:
        config: Its configuration, the section [network] of a run.
        build: Makes it with untrained parameters.
        last_phase: Halting in the last phase of a run, for an ε in [0, 1].
        for_patches: The network as it is trained; further arguments as in `PatchNetwork`.
        fit_upsampler: Fits a new upsampler to a body of another scale, if that can be done.
        same_network: The configuration without what does not tell networks of a kind apart.
        started: Parameters to start from, changed to what a configuration makes of the network.
    """

    config: type[NetworkConfig]
    build: Callable[[Any], SRNetwork]
    last_phase: Callable[[float], Halting]
    for_patches: Callable[[Any, float, str, float], PatchNetwork | PlainNetwork]
    fit_upsampler: Callable[[Any, Iterable[PatchBatch], int], None] | None = None
    same_network: Callable[[Any], NetworkConfig] = lambda config: config
    started: Callable[[Any, Parameters], Parameters] = lambda _, given: given


def _pure_pixels(_: float) -> Halting:
    """Pure pixels are exempt; CAMixer chooses its windows from the first step on anyway."""
    return Halting(eps=None, skip_pure=True)


def _started(config: AdaFormerConfig, given: Parameters) -> Parameters:
    """Those of a whole AdaFormer for one with a part less, or with estimators of its own."""
    kept = {n: t for n, t in given.items() if not n.startswith(AdaFormer.optional_parts)}
    kept = {n: t for n, t in kept.items() if config.prototypes or ".global_branch." not in n}
    if config.shared_estimator or "confidence.conv1.weight" not in kept:
        return kept
    return {
        name.replace("confidence.", f"confidence.{layer}.") if shared else name: tensor
        for name, tensor in kept.items()
        for shared in (name.startswith("confidence."),)
        for layer in range(config.layers if shared else 1)
    }


def _without_confidence(network: SRNetwork, *_: float | str) -> PlainNetwork:
    return PlainNetwork(network)


FAMILIES: Mapping[str, Family] = {
    "adaformer": Family(
        AdaFormerConfig, AdaFormer, Halting, PatchNetwork, fit_upsampler=fit_upsampler,
        same_network=lambda config: replace(config, region=0),  # a patch is a region of its own
        started=_started,
    ),
    "atd-light": Family(
        ATDConfig, lambda config: PPATDLight(config, PureConfig()), _pure_pixels,
        _without_confidence,
    ),
    "camixer-atd-light": Family(
        CAMixerATDConfig, CAMixerATDLight, _pure_pixels, _without_confidence
    ),
}  # fmt: skip


def family_of(config: NetworkConfig) -> Family:
    """The family that a configuration belongs to."""
    return next(family for family in FAMILIES.values() if family.config is type(config))


def started(config: NetworkConfig, given: Parameters) -> Parameters:
    """Parameters of a whole network, changed to what a configuration makes of it."""
    return family_of(config).started(config, given)


def build(config: NetworkConfig) -> SRNetwork:
    """Make the network with untrained parameters."""
    return family_of(config).build(config)


def adaptive(config: NetworkConfig, eps: float) -> Halting:
    """Halting in the last phase of a run: tokens halt, or pure pixels are exempt."""
    return family_of(config).last_phase(eps)


def for_patches(
    network: SRNetwork, token_share: float, exits: str = "uncertainty", ends_at: float = 0.95
) -> PatchNetwork | PlainNetwork:
    """The network as it is trained: (lr, threshold) to `PatchOutput`; see `PatchNetwork`."""
    config = config_of(network)
    if config is None:
        return PlainNetwork(network)
    return family_of(config).for_patches(network, token_share, exits, ends_at)


def config_of(network: SRNetwork) -> NetworkConfig | None:
    """The configuration of a network of these families, None for any other."""
    return network.config if isinstance(network, AdaFormer | ATDLight) else None


@cache
def describe_built(
    build: Callable[[int], SRNetwork], scale: int
) -> tuple[type, NetworkConfig | None]:
    """The class and `config_of` the network that `build` makes, which is made once a process.

    The global random numbers stay as they are.
    """
    with torch.random.fork_rng(devices=[]):
        network = build(scale)
    return type(network), config_of(network)
