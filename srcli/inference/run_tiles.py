"""Runs a network over a plane as planned: exactly tiled, or in tiles that are blended."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

import torch
from torch import Tensor

from srcli.geometry import Tile
from srcli.inference.blended_tiling import blend_tiles
from srcli.inference.device import all_finite, as_out_of_memory, release_cached_memory
from srcli.inference.exact_tiling import OutputTile, exact_parts
from srcli.inference.flat_blocks import find_flat_blocks
from srcli.inference.maps import MapStitcher
from srcli.inference.network import LoadedNetwork
from srcli.inference.tally import Tally
from srcli.inference.tile_planner import TilePlan, TilePlanner
from srcli.models.spec import BandedNetwork, Halting, LayerTrace

__all__ = ["run_tiles", "with_plans"]

_T = TypeVar("_T")


@torch.inference_mode()
def run_tiles(
    network: LoadedNetwork,
    plane: Tensor,
    plan: TilePlan,
    halting: Halting,
    tally: Tally,
    maps: MapStitcher | None = None,
) -> Iterator[OutputTile]:
    """Upscale a plane by the network's scale.

    Args:
        network: On its device, in its precision.
        plane: (1 or 3, h, w) in [0, 1].
        plan: How to cut it.
        halting: When tokens stop being computed.
        tally: Counts what it takes.
        maps: Told what happens where, if someone wants to know.

    Yields:
        Finished parts. Where one was not finite in lower precision, all of them again.

    Raises:
        NonFiniteOutput: The result is not finite even in fp32.
    """
    lr = plane.expand(3, -1, -1)[None]  # (1, 3, h, w)
    run = _run_exact if plan.exact else _run_blended
    parts = run(network, lr, plan, halting, tally, maps)
    while True:
        with tally.timed(), network.arithmetic():
            part = next(parts, None)
        if part is None:
            return
        yield part


def with_plans(
    network: LoadedNetwork,
    planner: TilePlanner,
    plane: Tensor,
    attempt: Callable[[TilePlan, int], _T],
) -> _T:
    """Compute by the first plan that memory does for; after it ran out, all again in smaller tiles.

    Args:
        network: Computes it.
        planner: Its plans.
        plane: (c, h, w), what is cut.
        attempt: Takes a plan and the number of those that failed before it.

    Raises:
        torch.OutOfMemoryError: Memory does not even do for the smallest tiles.
    """
    for restarts, plan in enumerate(planner.attempts(*plane.shape[1:])):
        with suppress(torch.OutOfMemoryError), as_out_of_memory():
            return attempt(plan, restarts)
        release_cached_memory(network.device)  # the error is released by now
    raise torch.OutOfMemoryError("not even the smallest tiles fit")


def _run_exact(
    network: LoadedNetwork,
    lr: Tensor,
    plan: TilePlan,
    halting: Halting,
    tally: Tally,
    maps: MapStitcher | None,
) -> Iterator[OutputTile]:
    def on_band(layers: tuple[LayerTrace, ...]) -> None:
        tally.add_layers(layers)
        if maps is not None:
            maps.add_band(layers)

    lr = network.take(lr)
    for in_precision in network.precisions():
        assert isinstance(in_precision, BandedNetwork)
        tally.begin(len(plan.grid))
        if maps is not None:
            maps.begin()
        flat = None
        if halting.eps and halting.skip_flat and network.spec.keeps_colours:
            extended = in_precision.extend(lr)
            flat = find_flat_blocks(in_precision, extended, halting, tally.add_spared)
        parts = exact_parts(in_precision, lr, plan.grid, halting, on_band, flat, tally.add_spared)
        for part in parts:
            if not all_finite(part.image):
                break
            tally.add_tile()
            yield part
        else:
            if maps is not None:
                maps.end_bands(in_precision.extend(lr))
            return
    raise network.not_finite()


def _run_blended(
    network: LoadedNetwork,
    lr: Tensor,
    plan: TilePlan,
    halting: Halting,
    tally: Tally,
    maps: MapStitcher | None,
) -> Iterator[OutputTile]:
    def compute(tile: Tile) -> Tensor:
        rows, columns = tile.rows, tile.columns
        crop = lr[..., rows.crop_start : rows.crop_stop, columns.crop_start : columns.crop_stop]
        output = network(crop, halting)
        tally.add_tile()
        tally.add_layers(output.layers)
        if maps is not None:
            maps.add_tile(tile, output)
        return output.image[0]

    tally.begin(len(plan.grid))
    if maps is not None:
        maps.begin()
    for top, band in blend_tiles(plan.grid, network.scale, compute):
        yield OutputTile(top, 0, band)
