"""Device and precision of a network, and the memory it may take."""

import gc
import math
import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

from srcli.errors import OutOfMemory, UnavailableDevice, UsageError
from srcli.host_memory import return_freed_memory
from srcli.inference.planes import Pixels

__all__ = [
    "PRECISIONS",
    "all_finite",
    "as_out_of_memory",
    "available_ram",
    "computes_bf16",
    "computes_int8",
    "device_name",
    "format_between",
    "free_memory",
    "left_to_container",
    "pick_device",
    "pick_precision",
    "precision_name",
    "release_cached_memory",
    "total_memory",
    "usable_cores",
    "within_memory",
]

PRECISIONS = {
    "fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16,
    "int8": torch.int8,
}  # fmt: skip
"""Number formats by the names of `--precision`; tf32 is fp32, computed otherwise.

int8 is of the residual blocks of networks whose weights have ranges for it; the rest stays in fp32.
"""

_AMPERE = (8, 0)  # compute capability from which on cards compute bf16 and TF32

# Only CUDA has a class for it, and that for tensors alone: what else runs out says so in a plain
# RuntimeError.
_OUT_OF_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",  # Windows
    "MPS backend out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate",  # its workspace found no room
    "CUDNN_STATUS_ALLOC_FAILED",
    "could not create a primitive",  # oneDNN, where there is no room for the code it makes
    "std::bad_alloc",
)


def pick_device(name: str) -> torch.device:
    """Find a device: "auto" (CUDA, then MPS, then the CPU), "cpu", "cuda", "cuda:1", "mps".

    Of several NVIDIA cards "auto" takes the one with the most free memory.

    Raises:
        UnavailableDevice: This machine, or this build of PyTorch, has no such device.
    """
    if name == "auto":
        name = _emptiest_card() if torch.cuda.is_available() else "mps" if _has_mps() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UnavailableDevice(f"no device named {name!r} (have {_have()})") from error
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": _has_mps()}
    index = device.index or 0
    if not available.get(device.type) or (
        device.type == "cuda" and index >= torch.cuda.device_count()
    ):
        raise UnavailableDevice(f"device {name!r} is not on this machine (have {_have()})")
    return device


def device_name(device: torch.device) -> str:
    """Name by which people call a device: of an NVIDIA card its product's."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    return str(device)


def pick_precision(
    name: str, device: torch.device, *, to_the_last_bit: bool = False
) -> torch.dtype:
    """Find the precision `name`: "fp32", "tf32", "bf16", "fp16", "int8", or "auto".

    "auto" is bf16 where the device computes it natively; emulated, it is slower. Elsewhere it is
    fp16 on CUDA, int8 on CPUs where that pays, and fp32. A network that is not computed in int8 is
    in fp32 there. "tf32" is fp32 whose products and convolutions round their factors to ten bits
    of mantissa (`arithmetic`).

    Args:
        name: Which.
        device: Where.
        to_the_last_bit: The network computes its result in it, too, for which the 8 bits of bf16
            are too few: "auto" is then fp16 on CUDA, else fp32.

    Raises:
        UsageError: There is no precision of that name, or not on that device.
    """
    if name == "auto" and to_the_last_bit:
        return torch.float16 if device.type == "cuda" else torch.float32
    if name == "auto":
        if computes_bf16(device):
            return torch.bfloat16
        if device.type == "cuda":
            return torch.float16
        return torch.int8 if _int8_pays(device) else torch.float32
    if name not in PRECISIONS:
        raise UsageError(f"no precision named {name!r} (have auto, {', '.join(PRECISIONS)})")
    if name == "fp16" and device.type == "cpu":
        raise UsageError(
            "precision fp16 is not for the CPU; hint: use fp32, or bf16 on a recent one"
        )
    if name == "tf32" and not (device.type == "cuda" and _capability(device) >= _AMPERE):
        raise UsageError(
            f"precision tf32 is not for {device}: NVIDIA cards compute it from compute capability "
            "8.0 on; hint: use fp32"
        )
    if name == "int8" and not computes_int8(device):
        raise UsageError(
            f"precision int8 is not for {device} here: it takes a CPU with VNNI instructions; "
            "hint: use auto"
        )
    return PRECISIONS[name]


def format_between(dtype: torch.dtype) -> torch.dtype:
    """Number format of features between the layers of a network that is computed in `dtype`."""
    return torch.float32 if dtype == torch.int8 else dtype


def precision_name(dtype: torch.dtype) -> str:
    """The name by which `--precision` knows a number format."""
    return next(name for name, known in PRECISIONS.items() if known == dtype)


def free_memory(device: torch.device) -> int:
    """Bytes free on the device: VRAM on CUDA, else what the system could give without swapping."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept  # by PyTorch, for the next image
    return available_ram()


