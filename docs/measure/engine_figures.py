"""Measure what halting saves in the attention layers, and what exact tiles cost.

python docs/measure/engine_figures.py 256x256 7

Arguments: the LR size, and how many runs the medians are over. The ways take turns. Windows are
halted at random, the same in every layer, so that the share is what was asked for.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from srcli.geometry import TileGrid
from srcli.inference.device import pick_device, pick_precision
from srcli.inference.exact_tiling import exact_parts
from srcli.inference.network import LoadedNetwork
from srcli.models.adaformer import AdaFormer
from srcli.models.layers.sparse import TokenBand, sparse_layer
from srcli.models.spec import EXACT
from srcli.weights import best_scale

SHARES = (1.0, 0.75, 0.5, 0.25, 0.1)
TILE = 512  # LR px
PIECE = 96


def main(size: str, runs: str) -> None:
    """Print tables of medians and ratios."""
    width, height = (int(side) for side in size.split("x"))
    device = pick_device("auto")
    dtype = pick_precision("auto", device)
    network = LoadedNetwork(best_scale("adaformer", 4), device, dtype)
    module = network.module
    assert isinstance(module, AdaFormer)
    lr = network.take(torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)))
    features = module.encode(module.extend(lr))
    grid = TileGrid.plan(height, width, TILE, alignment=network.spec.alignment, overlap=0)
    ways: dict[str, Callable[[], object]] = {"convolutions": lambda: module.convolutions(lr)}
    for share in SHARES:
        band = _band(module, features, share)
        ways[f"layers, {share:.0%} live"] = lambda b=band: _layers(module, b)
        ways[f"layers and confidence, {share:.0%} live"] = lambda b=band: _layers(
            module, b, estimating=True
        )
    ways["whole"] = lambda: module(lr)
    ways[f"exact tiles of {TILE}"] = lambda: [
        part.image for part in exact_parts(module, lr, grid, EXACT, lambda _: None)
    ]
    seconds = _measure(ways, int(runs))
    floor, dense = seconds["convolutions"], seconds["layers, 100% live"]
    threads = torch.get_num_threads()
    sys.stdout.write(f"LR {size}, {device.type}, {dtype}, {threads} threads, {runs} runs\n")
    for name, median in seconds.items():
        sys.stdout.write(
            f"{name:36} {median:8.4f} s  {median / floor:6.3f} of the convolutions, "
            f"{median / dense:6.3f} of the layers\n"
        )


def _band(module: AdaFormer, features: Tensor, share: float) -> TokenBand:
    """Tokens, all but a share of whose windows have halted before the first layer."""
    (band,) = module._token_bands([features], module.config.masks)
    count = len(band.tokens)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1))
    halted = (order >= round(share * count)).to(features.device)
    band.score = torch.where(halted[:, None], 1e4, -1e4).expand_as(band.score).clone()
    band.confidence = torch.zeros_like(band.score)
    return band


def _layers(module: AdaFormer, band: TokenBand, *, estimating: bool = False) -> None:
    """All attention layers; a band may be run again, its scores do not move far."""
    band.records.clear()
    stream = iter([band])
    for block in module._tsabs():
        estimator = module.confidence if estimating else None
        stream = sparse_layer(block, estimator, stream, 1.0, PIECE)
    for done in stream:
        assert isinstance(done, TokenBand)


@torch.inference_mode()
def _measure(ways: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """The median seconds of each way; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(runs + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if run:  # the first warms up
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
