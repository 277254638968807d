"""Cost of a training step of adaformer x4, and the gain of each way of making it faster.

python docs/measure/step_cost.py CONFIG.toml [RUNS [THREADS]]

CONFIG is a run's configuration, as srcli/training/configs/adaformer_x4.toml; its data is not read,
the patches are noise. All ways take a step in turn, RUNS times (5) after one that is not counted,
on the CPU with THREADS threads (2). Printed: patches a second by the median, and in parts of the
first.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from srcli.data.patches import PatchBatch
from srcli.models.layers.attention import LocalAttention
from srcli.training.config import TrainingConfig
from srcli.training.config_file import read_config
from srcli.training.distributed import ProcessGroup
from srcli.training.families import for_patches
from srcli.training.schedule import rates
from srcli.training.state import TrainingState
from srcli.training.step import StepOptions, Stepper

_CPU = torch.device("cpu")


class Fused(nn.Module):
    """A window attention that trains by PyTorch's fused kernels instead of written out."""

    def __init__(self, attention: LocalAttention) -> None:
        super().__init__()
        self.attention = attention

    def reference(self, windows: Tensor) -> Tensor:
        """Attend, by the name that the training network calls."""
        return self.attention(windows)


def noise(config: TrainingConfig, *, channels_last: bool) -> PatchBatch:
    """A batch of patches of noise."""
    data, scale = config.data, config.network.scale
    lr, hr = (
        torch.randint(0, 256, (data.batch, side, side, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
        for side in (data.patch, data.patch * scale)
    )
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return PatchBatch(0, lr.contiguous(memory_format=layout), hr.contiguous(memory_format=layout))


def stepper(
    config: TrainingConfig,
    folder: Path,
    *,
    channels_last: bool = True,
    fused: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Callable[[], object]:
    """Make the callable that takes one step."""
    state = TrainingState(config, _CPU)
    for module in list(state.network.modules()):
        if isinstance(module, nn.Conv2d) and channels_last:
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
        attention = getattr(module, "local_branch", None)
        if fused and isinstance(attention, LocalAttention):
            module.local_branch = Fused(attention)
    network = for_patches(state.network, config.loss.token_share)
    batch, now = noise(config, channels_last=channels_last), rates(config.schedule, 0.3)
    how = StepOptions(dtype, cut=lambda _: batch, tell=sys.stdout.write)
    steps = Stepper(config, state, network, ProcessGroup(0, 1, _CPU), how, folder=folder)
    return lambda: steps.take(batch, now)


def main(path: str, runs: str = "5", threads: str = "2") -> None:
    """Print a table in Markdown."""
    torch.set_num_threads(int(threads))
    config = read_config(Path(path))
    adam = replace(config, schedule=replace(config.schedule, muon_lr=0.0))
    double = replace(config, data=replace(config.data, batch=2 * config.data.batch))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ways = {
            "rows of pixels, Adam": stepper(adam, folder, channels_last=False),
            "channels last, Adam": stepper(adam, folder),
            "channels last, Muon (as it is)": stepper(config, folder),
            "the same, fused attention": stepper(config, folder, fused=True),
            "the same, bf16": stepper(config, folder, dtype=torch.bfloat16),
            f"the same, {double.data.batch} patches": stepper(double, folder),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for run in range(int(runs) + 1):
            for name, step in ways.items():
                began = time.perf_counter()
                step()
                if run:
                    patches = (double if name.endswith("patches") else config).data.batch
                    times[name].append((time.perf_counter() - began) / patches)
    first = statistics.median(next(iter(times.values())))
    sys.stdout.write("| step | patches a second | to the first |\n|---|---|---|\n")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        sys.stdout.write(f"| {name} | {1 / median:.2f} | {first / median:.2f} |\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