def total_memory(device: torch.device) -> int:
    """Bytes that the device has: VRAM on CUDA, else the system's RAM."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    return psutil.virtual_memory().total


def usable_cores() -> int:
    """Processor cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_ram() -> int:
    """Bytes of RAM the system could give without swapping, and this container is allowed."""
    return int(min(psutil.virtual_memory().available, left_to_container()))


def left_to_container(group: Path = Path("/sys/fs/cgroup")) -> float:
    """Bytes that Linux' control group of a container still allows; infinite without a limit."""
    try:
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        cached = re.search(r"^inactive_file (\d+)$", (group / "memory.stat").read_text(), re.M)
    except (OSError, ValueError):  # none, or "max"
        return math.inf
    return max(limit - used + (int(cached[1]) if cached else 0), 0)


@contextmanager
def as_out_of_memory() -> Generator[None]:
    """Raise `torch.OutOfMemoryError` for memory errors of any device and library inside."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except MemoryError as error:
        raise torch.OutOfMemoryError(str(error)) from error
    except RuntimeError as error:
        if any(text in str(error) for text in _OUT_OF_MEMORY):
            raise torch.OutOfMemoryError(str(error)) from error
        raise


@contextmanager
def within_memory(pixels: Pixels, device: torch.device) -> Generator[None]:
    """Raise `OutOfMemory` if memory does not suffice for the work inside on (h, w, c)."""
    try:
        with as_out_of_memory():
            yield
    except torch.OutOfMemoryError as error:
        height, width = pixels.shape[:2]
        alternative = "" if device.type == "cpu" else ", use --device cpu"
        raise OutOfMemory(
            f"{width}x{height} takes more memory than is free on {device}, even in the smallest "
            f"tiles; hint: close other programs{alternative} or upscale it in parts"
        ) from error


def all_finite(values: torch.Tensor) -> bool:
    """True if no number of them is infinite or none at all; waits for the device."""
    low, high = values.aminmax()
    return math.isfinite(high - low)


def release_cached_memory(device: torch.device) -> None:
    """Give back what is kept for later, so that smaller tensors find room."""
    gc.collect()
    return_freed_memory()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def computes_bf16(device: torch.device) -> bool:
    """True if the device computes bf16 natively."""
    if device.type == "cuda":
        return _capability(device) >= _AMPERE
    return _cpu_has(device, "avx512_bf16", "amx_bf16")  # MPS: not measured yet


def computes_int8(device: torch.device) -> bool:
    """True if the device has instructions for products of 8-bit integers: CPUs with VNNI."""
    return _cpu_has(device, "avx512_vnni", "avx_vnni")


def _int8_pays(device: torch.device) -> bool:
    """True if blocks in integers have been measured to be faster there: on AVX-512's VNNI."""
    return _cpu_has(device, "avx512_vnni")


def _cpu_has(device: torch.device, *instructions: str) -> bool:
    """True for a CPU that has any of these instructions."""
    if device.type != "cpu":
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(one) for one in instructions)


def _capability(device: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(device)


def _emptiest_card() -> str:
    """The card with the most free memory; of equals the first."""
    count = torch.cuda.device_count()
    if count == 1:
        return "cuda"
    free = [torch.cuda.mem_get_info(number)[0] for number in range(count)]
    return f"cuda:{free.index(max(free))}"


def _has_mps() -> bool:
    return torch.backends.mps.is_available()


def _have() -> str:
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return ", ".join(["cpu", *cuda, *(["mps"] if _has_mps() else [])])
