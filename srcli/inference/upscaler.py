"""The upscaler: takes one image and returns the same kind of image, `scale` times as large.

Pixels are split into colour and alpha planes (`planes`). Each plane is cut into tiles by the memory
that is free (`tile_planner`) and run through the network (`run_tiles`): in exact tiles, equal to
the whole image's result, where the network allows it (`exact_tiling`), else in tiles that overlap
and are blended (`blended_tiling`). Finished parts are reduced to the size asked for where the
network's scale is larger, rounded, and written into the result (`result_writer`).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic

import numpy as np
import torch

from srcli.defaults import AUTO, SCALE
from srcli.errors import UsageError
from srcli.geometry import Size
from srcli.inference.argument_types import require_types
from srcli.inference.choose_weights import choose_weights
from srcli.inference.crop_reach import CropReach, crop_reach
from srcli.inference.device import (
    as_out_of_memory,
    pick_device,
    release_cached_memory,
    within_memory,
)
from srcli.inference.frame_batch import batch_size, upscale_batch
from srcli.inference.halting import resolve_halting
from srcli.inference.image_conversion import AnyImage, compression_of, to_input_kind
from srcli.inference.maps import Explanation, MapStitcher
from srcli.inference.network import load_network
from srcli.inference.output_size import Resizing
from srcli.inference.planes import Pixels, as_pixels, split_planes
from srcli.inference.preparer import Preparer, prepare_all
from srcli.inference.progress import Callbacks
from srcli.inference.report import Report, WeightsChoice, add_reports
from srcli.inference.tile_planner import TilePlanner
from srcli.inference.upscale_planes import PlaneTask, upscale_planes
from srcli.metrics.flops import count_flops
from srcli.models.spec import Halting
from srcli.weights import best_scale, clean_model, is_from_outside, preparer_entries

__all__ = ["Report", "Upscaled", "Upscaler"]


@dataclass(frozen=True)
class Upscaled(Generic[AnyImage]):
    """A result and the report of its run."""

    image: AnyImage
    report: Report


class Upscaler:
    """Upscales images with one network.

    Args:
        model: A network, weights by name or a file; restoring ones may stand before it: "A,B".
            "auto" takes weights for compressed images where an image was opened by PIL from a
            JPEG of low quality, else those for clean ones.
        scale: SR px per LR px to a side, above 1; what the network does not make itself is
            reduced from the next larger scale.
        device: "auto" (CUDA, of several cards the one with most free memory, then MPS, then the
            CPU) or a device by name.
        precision: "auto" (bf16 where it is native, fp16 on other NVIDIA cards, int8 on CPUs where
            it pays, else fp32), "fp32", "tf32" (CUDA), "bf16", "fp16", or "int8" (CPUs with VNNI;
            restoring networks before it stay in fp32).
        effort: "exact" computes everything; "balanced" and "fast" halt what is restored. Or ε in
            [0, 1]: tokens halt once they are restored to 1 - ε (AdaFormer, Eqs. 19 and 22).
        tile: Longest side of a tile's core, LR px; 0 takes the image whole; None chooses by
            the memory that is free.
        compiled: Compile the network when it first runs, which takes minutes; the result is kept
            in the user's cache folder for later processes.

    Raises:
        UsageError: One of these does not exist, or not on this machine.
        WeightsError: The weights are missing or altered.

    >>> Upscaler(scale=2)(np.zeros((3, 5, 3), np.uint8)).shape
    (6, 10, 3)
    """

    def __init__(
        self,
        model: str = AUTO,
        scale: float = SCALE,
        device: str = "auto",
        precision: str = "auto",
        *,
        effort: str | float = "balanced",
        tile: int | None = None,
        compiled: bool = False,
    ) -> None:
        require_types(model, scale, precision, effort, tile)
        if is_from_outside(model):
            from srcli.weights.outside import as_known  # brings httpx: most have no use for it

            model = as_known(model)
        self.model, self.scale = model, scale
        self.device = pick_device(device)
        weights = best_scale(model, scale)
        self.network = load_network(weights, self.device, precision, compiled=compiled)
        of_others = "fp32" if precision == "int8" else precision
        before = [load_network(one, self.device, of_others) for one in preparer_entries(model)]
        self._preparers = [Preparer(network, tile) for network in before]
        spec = self.network.spec
        self._halting = resolve_halting(spec, effort)
        if tile is not None and tile != 0 and tile < spec.alignment:
            raise UsageError(
                f"tile {tile} is too small for {model}; hint: use 0 (whole) or {spec.alignment} "
                "and up"
            )
        self._planner = TilePlanner(self.network, tile)
        self._may_batch = tile is None and not self._preparers
        self._by_model: dict[str, Upscaler] = {clean_model(model): self}
        self._with_model = partial(
            Upscaler,
            scale=scale,
            device=device,
            precision=precision,
            effort=effort,
            tile=tile,
            compiled=compiled,
        )

    @property
    def reduces(self) -> bool:
        """True if the network makes a larger image, which is then reduced to `scale`."""
        return self.network.scale != self.scale

    def with_weights(self, choice: WeightsChoice | None) -> "Upscaler":
        """The upscaler with chosen weights, loaded when they are first needed; None: this one."""
        if choice is None:
            return self
        if choice.model not in self._by_model:
            self._by_model[choice.model] = self._with_model(choice.model)
        return self._by_model[choice.model]

    def _choose_for(self, image: object) -> "tuple[Upscaler, WeightsChoice | None]":
        """The upscaler for an image, and with `auto` the choice that its compression led to."""
        choice = choose_weights(self.model, compression_of(image), self.scale)
        return self.with_weights(choice), choice

    def __call__(self, image: AnyImage) -> AnyImage:
        """Upscale an image.

        Args:
            image: A numpy array (h, w) or (h, w, 1 to 4) of uint8, uint16 or float in [0, 1]; a
                PIL image; or a tensor (h, w) or (1 to 4, h, w) of the same values. With 2 or 4
                channels the last is alpha. A PIL image is made upright by its EXIF orientation,
                CMYK goes through its profile, and a key colour becomes alpha.

        Returns:
            The same kind of image; of a PIL image with what `Image.resize` keeps (profile, EXIF,
            dpi), of a tensor on its device and in its type.

        Raises:
            InputError: It is no image, memory does not even do for the smallest tiles, or the
                network's result is not finite.
        """
        return self.upscale(image).image

    def upscale(
        self,
        image: AnyImage,
        on_tile: Callable[[int, int], None] | None = None,
        size: tuple[int, int] | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> Upscaled[AnyImage]:
        """Upscale as `__call__` does, and report time, tiles and halted windows.

        Args:
            image: See `__call__`.
            on_tile: Called after each tile with the number done and the number in all.
            size: (width, height) of the result instead of `scale`; one no larger than the
                image is reduced without the network, one beyond its scale is `ImageTooLarge`.
            on_progress: Called repeatedly with the share that is done, in (0, 1].
        """
        upscaler, choice = self._choose_for(image)
        callbacks = Callbacks(on_tile, on_progress)
        upscaled = upscaler._upscale(image, callbacks, upscaler._halting, None, size)
        return replace(upscaled, report=upscaled.report.with_choice(choice))

    def crop_reach(self, *, exact: bool) -> CropReach | None:
        """Reach of a change in an image; None: over all of it, or not known.

        Args:
            exact: All of it; else only as far as it can be seen.
        """
        if self._preparers or self.scale != int(self.scale):
            return None
        return crop_reach(self.network, self._halting, exact=exact)

    def batch_for(self, height: int, width: int) -> int:
        """Number of frames of so many LR px worth computing at once."""
        return batch_size(self.network, height * width)

    def upscale_frames(self, frames: Sequence[Pixels]) -> tuple[list[Pixels], Report]:
        """Upscale frames of one size and type, several at once where that is faster.

        Args:
            frames: Arrays as in `__call__`.

        Returns:
            The results in the same order, and a report.
        """
        pixels = [as_pixels(frame) for frame in frames]
        same_shape = len({(frame.shape, frame.dtype) for frame in pixels}) == 1
        if self._may_batch and same_shape and len(pixels) > 1 and pixels[0].shape[2] == 3:
            # Where memory runs out: one by one from now on, in tiles if need be.
            with suppress(torch.OutOfMemoryError), as_out_of_memory():
                return upscale_batch(self.network, pixels, self.scale, self._halting)
            self._may_batch = False
            release_cached_memory(self.device)
        upscaled = [self.upscale(frame) for frame in frames]
        return [one.image for one in upscaled], add_reports([one.report for one in upscaled])

    def explain(
        self,
        image: AnyImage,
        on_tile: Callable[[int, int], None] | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> Explanation[AnyImage]:
        """Upscale as `upscale` does, with maps of where the network computed and where it stopped.

        The image is the same to the last bit, and the maps are those of a run that gives it; of
        an image with alpha, those of its colour. The time is that of a run by itself before:
        counting operations takes longer than many of them.

        Args:
            image: See `__call__`.
            on_tile: See `upscale`.
            on_progress: See `upscale`; of both runs together.

        Returns:
            The result and the maps; these are without layers for a network that computes
            everything.
        """
        upscaler, choice = self._choose_for(image)
        maps = MapStitcher(*as_pixels(image).shape[:2])
        halting = replace(upscaler._halting, observe=True)
        before = Callbacks(None, on_progress).half(0)
        plain = upscaler._upscale(image, before, upscaler._halting, None)
        counted = Callbacks(on_tile, on_progress).half(1)
        flops, upscaled = count_flops(lambda: upscaler._upscale(image, counted, halting, maps))
        return Explanation(
            image=upscaled.image,
            report=replace(upscaled.report, seconds=plain.report.seconds).with_choice(choice),
            scale=self.scale,
            threshold=None if halting.eps is None else halting.threshold,
            layers=maps.layers(),
            pure=maps.pure(),
            flops=flops,
            computed_pixels=maps.computed_pixels * upscaled.report.planes,
        )

    def _upscale(
        self,
        image: AnyImage,
        callbacks: Callbacks,
        halting: Halting,
        maps: MapStitcher | None,
        size: tuple[int, int] | None = None,
    ) -> Upscaled[AnyImage]:
        """See `upscale`; `maps` collects the traces of the colour planes."""
        pixels = as_pixels(image)
        with within_memory(pixels, self.device):
            link = self.network.link
            planes = split_planes(pixels, link)
            height, width, channels = pixels.shape
            source = Size(width, height)
            target = Size(*size) if size else source.scaled(self.scale)
            resizing = Resizing(source, target, self.network.scale)
            resizing.check_scale()
            resizing.check_memory(channels * pixels.itemsize, reduces_whole=link is None)
            result, alpha = np.empty((*target.array_shape, channels), pixels.dtype), planes.alpha
            if alpha is not None and alpha.min() == alpha.max():
                result[..., -1] = pixels[0, 0, -1]
                alpha = None
            color = planes.color.to(self.device)
            color, before = prepare_all(self._preparers if resizing.computes else (), color)
            tasks = [PlaneTask(color, result[..., : len(color)], resizing, maps)]
            if alpha is not None:
                alpha = alpha.to(self.device)
                tasks.append(PlaneTask(alpha, result[..., -1:], resizing, is_alpha=True))
            done = upscale_planes(self.network, self._planner, tasks, halting, callbacks)
            report = done.after(before)
        return Upscaled(to_input_kind(result, image), report)
