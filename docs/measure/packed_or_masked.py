"""Time live windows packed, and all windows computed and masked, on a GPU; profile the kernels.

python docs/measure/packed_or_masked.py IMAGE --sizes 512x341,1024x683 --model adaformer

The image is resized to each size. A line each: size, way, the median and least milliseconds, runs;
of the first size the kernels too: how many, their milliseconds, and the three that take most.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch.profiler import ProfilerActivity, profile

from srcli.inference.device import pick_device, pick_precision
from srcli.inference.network import LoadedNetwork
from srcli.models.layers import sparse
from srcli.weights import best_scale

_SECONDS = 0.4
_WAYS = (("exact", 0), ("balanced", 0), ("balanced", 1 << 30), ("fast", 0), ("fast", 1 << 30))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("image", type=Path)
    parser.add_argument("--sizes", default="512x341,1024x683,1920x1080,3840x2160")
    parser.add_argument("--model", default="adaformer")
    given = parser.parse_args()
    device = pick_device("auto")
    network = LoadedNetwork(best_scale(given.model, 4), device, pick_precision("auto", device))
    for number, size in enumerate(given.sizes.split(",")):
        width, height = map(int, size.split("x"))
        with Image.open(given.image) as image:
            pixels = np.array(image.convert("RGB").resize((width, height)))
        lr = network.take(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255)
        for effort, masked_up_to in _WAYS:
            halting = network.spec.efforts[effort]
            with mock.patch.object(sparse, "_WINDOWS_A_PROCESSOR", masked_up_to):
                taken = _timed(lambda halting=halting, lr=lr: network(lr, halting).image)
                kernels = "" if number else _kernels(lambda: network(lr, halting).image)  # noqa: B023
            way = (
                effort
                if effort == "exact"
                else f"{effort}, {'masked' if masked_up_to else 'packed'}"
            )
            sys.stdout.write(
                f"{size} {way}: {statistics.median(taken):.1f} ms, least {min(taken):.1f}, "
                f"{len(taken)} runs{kernels}\n"
            )


@torch.inference_mode()
def _timed(run: Callable[[], torch.Tensor]) -> list[float]:
    """Milliseconds of each run, after one that is not counted."""
    run().flatten()[0].item()
    taken: list[float] = []
    while not taken or sum(taken) < 1000 * _SECONDS:
        began = time.perf_counter()
        run().flatten()[0].item()  # waits
        taken.append(1000 * (time.perf_counter() - began))
    return taken


@torch.inference_mode()
def _kernels(run: Callable[[], torch.Tensor]) -> str:
    """Count a run's kernels and say what they take; nothing without a GPU."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        run().flatten()[0].item()
    averages: list[Any] = list(cast("Any", seen).key_averages())
    events = [event for event in averages if str(event.device_type).endswith("CUDA")]
    events.sort(key=lambda event: -event.self_device_time_total)
    total = sum(event.self_device_time_total for event in events) / 1000
    longest = "".join(f"\n  {e.self_device_time_total / 1000:.2f} ms {e.key}" for e in events[:3])
    return f"; {sum(event.count for event in events)} kernels, {total:.1f} ms{longest}"


if __name__ == "__main__":
    main()
