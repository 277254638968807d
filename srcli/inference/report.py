"""Cost of upscaling one image."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Report", "add_reports"]


@dataclass(frozen=True)
class Report:
    """Cost of upscaling one image.

    Args:
        seconds: Time in the network.
        tiles: Tiles computed, for all planes.
        planes: How many there were: the colour, and an alpha that varies.
        reruns: How often something (a tile, or with exact tiles a plane) was not finite in lower
            precision and was computed again in fp32.
        megapixels: Of the result.
        live_windows: The share of windows computed in each layer, in [0, 1].
        exact: The result is what the whole image gives at once; if not, tiles were blended.
        restarts: How often memory ran out and the image was begun again with smaller tiles.
    """

    seconds: float
    tiles: int
    planes: int
    reruns: int
    megapixels: float
    live_windows: tuple[float, ...]
    exact: bool
    restarts: int = 0


def add_reports(reports: Sequence[Report]) -> Report:
    """Add the costs of several images; larger ones count for more in the shares."""
    megapixels = sum(report.megapixels for report in reports)
    told = [report for report in reports if report.live_windows]  # the others computed nothing
    if len({len(report.live_windows) for report in told}) > 1:
        told = []  # of different networks
    layers = zip(*(report.live_windows for report in told), strict=True)
    whole = sum(report.megapixels for report in told)
    weights = [report.megapixels / whole for report in told]
    return Report(
        seconds=sum(report.seconds for report in reports),
        tiles=sum(report.tiles for report in reports),
        planes=sum(report.planes for report in reports),
        reruns=sum(report.reruns for report in reports),
        megapixels=megapixels,
        live_windows=tuple(
            sum(share * weight for share, weight in zip(layer, weights, strict=True))
            for layer in layers
        ),
        exact=all(report.exact for report in reports),
        restarts=sum(report.restarts for report in reports),
    )
