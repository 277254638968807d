"""Reach of a change in an image: what it changes in the result, and what a crop needs around it."""

from dataclasses import dataclass

from srcli.inference.network import LoadedNetwork
from srcli.models.spec import BandedNetwork, Halting

__all__ = ["CropReach", "crop_reach"]

_SEEN = 8  # LR px
_CONTEXT = 16  # LR px
_SMOOTH = 10  # LR px: a change beside a window decides on all of it (`layers/short_way.py`)
_REDUCED = 8  # LR px of the filter that reduces a result, with some to spare


@dataclass(frozen=True)
class CropReach:
    """Reach of a change, LR px.

    Args:
        affected: Px around changed px whose result changes.
        context: Px around a part that its result depends on.
        alignment: Crops start on multiples of it.
    """

    affected: int
    context: int
    alignment: int


def crop_reach(network: LoadedNetwork, halting: Halting, *, exact: bool) -> CropReach | None:
    """Reach of a change through a network; None: over the whole image.

    Args:
        network: The network.
        halting: When tokens stop being computed; these decisions reach further than the values.
        exact: All of it; else only as far as it changes a result visibly.
    """
    module = network.module
    if not isinstance(module, BandedNetwork) or module.band == 0 or module.attends_beyond is None:
        return None
    reach = module.encoder_halo + module.decoder_halo + _REDUCED
    reach += module.attends_beyond[0 if halting.eps is None else 1]
    if halting.smooth and module.has_short_ways:
        reach += _SMOOTH
    if exact:
        return CropReach(reach, reach, module.band)
    return CropReach(min(reach, _SEEN), min(reach, _CONTEXT), module.band)
