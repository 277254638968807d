"""The networks that can be trained, and what differs between them."""

from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor, nn

from srcli.models.adaformer import AdaFormer, AdaFormerConfig
from srcli.models.atd import ATDConfig, ATDLight
from srcli.models.camixer_atd import CAMixerATDConfig, CAMixerATDLight
from srcli.models.pp_atd import PPATDLight, PureConfig
from srcli.models.spec import EXACT, Halting, SRNetwork
from srcli.training.network import Backend, PatchNetwork, PatchOutput

__all__ = [
    "FAMILIES",
    "NetworkConfig",
    "PlainNetwork",
    "adaptive",
    "build",
    "config_of",
    "describe_built",
    "for_patches",
]

NetworkConfig = AdaFormerConfig | ATDConfig

FAMILIES: Mapping[str, type[NetworkConfig]] = {
    "adaformer": AdaFormerConfig,
    "atd-light": ATDConfig,
    "camixer-atd-light": CAMixerATDConfig,
}


def build(config: NetworkConfig) -> SRNetwork:
    """Make the network with untrained parameters."""
    if isinstance(config, AdaFormerConfig):
        return AdaFormer(config)
    if isinstance(config, CAMixerATDConfig):
        return CAMixerATDLight(config)
    return PPATDLight(config, PureConfig())


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


def adaptive(config: NetworkConfig, eps: float) -> Halting:
    """Halting in the last phase of a run: tokens halt, or pure pixels are exempt.

    CAMixer's windows are chosen from the first step on: there is nothing more to it.
    """
    if isinstance(config, AdaFormerConfig):
        return Halting(eps)
    return Halting(eps=None, skip_pure=True)


def for_patches(network: SRNetwork, token_share: float) -> "PatchNetwork | PlainNetwork":
    """The network as it is trained: (lr, threshold) to `PatchOutput`."""
    if isinstance(network, AdaFormer):
        return PatchNetwork(network, token_share)
    return PlainNetwork(network)


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
