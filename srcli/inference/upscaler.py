"""The upscaler: one picture in, the same kind of picture out, `scale` times as large.

A picture's way: its pixels are taken apart into colour and alpha planes (`planes`); each plane is
cut into overlapping tiles (`geometry`), every tile goes through the network (`network`) and is
blended with its neighbours (`tiling`); finished rows are reduced to the size asked for where the
network makes a larger one (`resample`), quantised, and put into the result.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from srcli.errors import ImageTooLarge, UsageError
from srcli.geometry import Tile, TileGrid, TileSpan, scaled_size
from srcli.inference.alpha import settle_alpha
from srcli.inference.device import available_ram, free_memory, pick_device, pick_precision
from srcli.inference.maps import Explanation
from srcli.inference.network import LoadedNetwork
from srcli.inference.planes import Pixels, as_pixels, quantise, split_planes
from srcli.inference.report import Report
from srcli.inference.resample import reduce_planes
from srcli.inference.stitching import MapStitcher
from srcli.inference.tiling import blend_tiles
from srcli.metrics.flops import count_flops
from srcli.models.spec import Halting, SROutput
from srcli.weights import best_scale

__all__ = ["Report", "Upscaled", "Upscaler"]

Picture = TypeVar("Picture", bound=Pixels | Image.Image)
_Watch = Callable[[TileSpan, TileSpan, SROutput], None]

_CPU_BUDGET = 900_000_000  # bytes for one tile: larger tiles are no faster there
_FREE_SHARE = 0.5  # of the free memory, for one tile


@dataclass(frozen=True)
class Upscaled(Generic[Picture]):
    """A result and what it took."""

    image: Picture
    report: Report


class Upscaler:
    """Upscales pictures with one network.

    Args:
        model: A network srcli has weights for.
        scale: SR px per LR px to a side, above 1; what the network does not make itself is
            reduced from the next larger scale.
        device: "auto" (CUDA, then MPS, then the CPU) or a device by name.
        precision: "auto" (bf16 where it is native, else fp32), "fp32", "bf16" or "fp16".
        effort: "exact" computes everything; "balanced" and "fast" halt what is restored.
        tile: Longest side of a tile's core, LR px; 0 takes the picture whole; None chooses by
            the memory that is free.

    Raises:
        UsageError: One of these does not exist, or not on this machine.
        WeightsError: The weights are missing or altered.

    >>> Upscaler(scale=2)(np.zeros((3, 5, 3), np.uint8)).shape
    (6, 10, 3)
    """

    def __init__(
        self,
        model: str = "adaformer",
        scale: float = 4,
        device: str = "auto",
        precision: str = "auto",
        *,
        effort: str = "balanced",
        tile: int | None = None,
    ) -> None:
        self.scale = scale
        self.device = pick_device(device)
        self.network = LoadedNetwork(
            best_scale(model, scale), self.device, pick_precision(precision, self.device)
        )
        spec = self.network.spec
        if effort not in spec.efforts:
            raise UsageError(f"{model} has no effort {effort!r} (have {', '.join(spec.efforts)})")
        if tile is not None and tile != 0 and tile < spec.alignment:
            raise UsageError(
                f"tile {tile} is too small for {model}: use 0 (whole) or {spec.alignment} and up"
            )
        self._halting = spec.efforts[effort]
        self._tile = tile

    @property
    def reduces(self) -> bool:
        """Whether the network makes a larger picture, which is then reduced to `scale`."""
        return self.network.scale != self.scale

    def __call__(self, image: Picture) -> Picture:
        """Upscale a picture.

        Args:
            image: A numpy array (h, w) or (h, w, 1 to 4) of uint8, uint16 or float in [0, 1], or
                a PIL image; with 2 or 4 channels the last is alpha.

        Returns:
            The same kind of picture.

        Raises:
            InputError: It is no picture, or the network's result is not finite.
        """
        return self.upscale(image).image

    def upscale(
        self, image: Picture, on_tile: Callable[[int, int], None] | None = None
    ) -> Upscaled[Picture]:
        """Upscale as `__call__` does, and tell what it took.

        Args:
            image: See `__call__`.
            on_tile: Called after each tile with the number done and the number in all.
        """
        return self._upscale(image, on_tile, self._halting, None)

    def explain(
        self, image: Picture, on_tile: Callable[[int, int], None] | None = None
    ) -> Explanation[Picture]:
        """Upscale as `upscale` does, and tell where the network looked and where it stopped.

        The image is the same to the last bit, and the maps are those of this very run; of a
        picture with alpha, those of its colour.

        Args:
            image: See `__call__`.
            on_tile: See `upscale`.

        Returns:
            The result and the maps; these are without layers for a network that computes
            everything.
        """
        maps = MapStitcher(*as_pixels(image).shape[:2])
        halting = replace(self._halting, observe=True)
        flops, upscaled = count_flops(lambda: self._upscale(image, on_tile, halting, maps.add))
        return Explanation(
            image=upscaled.image,
            report=upscaled.report,
            scale=self.scale,
            threshold=None if halting.eps is None else halting.threshold,
            layers=maps.layers(),
            pure=maps.pure(),
            flops=flops,
            computed_pixels=maps.computed_pixels * (upscaled.report.tiles // maps.tiles),
        )

    def _upscale(
        self,
        image: Picture,
        on_tile: Callable[[int, int], None] | None,
        halting: Halting,
        watch: _Watch | None,
    ) -> Upscaled[Picture]:
        """See `upscale`; `watch` is shown every tile of the colour."""
        pixels = as_pixels(image)
        planes = split_planes(pixels)
        height, width, channels = pixels.shape
        size = scaled_size(height, self.scale), scaled_size(width, self.scale)
        self._refuse_beyond_memory(height, width, math.prod(size) * channels * pixels.itemsize)
        result = np.empty((*size, channels), pixels.dtype)
        alpha = planes.alpha
        if alpha is not None and alpha.min() == alpha.max():
            result[..., -1] = pixels[0, 0, -1]
            alpha = None
        grid = self._plan(height, width)
        tally = _Tally(len(grid) * (1 if alpha is None else 2), on_tile, halting, watch)
        reruns = self.network.reruns
        self._enlarge(planes.color, result[..., : len(planes.color)], grid, tally)
        if alpha is not None:
            tally.watch = None
            self._enlarge(alpha, result[..., -1:], grid, tally, settle=settle_alpha)
        report = Report(
            seconds=tally.seconds,
            tiles=tally.done,
            reruns=self.network.reruns - reruns,
            megapixels=math.prod(size) / 1e6,
            live_windows=tally.live_windows,
        )
        return Upscaled(_same_kind(result, image), report)

    def _refuse_beyond_memory(self, height: int, width: int, result: int) -> None:
        """Fail before the work rather than be killed after it."""
        needed = result
        if self.reduces:
            needed += height * width * self.network.scale**2 * 3 * 4  # all planes at once, fp32
        if needed > available_ram():
            raise ImageTooLarge(
                f"{width}x{height} px at scale {self.scale:g} needs {needed / 1e9:.2f} GB of "
                f"memory, {available_ram() / 1e9:.2f} GB are free: use a smaller scale"
            )

    def _enlarge(
        self,
        plane: Tensor,
        target: Pixels,
        grid: TileGrid,
        tally: "_Tally",
        settle: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        """Upscale planes (c, h, w) in [0, 1] into `target` (H, W, c), band by band.

        `settle` corrects the network's result (c, H, W) of a crop, given the crop.
        """

        def compute(tile: Tile) -> Tensor:
            rows, columns = tile.rows, tile.columns
            crop = plane[
                :, rows.crop_start : rows.crop_stop, columns.crop_start : columns.crop_stop
            ]
            started = time.perf_counter()
            output = self.network(crop.expand(3, -1, -1)[None], tally.halting)
            tally.add(time.perf_counter() - started, tile, output)
            sr = output.image[0]  # (3, rows, columns), SR px
            sr = sr if len(plane) == 3 else sr.mean(0, keepdim=True)
            return sr if settle is None else settle(sr, crop)

        bands = blend_tiles(grid, self.network.scale, compute)
        if not self.reduces:
            for top, band in bands:
                quantise(band, target[top : top + band.shape[1]])
                del band  # before the next one is made
            return
        channels, height, width = plane.shape
        whole = torch.empty(channels, height * self.network.scale, width * self.network.scale)
        for top, band in bands:
            whole[:, top : top + band.shape[1]] = band
        quantise(reduce_planes(whole, *target.shape[:2]), target)

    def _plan(self, height: int, width: int) -> TileGrid:
        """Cut a picture into tiles as asked, or as large as the free memory allows."""
        spec = self.network.spec
        tile = self._tile
        if tile is None:
            budget = int(free_memory(self.device) * _FREE_SHARE)
            if self.device.type != "cuda":
                budget = min(budget, _CPU_BUDGET)
            side = math.isqrt(int(budget / self.network.bytes_per_pixel))
            whole = height * width <= side * side
            tile = 0 if whole else max(side - 2 * spec.overlap, spec.alignment)
        return TileGrid.plan(height, width, tile, alignment=spec.alignment, overlap=spec.overlap)


@dataclass
class _Tally:
    """Adds up what the tiles of a picture took, and shows them to who wants to see."""

    total: int
    on_tile: Callable[[int, int], None] | None
    halting: Halting
    watch: _Watch | None
    done: int = 0
    seconds: float = 0.0
    windows: int = 0
    live: list[float] = field(default_factory=list[float])

    def add(self, seconds: float, tile: Tile, output: SROutput) -> None:
        """Count one tile in."""
        self.done += 1
        self.seconds += seconds
        layers = output.layers
        if self.watch is not None:
            self.watch(tile.rows, tile.columns, output)
        if layers:
            windows = layers[0].local_mask.numel()
            self.windows += windows
            counts = [layer.live_windows * windows for layer in layers]
            self.live = [
                a + b for a, b in zip(self.live or [0.0] * len(counts), counts, strict=True)
            ]
        if self.on_tile is not None:
            self.on_tile(self.done, self.total)

    @property
    def live_windows(self) -> tuple[float, ...]:
        """The share of windows computed in each layer."""
        return tuple(count / self.windows for count in self.live)


def _same_kind(result: Pixels, like: Picture) -> Picture:
    """Hand (H, W, c) back as the kind of picture that came in."""
    flat = result[..., 0] if result.shape[2] == 1 else result
    if isinstance(like, Image.Image):
        return cast("Picture", Image.fromarray(flat))
    return cast("Picture", flat if like.ndim == 2 else result)
