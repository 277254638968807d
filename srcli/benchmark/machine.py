"""What a figure was measured on."""

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

__all__ = ["Machine", "PeakMemory", "describe_machine", "synchronise"]


@dataclass(frozen=True)
class Machine:
    """Machine and software, as far as they bear on a figure."""

    processor: str
    device: str
    threads: int
    system: str
    python: str
    torch: str
    srcli: str
    commit: str


def describe_machine(device: torch.device) -> Machine:
    """Describe this machine and the device used on it."""
    named = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return Machine(
        processor=_processor(),
        device=named,
        threads=torch.get_num_threads(),
        system=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        python=platform.python_version(),
        torch=torch.__version__,
        srcli=version("srcli"),
        commit=_commit(),
    )


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class PeakMemory:
    """The most memory taken since it was made, in bytes; None where that cannot be told.

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


def _processor() -> str:
    """The processor's name, as well as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit() -> str:
    """The commit of a checkout, "" of an installed package."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    told = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return told.stdout.strip()
