"""`python -m srcli.benchmark.check_device`: everything that is to be known of a device, as JSON.

Runs the checks of `device_checks`, then times networks and frames (`--part` takes one of the two,
for checks may run beside other work, and timings may not). Needs torch, numpy, Pillow,
safetensors, filelock and psutil, and no file beside the package and its weights. `--quick`
rehearses it in small on any machine.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from srcli.benchmark.device_checks import (
    QUICK,
    TRAINED,
    CheckSizes,
    error_line,
    precisions_to_check,
    run_checks,
)
from srcli.benchmark.machine import PeakMemory, synchronise
from srcli.errors import ExitCode
from srcli.inference.device import (
    device_name,
    format_between,
    free_memory,
    pick_device,
    pick_precision,
    precision_name,
)
from srcli.inference.network import LoadedNetwork
from srcli.inference.self_check import attention_backends, test_image
from srcli.inference.upscaler import Upscaler
from srcli.weights import best_scale

__all__ = ["time_device"]

_THREADS = 4  # of the CPU's references: beside another process that waits actively, 16 took minutes


def time_device(device: torch.device, sizes: CheckSizes, until: float) -> Iterator[dict[str, Any]]:
    """Time networks on an image of each size, then frames through the upscaler, until a time.

    Args:
        device: The device.
        sizes: Of images and frames.
        until: Of `time.monotonic`; no further timing is begun after it.

    Yields:
        A row each: what, in which precision, milliseconds (the median), and peak bytes.
    """
    for dtype in precisions_to_check(device)[1:] or [torch.float32]:
        for name in TRAINED:
            network = LoadedNetwork(best_scale(name, 4), device, dtype)
            ways: dict[str, Callable[[Tensor], object]] = {
                effort: partial(network, halting=halting)
                for effort, halting in network.spec.efforts.items()
            }
            ways |= network.module.baselines()
            for height, width in sizes.timed:
                lr = torch.from_numpy(test_image(height, width)).permute(2, 0, 1)[None].float()
                lr = network.take(lr / 255)
                for way, run in ways.items():
                    if time.monotonic() > until:
                        return
                    row = {"network": name, "way": way, "precision": precision_name(dtype)}
                    row |= {"width": width, "height": height}
                    yield row | _timed(device, partial(run, lr), sizes.seconds)
    height, width = sizes.frames
    for name in TRAINED:
        upscaler = Upscaler(name, 2, str(device))
        batch = [test_image(height, width)] * max(1, upscaler.batch_for(height, width))
        timed = _timed(device, partial(upscaler.upscale_frames, batch), sizes.seconds)
        rate = 1000 * len(batch) / timed["milliseconds"]
        row = {"network": name, "way": "frames x2, pixels to pixels", "width": width}
        yield row | {"height": height, "frames_a_second": rate} | timed


@torch.inference_mode()
def _timed(device: torch.device, run: Callable[[], object], seconds: float) -> dict[str, Any]:
    """Milliseconds and peak memory of something that is run again and again."""
    peak = PeakMemory(device)
    taken: list[float] = []
    try:
        run()  # chooses kernels
        began = time.perf_counter()
        while not taken or time.perf_counter() - began < seconds:
            synchronise(device)
            started = time.perf_counter()
            run()
            synchronise(device)
            taken.append(1000 * (time.perf_counter() - started))
    except Exception as error:  # noqa: BLE001  # whatever a device does is a finding
        return {"milliseconds": float("inf"), "error": error_line(error)[:300]}
    return {"milliseconds": statistics.median(taken), "peak_bytes": peak.read()}


def _main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m srcli.benchmark.check_device", description="Check and time a device."
    )
    parser.add_argument("--device", default="auto", help="cuda, cuda:1, mps, cpu (auto)")
    parser.add_argument("--seconds", type=float, default=170.0, help="to begin timings in (170)")
    parser.add_argument("--quick", action="store_true", help="small images: a rehearsal")
    parser.add_argument("--part", choices=["all", "checks", "times"], default="all")
    given = parser.parse_args()
    until = time.monotonic() + given.seconds
    device, sizes = pick_device(given.device), QUICK if given.quick else CheckSizes()
    torch.set_num_threads(min(_THREADS, torch.get_num_threads()))
    checks, errors = run_checks(device, sizes) if given.part != "times" else ([], [])
    wrong = [check.name for check in checks if not check.passed]
    dtype = format_between(pick_precision("auto", device))
    found = {
        "device": device_name(device),
        "torch": torch.__version__,
        "precision": precision_name(dtype),
        "free_bytes": free_memory(device),
        "attention": {d: attention_backends(device, dtype, d) for d in (16, 12)},
        "wrong": wrong,
        "errors": errors,
        "checks": [dataclasses.asdict(check) for check in checks],
        "times": list(time_device(device, sizes, until)) if given.part != "checks" else [],
    }
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return ExitCode.SOME_FAILED if wrong or errors else ExitCode.ALL_DONE


if __name__ == "__main__":
    sys.exit(_main())
