"""The numbers of an explanation: how much halted where, what it saved."""

from dataclasses import asdict, dataclass

import numpy as np
import torch

from srcli.inference.maps import Explanation
from srcli.inference.planes import Pixels
from srcli.inference.upscaler import Upscaler
from srcli.metrics.flops import count_flops
from srcli.models.spec import Halting

__all__ = ["DenseBaseline", "DenseCost", "MaskStats", "stats_of"]

_LARGEST = 512  # px to a side of the part that is computed densely, for comparison
_WARM_UP = 32
_WATCHED = Halting(eps=None, observe=True, skip_pure=True)


@dataclass(frozen=True)
class DenseCost:
    """Cost of computing everything, for each LR px.

    Args:
        flops: Operations.
        seconds: Time in the network.
    """

    flops: float
    seconds: float


@dataclass(frozen=True)
class MaskStats:
    """Statistics of one image.

    Args:
        model: The network.
        effort: As asked for.
        scale: SR px per LR px to a side.
        width: Of the input, px.
        height: Likewise.
        window: Side of a window, LR px; 0 without adaptive layers.
        threshold: The score at which windows and pixels halted; None if none was to.
        halted_windows: For each layer the share that sat out the local branch, in [0, 1].
        halted_pixels: For each layer the share that sat out the global branch, in [0, 1].
        depth_shares: The share of windows computed in exactly 1, 2, ... layers, in [0, 1]; the rest
            is smooth and in none.
        pure_pixels: The share of pure pixels, in [0, 1]; None for a network that has none.
        gflops: Operations executed, in thousand millions, a multiply-add counted twice.
        dense_gflops: Had everything been computed: measured on a part and scaled up.
        seconds: Time in the network.
        exact_seconds: Had everything been computed: measured on a part and scaled up.
    """

    model: str
    effort: str
    scale: float
    width: int
    height: int
    window: int
    threshold: float | None
    halted_windows: tuple[float, ...]
    halted_pixels: tuple[float, ...]
    depth_shares: tuple[float, ...]
    pure_pixels: float | None
    gflops: float
    dense_gflops: float
    seconds: float
    exact_seconds: float

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


class DenseBaseline:
    """Measures what a network takes when it computes everything.

    Dense work does not depend on what an image shows, so a part of it tells for the whole.

    Args:
        exact: The same network with effort "exact", taking images whole.
    """

    def __init__(self, exact: Upscaler) -> None:
        self._exact = exact
        self._flops: dict[tuple[int, ...], int] = {}
        self._exact(np.zeros((_WARM_UP, _WARM_UP, 3), np.uint8))
        one = exact.network(torch.zeros(1, 3, 1, 1), _WATCHED)
        self.layers = len(one.layers)
        """Adaptive layers of the network, whatever the scale; some images are not enlarged."""
        maps = [layer.global_mask for layer in one.layers]
        maps += [] if one.pure is None else [one.pure.mask]
        self._unit = max((map.shape[-1] for map in maps), default=1)  # what 1 x 1 px become

    def measure(self, pixels: Pixels) -> DenseCost:
        """Measure the cost of computing everything, for each LR px, on the middle of an image.

        Args:
            pixels: (h, w, c).
        """
        height, width = (min(side, _LARGEST) for side in pixels.shape[:2])
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        part = pixels[top : top + height, left : left + width]
        part = part[..., : 1 if pixels.shape[2] < 3 else 3]
        native = self._exact.network.scale  # at a scale near 1 a part may not grow at all
        size = width * native, height * native
        upscaled = self._exact.upscale(part, size=size)  # by itself: counting takes time
        if part.shape not in self._flops:  # they depend on nothing else
            self._flops[part.shape], _ = count_flops(lambda: self._exact.upscale(part, size=size))
        area = -(-height // self._unit) * -(-width // self._unit) * self._unit**2
        return DenseCost(
            flops=self._flops[part.shape] / area, seconds=upscaled.report.seconds / area
        )


def stats_of(
    explained: Explanation[Pixels], pixels: Pixels, *, model: str, effort: str, dense: DenseCost
) -> MaskStats:
    """The numbers of an explanation.

    Args:
        explained: What happened.
        pixels: The input, (h, w, c).
        model: The network's name.
        effort: As asked for.
        dense: What everything would have taken.
    """
    layers = explained.layers
    depth: tuple[float, ...] = ()
    if layers:
        counts = np.bincount(explained.depth.ravel(), minlength=len(layers) + 1)[1:]
        depth = tuple((counts / explained.depth.size).tolist())
    return MaskStats(
        model=model,
        effort=effort,
        scale=explained.scale,
        width=pixels.shape[1],
        height=pixels.shape[0],
        window=explained.window,
        threshold=explained.threshold,
        halted_windows=tuple(layer.halted_windows for layer in layers),
        halted_pixels=tuple(layer.halted_pixels for layer in layers),
        depth_shares=depth,
        pure_pixels=None if explained.pure is None else float(explained.pure.mask.mean()),
        gflops=explained.flops / 1e9,
        dense_gflops=dense.flops * explained.computed_pixels / 1e9,
        seconds=explained.report.seconds,
        exact_seconds=dense.seconds * explained.computed_pixels,
    )
