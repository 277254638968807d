"""Savings that a measurement can switch off one by one, to show what each is worth.

So that rows differ by the switch alone, all of them run as `srcli upscale` does: planned by the
free memory, in bands, with flat areas copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from srcli.inference.network import LoadedNetwork
from srcli.inference.run_tiles import run_tiles, with_plans
from srcli.inference.tally import Tally
from srcli.inference.tile_planner import TilePlan, TilePlanner
from srcli.models.spec import BandedNetwork, Halting, LayerTrace, SROutput

__all__ = ["Without", "run_as_upscaled", "saves_by", "without"]

_OFF = {"flat-areas": "skip_flat", "local-mask": "local", "global-mask": "shared",
        "smooth-windows": "smooth", "pure-pixels": "skip_pure"}  # fmt: skip


@dataclass(frozen=True)
class Without:
    """A method with a saving switched off.

    Args:
        saving: Its name.
        full: The method with the saving, by its name in the tables.
    """

    saving: str
    full: str


def saves_by(network: LoadedNetwork, halting: Halting, saving: str) -> bool:
    """Tell if a network computes less by a saving of `SAVINGS`, where so much halts."""
    if saving == "pure-pixels":
        return halting.skip_pure
    if saving == "flat-areas":
        return network.banded and network.spec.keeps_colours and bool(halting.eps)
    if saving == "smooth-windows":
        module = network.module
        return isinstance(module, BandedNetwork) and module.has_short_ways and halting.smooth > 0
    return halting.eps is not None


def without(halting: Halting, saving: str) -> Halting:
    """Switch a saving off."""
    field = _OFF[saving]
    return replace(halting, **{field: type(getattr(halting, field))()})


class _TraceTally(Tally):
    """A tally that keeps what happened in each band."""

    def __init__(self) -> None:
        super().__init__(0, None)
        self.bands: list[tuple[LayerTrace, ...]] = []

    def begin(self, tiles: int) -> None:
        """See `Tally`."""
        super().begin(tiles)
        self.bands = []

    def add_layers(self, layers: tuple[LayerTrace, ...]) -> None:
        """See `Tally`."""
        super().add_layers(layers)
        self.bands.append(layers)


def run_as_upscaled(network: LoadedNetwork, lr: Tensor, halting: Halting) -> SROutput:
    """Run a network over (1, 3, h, w) as the upscaler does, up to the whole result.

    A network that cannot be computed in parts with the result of the whole runs at once.
    """
    if not network.banded:
        return network(lr, halting)

    def attempt(plan: TilePlan, restarts: int) -> SROutput:
        height, width = (side * network.scale for side in lr.shape[2:])
        image = lr.new_empty(3, height, width) if len(plan.grid) > 1 else None
        tally = _TraceTally()
        for part in run_tiles(network, lr[0], plan, halting, tally):
            if image is None:
                image = part.image
                continue
            rows = slice(part.top, part.top + part.image.shape[1])
            image[:, rows, part.left : part.left + part.image.shape[2]] = part.image
        layers = () if plan.blends else _joined(tally.bands)
        return SROutput(cast("Tensor", image)[None], layers)

    return with_plans(network, TilePlanner(network, None), lr[0], attempt)


def _joined(bands: Sequence[tuple[LayerTrace, ...]]) -> tuple[LayerTrace, ...]:
    """Traces of a whole image from those of its bands, top to bottom; without confidence."""
    return tuple(
        LayerTrace(
            confidence_map=None,
            local_mask=torch.cat([one.local_mask for one in layers], 2),
            global_mask=torch.cat([one.global_mask for one in layers], 2),
        )
        for layers in zip(*bands, strict=True)
    )
