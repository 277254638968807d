"""Checks of a device, each a comparison: with the CPU, with itself in another way, with a limit.

Every network and effort with the CPU, tiles with whole images, maps with the run, frames in batches
and threads with single images; a lack of memory is provoked, and memory has to come back.
"""

import gc
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from srcli.inference.device import (
    format_between,
    pick_precision,
    precision_name,
    release_cached_memory,
    total_memory,
)
from srcli.inference.network import LoadedNetwork
from srcli.inference.planes import Pixels
from srcli.inference.self_check import Check, test_image
from srcli.inference.upscaler import Upscaler
from srcli.models import model_spec
from srcli.models.layers.attention import attend
from srcli.models.spec import Halting
from srcli.weights import best_scale

__all__ = [
    "CHECKS",
    "QUICK",
    "TRAINED",
    "CheckSizes",
    "error_line",
    "precisions_to_check",
    "run_checks",
]

_CPU = torch.device("cpu")
TRAINED = ("adaformer", "adaformer-s")
_UNTRAINED = ("smfanet", "atd-light", "pp-atd-light")
_LIMITS = {torch.float32: 2e-4, torch.bfloat16: 0.03, torch.float16: 0.015}
# Random parameters make categories of which many are alike. In a large image a difference in a last
# bit moves a token to another category, and with it all that are sorted after it: a mean of 0.03 at
# 200x136 px, where 64x48 px come to 3e-7.
_UNTRAINED_LIMIT = 1e-3
_HEAD_WIDTHS = (16, 12)  # channels of adaformer's and adaformer-s'
_HALTED_APART = 1e-3  # mean of a result in [0, 1]: a token at the threshold may go either way
_SMALL, _VIDEO = 3 << 29, (720, 1280)


@dataclass(frozen=True)
class CheckSizes:
    """Sizes of the images that checks and timings take, (height, width) in LR px.

    Args:
        image: Of what is compared with the CPU.
        untrained: Of what is compared with random parameters.
        attention: Groups, heads and tokens of the attention that is compared.
        large: Of the image that memory is to run out with.
        timed: Of those that are timed.
        frames: Of the clip that is timed.
        seconds: For each timing.
    """

    image: tuple[int, int] = (136, 200)
    untrained: tuple[int, int] = (48, 64)
    attention: tuple[int, int, int] = (300, 6, 64)
    large: tuple[int, int] = (2000, 3000)
    timed: tuple[tuple[int, int], ...] = ((341, 512), (683, 1024), (1080, 1920))
    frames: tuple[int, int] = _VIDEO
    seconds: float = 0.7


QUICK = CheckSizes((40, 56), (24, 32), (3, 2, 16), (64, 96), ((32, 48),), (16, 24), 0.0)


def precisions_to_check(device: torch.device) -> list[torch.dtype]:
    """fp32 and the precisions below it that are fast there."""
    lower = [format_between(pick_precision("auto", device))]
    if device.type == "cuda":
        lower = [torch.bfloat16, torch.float16] if lower == [torch.bfloat16] else [torch.float16]
    return list(dict.fromkeys([torch.float32, *lower]))


def parity(device: torch.device, sizes: CheckSizes) -> Iterator[Check]:
    """Every network and effort, in every precision, against the CPU in fp32."""
    lr = torch.from_numpy(test_image(*sizes.image)).permute(2, 0, 1)[None].float() / 255
    for name in TRAINED:
        here = LoadedNetwork(best_scale(name, 4), _CPU, torch.float32)
        for dtype in precisions_to_check(device):
            there = LoadedNetwork(best_scale(name, 4), device, dtype)
            for effort, usual in here.spec.efforts.items():
                halting = replace(usual, smooth=0.0)  # which is for CPUs alone
                off = (there(lr, halting).image.float().cpu() - here(lr, halting).image).abs()
                label = f"{name}, {effort}, {precision_name(dtype)}"
                if effort == "exact":
                    yield Check(label, off.max().item(), _LIMITS[dtype])
                else:
                    yield Check(f"{label}, mean", off.mean().item(), _HALTED_APART)
    lr = torch.from_numpy(test_image(*sizes.untrained)).permute(2, 0, 1)[None].float() / 255
    for name in _UNTRAINED:
        halting = Halting(None, skip_pure=True)
        results = [
            LoadedNetwork.untrained(model_spec(name), 4, where, torch.float32)(lr, halting).image
            for where in (_CPU, device)
        ]
        off = (results[1].cpu() - results[0]).abs()
        yield Check(f"{name} at random, fp32, mean", off.mean().item(), _UNTRAINED_LIMIT)


def attention(device: torch.device, sizes: CheckSizes) -> Iterator[Check]:
    """Attention of both networks' heads by fused kernels alone, against the CPU in fp32.

    Where no fused kernel takes the heads, PyTorch raises `RuntimeError`. Elsewhere than on CUDA it
    has none that takes a bias: there, all are allowed.
    """
    fused = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]
    allowed = fused if device.type == "cuda" else [*fused, SDPBackend.MATH]
    random = torch.Generator().manual_seed(0)
    for width in _HEAD_WIDTHS:
        q, k, v = 0.5 * torch.randn(3, *sizes.attention, width, generator=random)
        bias = 0.5 * torch.randn(1, q.shape[1], q.shape[2], q.shape[2], generator=random)
        expected = attend(q, k, v, bias=bias)
        for dtype in precisions_to_check(device):
            with sdpa_kernel(allowed):
                found = attend(
                    *(x.to(device, dtype) for x in (q, k, v)), bias=bias.to(device, dtype)
                )
            off = (found.float().cpu() - expected).abs().max().item()
            name = f"attention by fused kernels, heads of {width}, {precision_name(dtype)}"
            yield Check(name, off, _LIMITS[dtype])


