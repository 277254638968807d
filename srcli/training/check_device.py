"""`python -m srcli.training.check_device CONFIG.toml --init FILE`: a device tried for a minute.

Compare what the network makes of an image with the CPU's; time steps in each way that `[run]` can
ask for, at two batch sizes, and print their losses, which must agree. With `--profile`, list the
kernels that a step spends its time in. Nothing is kept.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from srcli.data.patches import PatchBatch
from srcli.errors import ExitCode, SrcliError
from srcli.models.spec import EXACT, SRNetwork
from srcli.training.accelerate import (
    CudaGraphs,
    fast_arithmetic,
    full_arithmetic,
    in_a_line,
    step_precision,
)
from srcli.training.config import TrainingConfig
from srcli.training.config_file import read_config
from srcli.training.distributed import ProcessGroup, joined
from srcli.training.families import adaptive, build, for_patches
from srcli.training.process import run_program
from srcli.training.schedule import rates
from srcli.training.state import TrainingState
from srcli.training.step import StepOptions, Stepper

__all__ = ["check_device", "profile_steps"]

_SIDE = 192  # LR px of the image that is compared
_WARM = 4  # steps before those that are timed: three as usual, one recorded
_PROFILED = 3  # steps
_KERNELS = 30  # rows of the table


def check_device(
    config: TrainingConfig,
    weights: Path,
    processes: ProcessGroup,
    tell: Callable[[str], None],
    *,
    steps: int,
    seconds: float,
) -> None:
    """Compare the device with the CPU, then time training steps on it.

    Args:
        config: The run that is to come; its data is not read, the patches are noise.
        weights: To start from.
        processes: With the device; one process.
        tell: Takes the result line by line.
        steps: Timed steps of each way.
        seconds: No further way is begun after this time.

    Raises:
        WeightsError: The weights do not fit.
    """
    until = time.monotonic() + seconds
    device = processes.device
    named = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    tell(f"{named}, torch {torch.__version__}")
    _compare(config, weights, device, tell)
    tell("| batch | precision | way | first step | patches a second | L1 after |")
    tell("|---|---|---|---|---|---|")
    cuda = device.type == "cuda"
    ways = (
        [(False, True), (True, True), (True, False), (False, False)] if cuda else [(False, False)]
    )
    batches = [config.data.batch, 2 * config.data.batch] if cuda else [config.data.batch]
    for batch in batches:
        sized = replace(config, data=replace(config.data, batch=batch))
        for compiled, recorded in ways if batch == batches[0] else ways[:2]:
            if time.monotonic() > until:
                tell(f"| {batch} | the other ways are left out after {seconds:g} s | | | | |")
                return
            tell(_timed(sized, weights, processes, steps, compiled=compiled, recorded=recorded))


def _compare(
    config: TrainingConfig, weights: Path, device: torch.device, tell: Callable[[str], None]
) -> None:
    """Compare what the device makes of one image with what the CPU makes of it in fp32."""
    state = TrainingState(config, torch.device("cpu"))
    state.start_from(weights)
    best = step_precision("auto", device)  # bf16 is not tried where it would be emulated
    noise = torch.rand(1, 3, _SIDE // 8, _SIDE // 8, generator=torch.Generator().manual_seed(0))
    lr = torch.nn.functional.interpolate(noise, size=(_SIDE, _SIDE), mode="bicubic").clamp(0, 1)
    for name, halting in (
        ("exact", EXACT),
        ("balanced", adaptive(config.network, config.loss.eps)),
    ):
        with torch.inference_mode():
            wanted = state.network(lr, halting).image
            for dtype in dict.fromkeys((torch.float32, best)):
                network = _moved(state.network, config, device, dtype)
                with full_arithmetic(device):
                    found = network(lr.to(device), halting).image.float().cpu()
                tell(f"{name} {str(dtype).removeprefix('torch.')}: {_off(found, wanted)}")


def _moved(
    network: SRNetwork, config: TrainingConfig, device: torch.device, dtype: torch.dtype
) -> SRNetwork:
    """The network on a device, in a precision."""
    moved = build(config.network)
    moved.load_state_dict(network.state_dict())
    if dtype != torch.float32:
        moved.lower_precision(dtype)
    return moved.to(device)


def _off(found: Tensor, wanted: Tensor) -> str:
    """The largest and the relative error of an image in [0, 1], in words."""
    error = (found - wanted).abs()
    relative = error.square().sum().sqrt().item() / wanted.square().sum().sqrt().item()
    return f"largest error {error.max().item():.1e}, relative {relative:.1e}"


def _timed(
    config: TrainingConfig,
    weights: Path,
    processes: ProcessGroup,
    steps: int,
    *,
    compiled: bool,
    recorded: bool,
) -> str:
    """Take steps in one way, and return its row of the table."""
    said: list[str] = []
    batch = _noise(config, processes.device)
    way = " and ".join(["compiled"] * compiled + ["recorded"] * recorded) or "as written"
    dtype = step_precision(config.run.precision, processes.device)
    row = f"| {config.data.batch} | {str(dtype).removeprefix('torch.')} | {way} |"
    with tempfile.TemporaryDirectory() as folder, fast_arithmetic(processes.device):
        how = _Way(compiled=compiled, recorded=recorded, tell=said.append)
        stepper = _stepper(config, weights, processes, batch, how, Path(folder))
        now = rates(config.schedule, 0.5)
        began = time.perf_counter()
        try:
            stepper.take(batch, now).restoration.item()  # waits
            first = time.perf_counter() - began
            for _ in range(_WARM - 1):
                stepper.take(batch, now)
            stepper.check()
            began = time.perf_counter()
            for _ in range(steps - 1):
                stepper.take(batch, now)
            figures = stepper.take(batch, now)
            stepper.check()  # waits
            pace = steps * config.data.batch / (time.perf_counter() - began)
            loss = figures.restoration.item()
        except (SrcliError, RuntimeError) as error:
            return f"{row} {in_a_line(error)} | | |"
    lines = "".join(f" ({line})" for line in said if not line.startswith("compiled in"))
    return f"{row} {first:.1f} s{lines} | {pace:.1f} | {loss:.4f} |"


def profile_steps(
    config: TrainingConfig, weights: Path, processes: ProcessGroup, tell: Callable[[str], None]
) -> None:
    """List the kernels and operators in which compiled steps spend their time, longest first.

    Args:
        config: The run that is to come; its data is not read, the patches are noise.
        weights: To start from.
        processes: With the device; one process.
        tell: Takes the table line by line.
    """
    device = processes.device
    cuda = device.type == "cuda"
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    batch, now = _noise(config, device), rates(config.schedule, 0.5)
    with tempfile.TemporaryDirectory() as folder, fast_arithmetic(device):
        how = _Way(compiled=cuda, recorded=False, tell=tell)
        stepper = _stepper(config, weights, processes, batch, how, Path(folder))
        stepper.take(batch, now)
        stepper.check()
        with profile(activities=kinds) as found:
            for _ in range(_PROFILED):
                stepper.take(batch, now)
            stepper.check()  # waits
    order = "self_device_time_total" if cuda else "self_cpu_time_total"
    averages = cast("_Averages", found.key_averages())
    table = averages.table(sort_by=order, row_limit=_KERNELS, max_name_column_width=70)
    tell(f"{_PROFILED} steps of {config.data.batch} patches:")
    for line in table.splitlines():
        tell(line)


class _Averages(Protocol):
    """The part of a profile that is used here; PyTorch's own is not typed."""

    def table(self, *, sort_by: str, row_limit: int, max_name_column_width: int) -> str: ...


