"""Measure a community network once, so that the engine can cut images for it.

Nobody states how far a network sees, what a pixel costs in memory, or which memory order is
faster. A probe on random numbers tells; the answer is kept in the cache by the weights' sha256.
"""

import contextlib
import json
import math
import time
import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from srcli.atomic import atomic_file
from srcli.inference.device import PRECISIONS, precision_name
from srcli.models.community import CommunityNetwork, build_network
from srcli.models.spec import EXACT, MemoryProfile, ModelSpec
from srcli.weights import WeightsEntry
from srcli.weights.load import read_weights
from srcli.weights.local_files import downloads, resolved

__all__ = ["Measured", "community_spec", "measure_network"]

_VERSION = 1  # of the measurement; another one is made anew
_GRID = 16  # LR px: twice the blended border; windows of 8 and 16 fall as in the whole image
_FARTHEST = 64  # LR px from a tile's border; what reaches farther is cut there
_HEIGHT = 32  # LR px of the probe
_PLATEAU = 16  # LR px, the farthest: what reaches there is no matter of the border
_TOLERANCE = 0.5 / 255  # in [0, 1]: half a step of 8 bits
_WORKSPACE = 1.5  # of the tensors' peak: what convolutions take for themselves beside them
_SLOWER = 1.2  # channels last is left where it takes so much longer


@dataclass(frozen=True)
class Measured:
    """Results of a probe.

    Args:
        overlap: Context that a tile needs on each inner side, LR px.
        bytes_per_pixel: Memory of a forward pass at its peak in fp32, per LR px.
        channels_last: True if it is computed with channels last in memory.
        alignment: Grid of tiles, LR px.
        precisions: In which it can be computed, by the names of `--precision`.
        version: Of the measurement.
    """

    overlap: int
    bytes_per_pixel: int
    channels_last: bool
    alignment: int
    precisions: tuple[str, ...]
    version: int = _VERSION


def community_spec(weights: WeightsEntry, device: torch.device) -> ModelSpec:
    """The registry's entry, as it were, of weights whose network spandrel builds.

    Args:
        weights: Which; the file is here.
        device: Where they are measured, if they have not been yet.

    Raises:
        WeightsError: The file is missing or altered, or spandrel is not here or does not know it.
    """
    meant = resolved(weights)
    kept = None if meant is None else downloads().parent / "networks" / f"{meant.sha256}.json"
    measured = None if kept is None else _kept(kept)
    if measured is None:
        measured = measure_network(load_network(weights).to(device), device)
        if kept is not None:
            _keep(kept, measured)

    def build(scale: int) -> CommunityNetwork:
        network = load_network(weights)
        if measured.channels_last:
            network.put_channels_last()
        return network

    return ModelSpec(
        name=weights.title,
        paper=weights.architecture,
        scales=(weights.scale,),
        alignment=measured.alignment,
        overlap=measured.overlap,
        memory=MemoryProfile(forward=measured.bytes_per_pixel),
        efforts={"exact": EXACT},
        build=build,
        precisions=tuple(PRECISIONS[name] for name in measured.precisions),
        keeps_colours=False,
    )


def load_network(weights: WeightsEntry) -> CommunityNetwork:
    """Read weights and let spandrel build their network.

    Raises:
        WeightsError: See `community_spec`.
    """
    network = build_network(read_weights(weights), weights.title)
    network.requires_grad_(requires_grad=False)
    return network.eval()


