"""How a picture is cut up so that what it takes fits into the memory that is free."""

from dataclasses import dataclass

from srcli.geometry import TileGrid
from srcli.inference.device import free_memory
from srcli.inference.network import LoadedNetwork

__all__ = ["Plan", "Planner"]

_CPU_BUDGET = 1_800_000_000  # bytes: with less, wide pictures get strips so low that halos cost
_FREE_SHARE = 0.5  # of the free memory
_SIDES = (*range(32, 512, 32), *range(512, 2048, 128), *range(2048, 8192, 512))


@dataclass(frozen=True)
class Plan:
    """How one picture is computed.

    Args:
        grid: Its tiles.
        exact: They are computed so that together they are what the whole picture gives;
            otherwise they overlap and are blended.
        needs: Estimated peak memory on the device, bytes, beside the network and the result.
    """

    grid: TileGrid
    exact: bool
    needs: int


class Planner:
    """Chooses tiles by the free memory, and smaller ones once that was not enough.

    Args:
        network: What will compute them.
        tile: Longest side of a tile's core, LR px; 0 takes the picture whole; None chooses.
    """

    def __init__(self, network: LoadedNetwork, tile: int | None) -> None:
        self._network = network
        self._tile = tile
        self._ceiling: int | None = None  # bytes; less than what once ran out

    def plan(self, height: int, width: int) -> Plan:
        """Cut a picture of `height` × `width` LR px.

        A plan whose estimate fits is exact if the network allows it. Where not even the smallest
        exact tiles fit, tiles are blended.
        """
        budget = self._budget()
        if self._network.banded:
            for plan in self._exact_plans(height, width):
                if plan.needs <= budget:
                    return plan
        return self._blended(height, width, budget)

    def shrink(self, plan: Plan) -> bool:
        """Learn that `plan` ran out of memory.

        Returns:
            Whether there is a smaller one.
        """
        height, width = plan.grid.rows[-1].core_stop, plan.grid.columns[-1].core_stop
        self._ceiling = plan.needs // 2
        self._tile = None
        return self.plan(height, width).needs < plan.needs

    def _budget(self) -> int:
        """Bytes that a plan may need."""
        if self._ceiling is not None:
            return self._ceiling
        if self._tile is not None:
            return 1 << 62  # what was asked for is tried
        budget = int(free_memory(self._network.device) * _FREE_SHARE)
        return budget if self._network.device.type == "cuda" else min(budget, _CPU_BUDGET)

    def _exact_plans(self, height: int, width: int) -> list[Plan]:
        """Ways to cut a picture, the fastest first: the less neighbouring tiles share, the better.

        Either as asked for, or strips of some height, cut into tiles of about a square.
        """
        spec = self._network.spec
        sides = [self._tile] if self._tile is not None else [0, *reversed(_SIDES)]
        plans: list[Plan] = []
        for side in sides:
            grid = TileGrid.plan(height, width, side, alignment=spec.alignment, overlap=0)
            plans.append(Plan(grid, exact=True, needs=self._exact_needs(grid)))
        return plans

    def _exact_needs(self, grid: TileGrid) -> int:
        """Estimated bytes: one tile in work, the strips' features, and the bands on their way."""
        spec, size = self._network.spec, self._network.dtype.itemsize / 4
        tile_height, tile_width = (
            max(span.core_stop - span.core_start for span in spans) + 2 * self._network.halo
            for spans in (grid.rows, grid.columns)
        )
        height, width = grid.rows[-1].core_stop, grid.columns[-1].core_stop
        in_flight = min(height, 2 * tile_height + spec.bands_held * spec.alignment)
        tile = min(tile_height, height) * min(tile_width, width) * spec.bytes_per_tile_pixel
        return int(size * (tile + in_flight * width * spec.bytes_per_held_pixel))

    def _blended(self, height: int, width: int, budget: int) -> Plan:
        """Tiles that overlap, as large as the budget allows."""
        spec, per_pixel = self._network.spec, self._network.bytes_per_pixel
        tile = self._tile
        if tile is None:
            side = int((budget / per_pixel) ** 0.5)
            whole = height * width <= side * side
            tile = 0 if whole else max(side - 2 * spec.overlap, spec.alignment)
        grid = TileGrid.plan(height, width, tile, alignment=spec.alignment, overlap=spec.overlap)
        area = max(s.crop_stop - s.crop_start for s in grid.rows) * max(
            s.crop_stop - s.crop_start for s in grid.columns
        )
        return Plan(grid, exact=False, needs=int(area * per_pixel))
