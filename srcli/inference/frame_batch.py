"""Upscale several small frames of a clip at once: one alone would leave a GPU idle."""

from collections.abc import Sequence

import numpy as np
import torch

from srcli.geometry import Size
from srcli.inference.flat_border import restore_flat_border
from srcli.inference.network import LoadedNetwork
from srcli.inference.planes import Pixels, split_planes
from srcli.inference.report import Report
from srcli.inference.result_writer import ResultWriter, result_writer
from srcli.inference.tally import Tally
from srcli.models.spec import Halting

__all__ = ["batch_size", "upscale_batch"]

# LR px in one go. An H100 in bf16 took 54 ns a px of 174,000 px images for adaformer-s at `exact`,
# 37 of 700,000 and of 2,074,000; adaformer 84, 72 and 73 (python -m srcli.benchmark.check_device).
_MAX_PIXELS = 700_000
_MAX_FRAMES = 16


def batch_size(network: LoadedNetwork, pixels: int) -> int:
    """Number of frames of `pixels` LR px to compute at once; one keeps a CPU busy."""
    if network.device.type == "cpu":
        return 1
    return max(1, min(_MAX_FRAMES, _MAX_PIXELS // pixels))


@torch.inference_mode()
def upscale_batch(
    network: LoadedNetwork, frames: Sequence[Pixels], scale: float, halting: Halting
) -> tuple[list[Pixels], Report]:
    """Upscale whole frames (h, w, 3) of one size and type in one go.

    Each result equals that of the frame by itself, but for rounding in the last place.

    Returns:
        The results in the same order, and a report.

    Raises:
        NonFiniteOutput: The result is not finite even in fp32.
    """
    height, width, _ = frames[0].shape
    size = Size(width, height).scaled(scale)
    link = network.link
    lr = torch.stack([split_planes(frame, link).color for frame in frames])  # (b, 3, h, w)
    tally, reruns = Tally(len(frames), None), network.reruns
    tally.begin(len(frames))
    with tally.timed():
        output = network(lr, halting)  # waits: it looks whether the result is finite
    tally.add_layers(output.layers)
    results: list[Pixels] = []
    writers: list[ResultWriter] = []
    for image, plane, frame in zip(output.image, lr, frames, strict=True):
        tally.add_tile()
        if network.spec.keeps_colours:
            restore_flat_border(image, plane, 0, 0, network.scale, look_first=link is None)
        result = np.empty((*size.array_shape, 3), frame.dtype)
        writer = result_writer(result, Size(width, height).scaled(network.scale), link)
        writer.put(image, 0, 0)
        writers.append(writer)
        results.append(result)
    for writer in writers:
        writer.finish()
    report = tally.report(
        reruns=network.reruns - reruns,
        restarts=0,
        megapixels=len(frames) * size.pixels / 1e6,
        exact=True,
    )
    return results, report
