"""Progress within an image: the share of the network's steps that its pixels have passed."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from srcli.geometry import TileSpan
from srcli.inference.network import LoadedNetwork
from srcli.inference.tile_planner import TilePlan
from srcli.models.spec import BandedNetwork

__all__ = ["Callbacks", "watched_progress"]


@dataclass(frozen=True)
class Callbacks:
    """Listeners to the progress of one image.

    Args:
        on_tile: Called after each tile with the number done and the number in all.
        on_progress: Called with the share that is done, in (0, 1]. It is a share of pixels and
            steps, not of time, and begins again where memory runs out.
    """

    on_tile: Callable[[int, int], None] | None = None
    on_progress: Callable[[float], None] | None = None

    def half(self, number: int) -> "Callbacks":
        """Those of the first (0) or the second (1) of two runs, each half of the whole."""
        on_progress = self.on_progress
        if on_progress is None:
            return self
        return Callbacks(self.on_tile, lambda share: on_progress((number + share) / 2))

    def tile_done(self, network: LoadedNetwork) -> Callable[[int, int], None] | None:
        """The listener to tiles, through which progress goes where steps are not watched."""
        on_tile, on_progress = self.on_tile, self.on_progress
        if on_progress is None or _progress_modules(network):
            return on_tile

        def tile(done: int, total: int) -> None:
            if on_tile is not None:
                on_tile(done, total)
            on_progress(done / total)

        return tile


def _progress_modules(network: LoadedNetwork) -> dict[nn.Module, int]:
    """Modules to watch: none where hooks would keep them from being compiled whole."""
    return {} if network.compiled else dict(network.module.progress_modules())


@contextmanager
def watched_progress(
    network: LoadedNetwork, plan: TilePlan, planes: int, on_progress: Callable[[float], None] | None
) -> Generator[Callable[[int], None] | None]:
    """Tell how far an image is while it is computed inside.

    Args:
        network: Computes it. One that is compiled, or that names no steps, tells nothing.
        plan: How the image is cut.
        planes: How many are computed so.
        on_progress: See `Callbacks`.

    Yields:
        What to tell of LR px that half of the steps, encoder or decoder, will not see; None if
        no one needs to know.
    """
    steps = _progress_modules(network)
    if on_progress is None or not steps:
        yield None
        return
    banded = (
        set(network.module.band_progress_modules())
        if isinstance(network.module, BandedNetwork)
        else ()
    )
    halos = (0 if module in banded or not plan.exact else network.halo for module in steps)
    expected = planes * sum(_pixels(plan, halo) for halo in halos)
    passed = 0

    def add(pixels: int) -> None:
        nonlocal passed
        passed += pixels
        on_progress(min(passed / expected, 1.0))

    def count(module: nn.Module, inputs: tuple[object, ...], _: object) -> None:
        features = cast("Tensor", inputs[0])
        channels = features.shape[1] if features.ndim == 4 else features.shape[-1]
        add(features.numel() // channels * steps[module])

    handles = [module.register_forward_hook(count) for module in steps]
    try:
        yield lambda pixels: add(pixels * (len(steps) - len(banded)) // 2)
    finally:
        for handle in handles:
            handle.remove()


def _pixels(plan: TilePlan, halo: int) -> int:
    """LR px that one step computes for a plane, with what neighbouring tiles share."""
    grid = plan.grid
    if plan.exact:
        return _reach(grid.rows, halo) * _reach(grid.columns, halo)
    rows, columns = (
        sum(span.crop_stop - span.crop_start for span in spans)
        for spans in (grid.rows, grid.columns)
    )
    return rows * columns


def _reach(spans: Sequence[TileSpan], halo: int) -> int:
    """Px of all tiles of an axis with `halo` px of their neighbours."""
    length = spans[-1].core_stop
    return sum(
        min(span.core_stop + halo, length) - max(span.core_start - halo, 0) for span in spans
    )
