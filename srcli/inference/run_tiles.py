"""Runs a network over a plane as planned: exactly tiled, or in tiles that are blended."""

from collections.abc import Iterator

import torch
from torch import Tensor

from srcli.geometry import Tile
from srcli.inference.blended_tiling import blend_tiles
from srcli.inference.exact_tiling import OutputTile, exact_parts
from srcli.inference.maps import MapStitcher
from srcli.inference.network import LoadedNetwork
from srcli.inference.report import Tally
from srcli.inference.tile_planner import TilePlan
from srcli.models.spec import BandedNetwork, Halting, LayerTrace

__all__ = ["run_tiles"]


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
        with tally.timed():
            part = next(parts, None)
        if part is None:
            return
        yield part


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
        for part in exact_parts(in_precision, lr, plan.grid, halting, on_band):
            if not bool(part.image.isfinite().all()):
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
