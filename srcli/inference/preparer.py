"""Networks that restore an image without enlarging it, before another enlarges it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from srcli.inference.network import LoadedNetwork
from srcli.inference.report import Report
from srcli.inference.run_tiles import run_tiles, with_plans
from srcli.inference.tally import Tally
from srcli.inference.tile_planner import TilePlan, TilePlanner
from srcli.models.spec import EXACT

__all__ = ["Preparer", "prepare_all"]


class Preparer:
    """Runs one such network over the colours of an image.

    Args:
        network: A restoring network of scale 1.
        tile: See `Upscaler`.
    """

    def __init__(self, network: LoadedNetwork, tile: int | None) -> None:
        self._network = network
        self._planner = TilePlanner(network, tile)

    def __call__(self, plane: Tensor) -> tuple[Tensor, Report]:
        """Restore a plane (1 or 3, h, w); the result has its shape, in [0, 1], not rounded.

        Raises:
            NonFiniteOutput: The result is not finite even in fp32.
            torch.OutOfMemoryError: Memory does not even do for the smallest tiles.
        """
        network, reruns = self._network, self._network.reruns

        def attempt(plan: TilePlan, restarts: int) -> tuple[Tensor, Report]:
            tally, result = Tally(len(plan.grid), None), torch.empty_like(plane)
            for part in run_tiles(network, plane, plan, EXACT, tally):
                image = part.image if len(plane) == 3 else part.image.mean(0, keepdim=True)
                rows = slice(part.top, part.top + image.shape[1])
                columns = slice(part.left, part.left + image.shape[2])
                result[:, rows, columns] = image.clamp(0.0, 1.0)
            report = tally.report(
                reruns=network.reruns - reruns,
                restarts=restarts,
                megapixels=0.0,
                exact=not plan.blends,
            )
            return result, report

        return with_plans(network, self._planner, plane, attempt)


def prepare_all(preparers: Sequence[Preparer], plane: Tensor) -> tuple[Tensor, list[Report]]:
    """Run several over a plane, one after the other; with the cost of each."""
    reports: list[Report] = []
    for prepare in preparers:
        plane, report = prepare(plane)
        reports.append(report)
    return plane, reports
