"""The tally that counts during a run what upscaling an image costs."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor

from srcli.inference.report import Report
from srcli.models.spec import LayerTrace

__all__ = ["Tally"]


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
        self._planes: list[list[Tensor]] = []  # per plane and band: halted windows of each layer
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
            masks = torch.stack([layer.local_mask for layer in layers])
            self._planes[-1].append(masks.flatten(1).sum(1))

    def report(self, *, reruns: int, restarts: int, megapixels: float, exact: bool) -> Report:
        """The sums as a `Report`."""
        halted = [band for plane in self._planes for band in plane]
        counts = cast("list[int]", torch.stack(halted).sum(0).tolist()) if halted else []
        windows = sum(self._windows)
        return Report(
            seconds=self._seconds,
            tiles=self._done,
            planes=len(self._planes),
            reruns=reruns,
            megapixels=megapixels,
            live_windows=tuple((windows - count) / windows for count in counts),
            exact=exact or not self._planes,  # of what was only reduced nothing was blended
            restarts=restarts,
        )