@dataclass(frozen=True)
class _Way:
    """One way to run steps, as `[run]` asks for it."""

    compiled: bool
    recorded: bool
    tell: Callable[[str], None]


def _stepper(
    config: TrainingConfig,
    weights: Path,
    processes: ProcessGroup,
    batch: PatchBatch,
    way: _Way,
    folder: Path,
) -> Stepper:
    """Make a stepper whose every batch is `batch`."""
    device = processes.device
    state = TrainingState(config, device)
    state.start_from(weights)
    plain = for_patches(state.network, config.loss.token_share)
    if way.compiled:
        plain.compile_parts()
    options = StepOptions(
        step_precision(config.run.precision, device),
        cut=lambda _: batch,
        tell=way.tell,
        run_plain=plain.run_plain if way.compiled else None,
        graphs=CudaGraphs(device) if way.recorded else None,
        check_every=1_000_000,
    )
    return Stepper(config, state, plain, processes, options, folder=folder)


def _noise(config: TrainingConfig, device: torch.device) -> PatchBatch:
    """A batch of smooth noise, the same for every way."""
    data, scale = config.data, config.network.scale
    random = torch.Generator().manual_seed(1)
    hr = torch.rand(data.batch, 3, data.patch // 4, data.patch // 4, generator=random) * 255
    hr = torch.nn.functional.interpolate(hr, size=(data.patch * scale,) * 2, mode="bicubic")
    lr = torch.nn.functional.avg_pool2d(hr, scale)
    both = [one.clamp(0, 255).round().to(torch.uint8).to(device) for one in (lr, hr)]
    taught = both[1] if config.distillation.teacher else None
    return PatchBatch(0, both[0], both[1], taught)


def _main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m srcli.training.check_device", description="Try a device before a run."
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--init", type=Path, required=True, metavar="FILE", help="weights")
    parser.add_argument("--steps", type=int, default=20, help="timed steps of each way (20)")
    parser.add_argument("--seconds", type=float, default=60.0, help="time to begin ways in (60)")
    parser.add_argument("--profile", action="store_true", help="list a step's kernels at the end")
    given = parser.parse_args()

    def tell(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def work() -> ExitCode:
        config = read_config(given.config)
        with joined(config.run.device) as processes:
            check_device(
                config, given.init, processes, tell, steps=given.steps, seconds=given.seconds
            )
            if given.profile:
                profile_steps(config, given.init, processes, tell)
        return ExitCode.ALL_DONE

    return run_program(work)


if __name__ == "__main__":
    sys.exit(_main())
