"""A device tried for some seconds: does it give what the CPU gives, and how fast is it?"""

import statistics
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.nn.attention import SDPBackend, sdpa_kernel

from srcli.defaults import MODEL
from srcli.errors import SrcliError, UsageError
from srcli.inference.device import (
    PRECISIONS,
    device_name,
    format_between,
    free_memory,
    pick_precision,
    precision_name,
    total_memory,
)
from srcli.inference.network import LoadedNetwork
from srcli.inference.planes import Pixels
from srcli.inference.upscaler import Upscaler
from srcli.models.layers.attention import head_multiple
from srcli.models.spec import EXACT, Halting
from srcli.weights import best_scale

__all__ = ["Check", "SelfTest", "all_devices", "attention_backends", "self_test", "test_image"]

_CPU = torch.device("cpu")
# Largest difference of a result in [0, 1] that rounding explains; measured: docs/devices.md.
_LIMITS = {torch.float32: 1e-4, torch.bfloat16: 0.02, torch.float16: 0.01, torch.int8: 0.05}
_SIDES = {"cpu": (128, 128)}  # (height, width) that are timed, LR px
_LARGE = (341, 512)
_SECONDS = 1.0  # of each of the two timings
_BACKENDS = (
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.MATH,
)
_WIDTHS = (16, 12)  # channels of a head: adaformer's and adaformer-s'


@dataclass(frozen=True)
class Check:
    """One comparison.

    Args:
        name: What is compared.
        difference: The largest, of values in [0, 1] or in levels.
        limit: The largest that rounding explains.
    """

    name: str
    difference: float
    limit: float

    @property
    def passed(self) -> bool:
        """True if the difference is no larger than it may be; one that is no number is not."""
        return self.difference <= self.limit


@dataclass(frozen=True)
class SelfTest:
    """A device and how it did.

    Args:
        device: Its name for `--device`.
        name: What it is called.
        free: Bytes of memory that are free on it.
        total: Bytes of memory that it has.
        precision: What `--precision auto` means on it.
        precisions: All that it can be asked for.
        attention: The kernels of PyTorch that compute this network's attention, by the width of a
            head and the best first.
        checks: What was compared.
        milliseconds: Of the network for an image of `size`, by effort.
        size: "width x height" of the image that was timed.
        error: What ended the test early; "" if nothing did.
    """

    device: str
    name: str
    free: int
    total: int
    precision: str
    precisions: tuple[str, ...]
    attention: dict[int, tuple[str, ...]]
    checks: tuple[Check, ...]
    milliseconds: dict[str, float]
    size: str
    error: str = ""

    @property
    def passed(self) -> bool:
        """True if the device can be trusted."""
        return not self.error and all(check.passed for check in self.checks)


def all_devices() -> list[torch.device]:
    """The CPU and every device that PyTorch sees beside it."""
    cards = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    mps = [torch.device("mps")] if torch.backends.mps.is_available() else []
    return [_CPU, *cards, *mps]


def self_test(device: torch.device) -> SelfTest:
    """Compare a device with the CPU, and time it: some five seconds.

    The CPU itself is compared with the plain reference of the network, and whole images with tiles.
    """
    checks: list[Check] = []
    timed: dict[str, float] = {}
    attention: dict[int, tuple[str, ...]] = {}
    error = ""
    dtype = pick_precision("auto", device)
    try:
        attention = {
            width: attention_backends(device, format_between(dtype), width) for width in _WIDTHS
        }
        checks.extend(_comparisons(device, dtype))
        timed.update(_timings(device, dtype))
    except (RuntimeError, SrcliError, MemoryError, NotImplementedError) as raised:
        error = f"{type(raised).__name__}: {str(raised).splitlines()[0] if str(raised) else ''}"
    height, width = _SIDES.get(device.type, _LARGE)
    return SelfTest(
        device=str(device),
        name=device_name(device),
        free=free_memory(device),
        total=total_memory(device),
        precision=precision_name(dtype),
        precisions=tuple(_precisions(device)),
        attention=attention,
        checks=tuple(checks),
        milliseconds=timed,
        size=f"{width}x{height}",
        error=error,
    )


