"""Cost of upscaling one image. Light to import."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = [
    "Report",
    "WeightsChoice",
    "add_reports",
]


@dataclass(frozen=True)
class WeightsChoice:
    """Weights that were chosen for an input.

    Args:
        model: Their name, as `-m` takes it.
        reason: What the file tells, in a few words.
    """

    model: str
    reason: str

    def __str__(self) -> str:
        return f"{self.model} ({self.reason})"


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
        frames: Frames of a clip that this run has made; 0 for an image.
        frame_size: (width, height) of each, px.
        choices: Weights that `auto` chose, each once; none if a model was named.
    """

    seconds: float
    tiles: int
    planes: int
    reruns: int
    megapixels: float
    live_windows: tuple[float, ...]
    exact: bool
    restarts: int = 0
    frames: int = 0
    frame_size: tuple[int, int] | None = None
    choices: tuple[WeightsChoice, ...] = ()

    @property
    def chosen(self) -> str:
        """Weights that `auto` chose, and why, in words; "" if a model was named."""
        return "; ".join(map(str, self.choices))

    def with_choice(self, choice: WeightsChoice | None) -> "Report":
        """The report of an input for which weights were chosen."""
        return self if choice is None else replace(self, choices=(choice,))

    def after(self, before: Sequence["Report"]) -> "Report":
        """The cost of an image that other networks prepared, theirs added."""
        return replace(
            self,
            seconds=self.seconds + sum(one.seconds for one in before),
            tiles=self.tiles + sum(one.tiles for one in before),
            reruns=self.reruns + sum(one.reruns for one in before),
            restarts=self.restarts + sum(one.restarts for one in before),
            exact=self.exact and all(one.exact for one in before),
        )


def add_reports(reports: Sequence[Report]) -> Report:
    """Add the costs of several images; larger ones count for more in the shares."""
    megapixels = sum(report.megapixels for report in reports)
    # The others computed nothing.
    with_layers = [report for report in reports if report.live_windows]
    if len({len(report.live_windows) for report in with_layers}) > 1:
        with_layers = []  # of different networks
    layers = zip(*(report.live_windows for report in with_layers), strict=True)
    total_megapixels = sum(report.megapixels for report in with_layers)
    weights = [report.megapixels / total_megapixels for report in with_layers]
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
        frames=sum(report.frames for report in reports),
        choices=tuple(dict.fromkeys(one for report in reports for one in report.choices)),
    )
