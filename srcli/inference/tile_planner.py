"""TilePlan tiles so that an image fits into the free memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from srcli.geometry import TileGrid
from srcli.inference.device import format_between, free_memory
from srcli.inference.exact_tiling import band_heights
from srcli.inference.network import LoadedNetwork

__all__ = ["TilePlan", "TilePlanner"]

_STRIPS_BUDGET = 1_800_000_000  # bytes, on a CPU: with less, wide ones get so low that halos cost
_FREE_SHARE = 0.5  # of the free memory
_SIDES = (*range(32, 512, 32), *range(512, 2048, 128), *range(2048, 8192, 512))
_LARGE_FIRST = (0, *reversed(_SIDES))  # 0: whole


@dataclass(frozen=True)
class TilePlan:
    """TilePlan for computing one image.

    Args:
        grid: Its tiles.
        exact: They are computed so that together they are what the whole image gives;
            otherwise they overlap and are blended.
        needs: Estimated peak memory on the device, bytes, beside the network and the result.
    """

    grid: TileGrid
    exact: bool
    needs: int

    @property
    def blends(self) -> bool:
        """True if tiles overlap and are blended, so that the whole image would give another."""
        return not self.exact and len(self.grid) > 1


class TilePlanner:
    """Chooses tiles by the free memory, and smaller ones once that was not enough.

    Args:
        network: Network that computes the tiles.
        tile: Longest side of a tile's core, LR px; 0 takes the image whole; None chooses.
    """

    def __init__(self, network: LoadedNetwork, tile: int | None) -> None:
        self._network = network
        self._tile = tile
        self._ceiling = 1 << 62  # bytes; less than what ran out though it seemed to fit

    def attempts(self, height: int, width: int) -> Iterator[TilePlan]:
        """Plans for an image of `height` × `width` LR px, to be tried one after the other.

        The first has the tile size asked for, or the largest tiles that fit the free memory by
        estimate. The next, taken after memory ran out, needs half as much and no more than is
        free, or the least of all plans. Where not even the smallest exact tiles fit, tiles are
        blended.
        """
        ceiling = self._ceiling
        plan = self._first_plan(height, width)
        while plan is not None:
            yield plan
            if plan.needs > self._budget() // 2:  # later images would run out as well
                self._ceiling = plan.needs // 2
            smaller = [p for p in self._plans(height, width) if p.needs < plan.needs]
            plan = _within(min(plan.needs // 2, self._budget()), smaller) or min(
                smaller, key=lambda p: p.needs, default=None
            )
        self._ceiling = ceiling  # an image that never fitted says nothing about others

    def _first_plan(self, height: int, width: int) -> TilePlan:
        """TilePlan with the tile size asked for; else the largest that fits, or the smallest."""
        if self._tile is not None:
            make = self._exact if self._network.banded else self._blended
            return make(height, width, self._tile)
        plans = self._plans(height, width)
        smallest = self._blended(height, width, self._network.spec.alignment)
        return _within(self._budget(), plans) or smallest

    def _budget(self) -> int:
        """Bytes that a plan may need."""
        budget = min(int(free_memory(self._network.device) * _FREE_SHARE), self._ceiling)
        strips = self._network.banded and not self._network.spec.memory.holds_whole_image
        strips = strips and self._network.device.type != "cuda"
        return min(budget, _STRIPS_BUDGET) if strips else budget

    def _plans(self, height: int, width: int) -> Iterator[TilePlan]:
        """All plans, best first: exact before blended, large tiles before small ones.

        The less neighbouring tiles share, the less is computed twice.
        """
        smallest_side = self._network.spec.alignment
        sides = [side for side in _LARGE_FIRST if side == 0 or side >= smallest_side]
        if self._network.banded:
            for side in sides:
                yield self._exact(height, width, side)
        for side in (*sides, smallest_side):
            yield self._blended(height, width, side)

    def _exact(self, height: int, width: int, side: int) -> TilePlan:
        """Strips of some height, cut into tiles of about a square."""
        spec = self._network.spec
        grid = TileGrid.plan(height, width, side, alignment=spec.alignment, overlap=0)
        return TilePlan(grid, exact=True, needs=self._exact_needs(grid))

    def _exact_needs(self, grid: TileGrid) -> int:
        """Estimated bytes: one tile in work, the strips' features, and the bands on their way."""
        network, spec = self._network, self._network.spec
        memory = spec.memory
        core_height, core_width = (
            max(span.core_stop - span.core_start for span in spans)
            for spans in (grid.rows, grid.columns)
        )
        tile_height, tile_width = core_height + 2 * network.halo, core_width + 2 * network.halo
        height, width = grid.rows[-1].core_stop, grid.columns[-1].core_stop
        band = max(band_heights(network.device, spec.alignment, width, core_height))
        in_flight = min(height, 2 * tile_height + memory.bands_held * band)
        if memory.holds_whole_image:
            in_flight = height
        needs = min(tile_height, height) * min(tile_width, width) * memory.tile
        needs += in_flight * width * memory.held
        if network.device.type != "cpu":  # where a band attends as a whole, not in small chunks
            needs += band * width * memory.attending
        return needs * format_between(network.dtype).itemsize // 4

    def _blended(self, height: int, width: int, side: int) -> TilePlan:
        """Tiles that overlap."""
        spec = self._network.spec
        grid = TileGrid.plan(height, width, side, alignment=spec.alignment, overlap=spec.overlap)
        area = max(s.crop_stop - s.crop_start for s in grid.rows) * max(
            s.crop_stop - s.crop_start for s in grid.columns
        )
        return TilePlan(grid, exact=False, needs=int(area * self._network.bytes_per_pixel))


def _within(budget: int, plans: Iterable[TilePlan]) -> TilePlan | None:
    """The first plan that needs no more."""
    return next((plan for plan in plans if plan.needs <= budget), None)