def attention_backends(device: torch.device, dtype: torch.dtype, width: int) -> tuple[str, ...]:
    """Kernels that take attention in windows of 64 tokens with a bias, heads of `width` channels.

    Heads are padded as `attend` pads them. The first kernel is what PyTorch takes, of those that it
    has for the device.
    """
    q = torch.zeros(4, 4, 64, width, device=device, dtype=dtype)
    q = F.pad(q, (0, -width % head_multiple(q)))
    bias = torch.zeros(1, 4, 64, 64, device=device, dtype=dtype)
    able: list[str] = []
    for backend in _BACKENDS:
        with warnings.catch_warnings(), sdpa_kernel([backend]):
            warnings.simplefilter("ignore")  # in which PyTorch says why not
            try:
                F.scaled_dot_product_attention(q, q, q, attn_mask=bias)
            except RuntimeError:
                continue
        able.append(backend.name.removesuffix("_ATTENTION").lower())
    return tuple(able)


def _precisions(device: torch.device) -> Iterator[str]:
    for name in PRECISIONS:
        try:
            pick_precision(name, device)
        except UsageError:
            continue
        yield name


def _comparisons(device: torch.device, dtype: torch.dtype) -> Iterator[Check]:
    """Compare the network and then whole images."""
    pixels = test_image(72, 104)
    lr = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    weights = best_scale(MODEL, 4)
    here = LoadedNetwork(weights, _CPU, torch.float32)
    with torch.inference_mode():
        if device == _CPU:
            expected = getattr(here.module, "reference")(lr, EXACT).image  # noqa: B009 AdaFormer's
        else:
            expected = here(lr, EXACT).image
    for one in dict.fromkeys((torch.float32, dtype)):
        found = LoadedNetwork(weights, device, one)(lr, EXACT).image.float().cpu()
        yield Check(f"network in {precision_name(one)}", _largest(found, expected), _LIMITS[one])
    for scale, name in ((4, "x4 image"), (2.7, "x2.7 image, reduced")):
        plain, tried = (
            Upscaler(MODEL, scale, str(where), "fp32", effort="exact", tile=tile)(pixels)
            for where, tile in ((_CPU, 0), (device, 32))
        )
        levels = np.abs(plain.astype(int) - tried).max()
        yield Check(f"{name}, levels of 255", float(levels), 1.0)


def _largest(found: Tensor, expected: Tensor) -> float:
    return (found - expected).abs().max().item()


def _timings(device: torch.device, dtype: torch.dtype) -> Iterator[tuple[str, float]]:
    """Milliseconds of the network by effort, the median of what some second allows."""
    network = LoadedNetwork(best_scale(MODEL, 4), device, dtype)
    lr = torch.from_numpy(test_image(*_SIDES.get(device.type, _LARGE))).permute(2, 0, 1)[None] / 255
    lr = network.take(lr)
    for effort in ("exact", "balanced"):
        halting: Halting = network.spec.efforts[effort]
        taken: list[float] = []
        until = time.perf_counter() + _SECONDS
        while not taken or time.perf_counter() < until:
            began = time.perf_counter()
            network(lr, halting)  # waits: it looks whether the result is finite
            taken.append(time.perf_counter() - began)
        yield effort, 1000 * statistics.median(taken[1:] or taken)  # the first chooses kernels


def test_image(height: int, width: int) -> Pixels:
    """A part that is flat, a ramp, and coarse noise, (height, width, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(0).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3))
    image = noise.repeat(4, 0).repeat(4, 1)[:height, :width].astype(np.uint8)
    ramp = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8)
    image[:, : width // 2] = ramp[:, : width // 2]
    image[: height // 2, : width // 3] = (200, 30, 90)
    return image
