"""Cost of upscaling one image, and the tally that counts it during the run."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from srcli.inference.choose_weights import WeightsChoice
from srcli.models.spec import LayerTrace

__all__ = [
    "Report",
    "Tally",
    "add_reports",
]


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


class Tally:
    """Sums up time, tiles and live windows of an image.

    Args:
        total: Tiles of all planes.
        on_tile: Called after each tile with the number done and the number in all.
        on_spared: Called with the LR px that convolutions before or after the layers were spared.
    """

    def __init__(
        self,
        total: int,
        on_tile: Callable[[int, int], None] | None,
        on_spared: Callable[[int], None] | None = None,
    ) -> None:
        self._total = total
        self._on_tile = on_tile
        self._on_spared = on_spared
        self._done = 0
        self._expected = 0  # tiles once the present plane is done
        self._seconds = 0.0
        self._planes: list[list[Tensor]] = []  # per plane and band: live windows of each layer
        self._windows: list[int] = []  # per plane

    def begin(self, tiles: int) -> None:
        """Begin a plane of so many tiles, or repeat the last one."""
        repeats = self._done < self._expected
        if repeats:
            self._total += self._done - (self._expected - tiles)
            self._planes.pop()
            self._windows.pop()
        self._expected = self._done + tiles
        self._planes.append([])
        self._windows.append(0)

    @contextmanager
    def timed(self) -> Generator[None]:
        """Count the time spent inside as the network's."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds += time.perf_counter() - started

    def add_tile(self) -> None:
        """Count one tile in."""
        self._done += 1
        if self._on_tile is not None:
            self._on_tile(self._done, self._total)

    def add_spared(self, pixels: int) -> None:
        """Tell of LR px that encoder or decoder need not compute."""
        if self._on_spared is not None:
            self._on_spared(pixels)

    def add_layers(self, layers: tuple[LayerTrace, ...]) -> None:
        """Count the windows of a tile or band in; they stay on the device until asked for."""
        if layers:
            self._windows[-1] += layers[0].local_mask.numel()
            self._planes[-1].append(torch.stack([(~layer.local_mask).sum() for layer in layers]))

    def report(self, *, reruns: int, restarts: int, megapixels: float, exact: bool) -> Report:
        """The sums as a `Report`."""
        live = [band for plane in self._planes for band in plane]
        counts = cast("list[int]", torch.stack(live).sum(0).tolist()) if live else []
        return Report(
            seconds=self._seconds,
            tiles=self._done,
            planes=len(self._planes),
            reruns=reruns,
            megapixels=megapixels,
            live_windows=tuple(count / sum(self._windows) for count in counts),
            exact=exact or not self._planes,  # of what was only reduced nothing was blended
            restarts=restarts,
        )
