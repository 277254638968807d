"""Time of ATD-light beside AdaFormer's convolutions, and the part that Pure-Pass saves.

python docs/measure/atd_figures.py PHOTO 256x256 --find 1024x683 --runs 5
python docs/measure/atd_figures.py PHOTO 256x256 --runs 5 --processor

PHOTO is any image, reduced with Pillow's bicubic to the LR size that follows. All networks are
x4 with random weights and compute in fp32 on the CPU, in one process, in turns; figures are
medians. Times are by the wall clock on two threads, with --processor by the processor on one,
which other work disturbs less. --find measures the search for pure pixels beside the network's
forward pass at a size of its own, given as width x height like the other.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from srcli.models.adaformer import AdaFormer, AdaFormerConfig
from srcli.models.atd import ATDConfig, ATDLayer
from srcli.models.layers.windows import extend_by_mirroring
from srcli.models.pp_atd import PPATDLight, PureConfig
from srcli.models.spec import EXACT, Halting

SCALE = 4
SKIPPING = Halting(eps=None, skip_pure=True)
ATD, PURE = "ATD-light (pp-atd-light, exact)", "PP-ATD-light, balanced"
CONVOLUTIONS, FIND = "AdaFormer's convolutions alone", "finding pure pixels"


class Timed(nn.Module):
    """A module whose calls are timed.

    Args:
        module: It.
        clock: Seconds.
    """

    def __init__(self, module: nn.Module, clock: Callable[[], float]) -> None:
        super().__init__()
        self.module, self.clock, self.seconds = module, clock, 0.0

    def forward(self, *given: object) -> Tensor:
        """See the module."""
        began = self.clock()
        result = self.module(*given)
        self.seconds += self.clock() - began
        return result


def image(photo: Path, size: str) -> Tensor:
    """`photo` reduced to `size`, (1, 3, h, w), RGB in [0, 1]."""
    width, height = (int(side) for side in size.split("x"))
    with Image.open(photo) as opened:
        small = opened.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float() / 255


def medians(
    ways: Mapping[str, Callable[[], object]], runs: int, clock: Callable[[], float]
) -> dict[str, float]:
    """The median seconds of each way; they take turns, and each run begins with another."""
    names = list(ways)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for run in range(runs + 1):
        for name in names[run % len(names) :] + names[: run % len(names)]:
            began = clock()
            ways[name]()
            if run:  # the first warms up
                seconds[name].append(clock() - began)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def category_share(network: PPATDLight, lr: Tensor, clock: Callable[[], float]) -> float:
    """The category attention's part of the time of ATD-light, of one run."""
    layers = [part for part in network.modules() if isinstance(part, ATDLayer)]
    timed = [Timed(layer.category, clock) for layer in layers]
    for layer, part in zip(layers, timed, strict=True):
        layer.category = part  # pyright: ignore[reportAttributeAccessIssue]
    began = clock()
    network(lr, EXACT)
    whole = clock() - began
    for layer, part in zip(layers, timed, strict=True):
        layer.category = part.module  # pyright: ignore[reportAttributeAccessIssue]
    return sum(part.seconds for part in timed) / whole


@torch.inference_mode()
def main(photo: Path, size: str, find: str | None, runs: int, *, processor: bool) -> None:
    """Print times and their ratios."""
    torch.set_num_threads(1 if processor else 2)
    clock = time.process_time if processor else time.perf_counter
    torch.manual_seed(0)
    atd = PPATDLight(ATDConfig(SCALE), PureConfig()).eval()
    adaformer = AdaFormer(AdaFormerConfig(SCALE)).eval()
    lr = image(photo, size)
    found = medians(
        {
            CONVOLUTIONS: lambda: adaformer.convolutions(lr),
            ATD: lambda: atd(lr, EXACT),
            PURE: lambda: atd(lr, SKIPPING),
        },
        runs,
        clock,
    )
    share = category_share(atd, lr, clock)
    pure = atd.find_pure(extend_by_mirroring(lr, atd.config.window)).mask.float().mean().item()
    say = sys.stdout.write
    how = "the processor's time, one thread" if processor else "wall time, two threads"
    say(f"{photo.name} at {size}, {pure:.1%} pure, {how}, medians of {runs}\n")
    for name, seconds in found.items():
        say(f"{name:34} {seconds:8.3f} s\n")
    say(f"ATD-light to the convolutions      {found[ATD] / found[CONVOLUTIONS]:8.2f}\n")
    say(f"PP-ATD-light to ATD-light          {found[PURE] / found[ATD]:8.3f}\n")
    say(f"category attention in ATD-light    {share:8.1%}\n")
    if find is not None:
        wide = extend_by_mirroring(image(photo, find), atd.config.window)
        ways = {FIND: lambda: atd.find_pure(wide), ATD: lambda: atd(wide, EXACT)}
        found = medians(ways, runs, clock)
        say(f"at {find}: {FIND} {found[FIND]:.4f} s, {ATD} {found[ATD]:.2f} s, ")
        say(f"in parts of it {found[FIND] / found[ATD]:.2%}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="ATD-light's times.")
    parser.add_argument("photo", type=Path)
    parser.add_argument("size", help="LR, width x height, as 256x256")
    parser.add_argument("--find", help="LR, width x height, where finding is measured")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--processor", action="store_true", help="processor time, one thread")
    given = parser.parse_args()
    main(given.photo, given.size, given.find, given.runs, processor=given.processor)
