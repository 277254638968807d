"""Description of the machine that a figure was measured on."""

import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from srcli.inference.device import format_between

__all__ = ["Machine", "PeakMemory", "describe_machine", "synchronise"]


@dataclass(frozen=True)
class Machine:
    """Machine and software, as far as they bear on a figure.

    `peak_gflops` is what a large convolution reaches, a second, in the precision of the run;
    in fp32 of one in int8.
    """

    processor: str
    device: str
    threads: int
    system: str
    python: str
    torch: str
    srcli: str
    commit: str
    peak_gflops: float


def describe_machine(device: torch.device, dtype: torch.dtype) -> Machine:
    """Describe this machine and the device used on it, in the precision that is used."""
    named = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return Machine(
        processor=_processor(),
        device=named,
        threads=torch.get_num_threads(),
        system=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        python=platform.python_version(),
        torch=torch.__version__,
        srcli=_version(),
        commit=_commit(),
        peak_gflops=_peak(device, dtype) / 1e9,
    )


def _version() -> str:
    """The installed version; a tree that runs from PYTHONPATH, as on a lent machine, has none."""
    try:
        return version("srcli")
    except PackageNotFoundError:
        return "not installed"


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class PeakMemory:
    """The most memory taken since it was made, in bytes; None where that is not known.

    On CUDA what PyTorch has allocated; on Linux what the process has resident.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._resident = False
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        elif sys.platform == "linux":
            try:
                Path("/proc/self/clear_refs").write_text("5")
                self._resident = True
            except OSError:
                self._resident = False

    def read(self) -> int | None:
        """The peak until now."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        if self._resident:
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return None


@torch.inference_mode()
def _peak(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of the best of some 3x3 convolutions of 64 channels."""
    channels, runs, dtype = 64, 5, format_between(dtype)
    layer = torch.nn.Conv2d(channels, channels, 3, padding=1, device=device, dtype=dtype)
    layer.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    best = 0.0
    for side in (64, 128, 256):
        image = torch.rand(1, channels, side, side, device=device).to(dtype)
        image = image.contiguous(memory_format=torch.channels_last)
        for _ in range(runs):
            synchronise(device)
            started = time.perf_counter()
            layer(image)
            synchronise(device)
            seconds = time.perf_counter() - started
            best = max(best, 2 * channels**2 * 9 * side**2 / seconds)
    return best


def _processor() -> str:
    """Name of the processor, as the system reports it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit() -> str:
    """The commit of a checkout; "" of an installed package, or where there is no git to ask."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        told = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:
        return ""
    return told.stdout.strip()