@torch.inference_mode()
def measure_network(network: CommunityNetwork, device: torch.device) -> Measured:
    """Measure how far a network sees, what it takes, and how its tensors shall lie in memory.

    A strip of noise is computed whole, and with both its ends cut off; how far from the ends the
    results differ is what tiles must overlap. A mean over the whole image differs everywhere and
    no overlap helps: what is left in the middle is not counted.
    """
    traits = network.traits
    alignment = math.lcm(_GRID, traits.multiple_of)

    def on_grid(length: int) -> int:
        return -(-max(length, traits.minimum) // alignment) * alignment

    end, height, width = on_grid(_FARTHEST // 2), on_grid(_HEIGHT), on_grid(2 * _FARTHEST)
    noise = _natural_noise(height, end + width + end).to(device)
    whole = network(noise).image[..., end * network.scale : -end * network.scale]
    with _PeakMemory() as memory:
        part = network(noise[..., end:-end]).image
    return Measured(
        overlap=_overlap((whole - part).abs(), network.scale, alignment),
        bytes_per_pixel=math.ceil(_WORKSPACE * memory.peak / (height * width)),
        channels_last=_is_faster_channels_last(network, noise[..., : on_grid(_HEIGHT)]),
        alignment=alignment,
        precisions=tuple(map(precision_name, traits.precisions)),
    )


def _is_faster_channels_last(network: CommunityNetwork, lr: Tensor) -> bool:
    """Tell if a network runs with channels last in memory, and is not slower for it."""

    def seconds() -> float:
        started = time.perf_counter()
        network(lr)
        if lr.is_cuda:
            torch.cuda.synchronize(lr.device)
        return time.perf_counter() - started

    plain = seconds()
    network.put_channels_last()
    try:
        return seconds() < _SLOWER * plain
    except RuntimeError:  # it looks at tensors as if they lay otherwise
        return False


def _overlap(difference: Tensor, scale: int, alignment: int) -> int:
    """The distance from both ends, LR px, from which on two results agree; on the tiles' grid.

    Args:
        difference: (1, c, s·h, s·w), of the results.
        scale: s, SR px per LR px.
        alignment: The tiles' grid, LR px.
    """
    by_pixel = difference.flatten(0, 2).amax(0).view(-1, scale).amax(1)  # (w,)
    half = by_pixel[: len(by_pixel) // 2].maximum(by_pixel.flip(0)[: len(by_pixel) // 2])
    limit = max(_TOLERANCE, 2.0 * float(half[-_PLATEAU:].max()))
    beyond = (half > limit).nonzero()
    reach = int(beyond[-1]) + 1 if len(beyond) else 0
    return max(alignment, -(-reach // alignment) * alignment)


def _natural_noise(height: int, width: int) -> Tensor:
    """Noise with the spectrum of photographs (amplitude 1/f), (1, 3, height, width) in [0, 1].

    White noise is so unlike what networks are trained on that they answer it from far away.
    """
    generator = torch.Generator().manual_seed(0)
    white = torch.randn(1, 3, height, width, generator=generator).numpy()
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    frequency = np.hypot(rows, columns).clip(1 / max(height, width))
    noise = np.fft.irfft2(np.fft.rfft2(white) / frequency, s=(height, width))
    noise = 0.5 + 0.2 * (noise - noise.mean()) / noise.std()
    return torch.from_numpy(noise.clip(0.0, 1.0).astype(np.float32))


class _PeakMemory(TorchDispatchMode):
    """Add up the tensors that are alive while it is on; `peak` is the most, in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, int] = {}
        self._total = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        for one in tree_leaves(result):
            if isinstance(one, Tensor):
                self._count(one)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage.data_ptr(), storage.nbytes()
        if key in self._alive:
            return
        self._alive[key] = size
        self._total += size
        self.peak = max(self.peak, self._total)
        weakref.finalize(storage, self._let_go, key)

    def _let_go(self, key: int) -> None:
        self._total -= self._alive.pop(key, 0)


def _kept(path: Path) -> Measured | None:
    """An earlier measurement; None if there is none that can be used."""
    try:
        table = json.loads(path.read_text("utf-8"))
        if table.get("version") != _VERSION:
            return None
        return Measured(
            overlap=int(table["overlap"]),
            bytes_per_pixel=int(table["bytes_per_pixel"]),
            channels_last=bool(table["channels_last"]),
            alignment=int(table["alignment"]),
            precisions=tuple(name for name in table["precisions"] if name in PRECISIONS),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _keep(path: Path, measured: Measured) -> None:
    with contextlib.suppress(OSError):  # a folder that cannot be written: measured again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write(json.dumps(asdict(measured)).encode())