def tiles(device: torch.device, sizes: CheckSizes) -> Iterator[Check]:
    """Exact tiles against the whole image, and a reduced result against the CPU's."""
    image = test_image(*sizes.image)
    for scale in (4, 2.7):
        whole, tiled = (
            Upscaler("adaformer", scale, str(device), "fp32", effort="exact", tile=tile)(image)
            for tile in (0, 32)
        )
        yield _levels(f"x{scale} in tiles against whole", tiled, whole)
    plain = Upscaler("adaformer", 2.7, "cpu", "fp32", effort="exact", tile=0)(image)
    yield _levels("x2.7 reduced against the CPU", whole, plain)


def maps(device: torch.device, sizes: CheckSizes) -> Iterator[Check]:
    """The maps of `explain` against what its own run computed; its image against a plain run.

    In fp32: the plain run may mask where `explain` packs, which rounds differently.
    """
    upscaler = Upscaler("adaformer", 4, str(device), "fp32", tile=0)
    image = test_image(*sizes.image)
    explained = upscaler.explain(image)
    told = [1 - layer.halted_windows for layer in explained.layers]
    ran = explained.report.live_windows
    apart = max(abs(one - other) for one, other in zip(told, ran, strict=True))
    yield Check("maps against the run, share of windows", apart, 1e-6)
    off = np.abs(explained.image.astype(int) - upscaler(image)).mean()
    yield Check("an explained image against a plain run, mean levels", float(off), 0.05)


def frames(device: torch.device, sizes: CheckSizes) -> Iterator[Check]:
    """Frames in a batch against each by itself."""
    upscaler = Upscaler("adaformer-s", 4, str(device), "fp32", effort="exact")
    images = [np.roll(test_image(*sizes.image), shift, 1) for shift in (0, 9, 20)]
    batched, _ = upscaler.upscale_frames(images)
    for number, (image, found) in enumerate(zip(images, batched, strict=True)):
        yield _levels(f"frame {number} of a batch against alone", found, upscaler(image))


def threads(device: torch.device, sizes: CheckSizes) -> Iterator[Check]:
    """One upscaler in two threads at once against one after the other."""
    upscaler = Upscaler("adaformer-s", 2.7, str(device), "fp32", effort="exact", tile=32)
    images = [np.roll(test_image(*sizes.image), shift, 1) for shift in (0, 9)]
    found: dict[int, Pixels] = {}

    def work(number: int) -> None:
        for _ in range(3):
            found[number] = upscaler(images[number])

    both = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    for number, image in enumerate(images):
        result = found.get(number)
        if result is None:  # its thread has ended with an error, which stands on stderr
            yield Check(f"thread {number} of two ended early", 1.0, 0.0)
        else:
            yield _levels(f"thread {number} of two at once", result, upscaler(image))


def memory(device: torch.device, sizes: CheckSizes) -> Iterator[Check]:
    """Memory that runs out and is survived, and that all of it comes back. CUDA alone limits it."""
    cuda = device.type == "cuda"
    Upscaler("adaformer-s", 2, str(device), tile=0)(test_image(16, 16))  # libraries take theirs
    gc.collect()
    release_cached_memory(device)
    before = torch.cuda.memory_allocated(device) if cuda else 0
    upscaler = Upscaler("adaformer-s", 2, str(device), tile=0)
    image = test_image(*sizes.large)
    index = device.index or 0  # "cuda" has none, and a fraction needs one
    if cuda:
        torch.cuda.set_per_process_memory_fraction(_SMALL / total_memory(device), index)
    try:
        upscaled = upscaler.upscale(image)
    finally:
        if cuda:
            torch.cuda.set_per_process_memory_fraction(1.0, index)
    yield Check("a result although memory ran out, missing", float(not upscaled.image.any()), 0.0)
    if cuda:
        yield Check(
            "memory ran out so often, less than once", float(not upscaled.report.restarts), 0
        )
    del upscaler, upscaled
    gc.collect()
    release_cached_memory(device)
    left = (torch.cuda.memory_allocated(device) if cuda else 0) - before
    yield Check("bytes that did not come back", float(left), float(1 << 20))


CHECKS: dict[str, Callable[[torch.device, CheckSizes], Iterator[Check]]] = {
    "parity": parity,
    "attention": attention,
    "tiles": tiles,
    "maps": maps,
    "frames": frames,
    "threads": threads,
    "memory": memory,
}


def _levels(name: str, found: Pixels, expected: Pixels) -> Check:
    """The largest difference of two images in levels of 255; one is rounding."""
    return Check(f"{name}, levels", float(np.abs(found.astype(int) - expected).max()), 1.0)


def error_line(error: Exception) -> str:
    """An error in a line: its kind and text, and the two innermost places in srcli's code."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "srcli" in f.filename]
    places = ", ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames[-2:])
    return f"{type(error).__name__}: {error} ({places})"


def run_checks(device: torch.device, sizes: CheckSizes) -> tuple[list[Check], list[str]]:
    """Run all checks; what one of them raises ends that one alone.

    Returns:
        What was compared, and what was raised, each in a line.
    """
    checks: list[Check] = []
    errors: list[str] = []
    for name, check in CHECKS.items():
        try:
            with torch.inference_mode():
                checks.extend(check(device, sizes))
        except Exception as error:  # noqa: BLE001  # whatever a device does is a finding
            errors.append(f"{name}: {error_line(error)}")
    return checks, errors
