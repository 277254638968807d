"""Loss and saving of PP-ATD-light by what Pure-Pass leaves open: K, window, shifts, compensation.

python docs/measure/pure_sweep.py WEIGHTS SET [SET ...]

WEIGHTS are ATD-light's at x4, as `srcli train` writes them, SET a folder as `srcli bench` knows it
(SETS/Set5). Every image is upscaled whole in all ways, on one thread; before
its turns it is upscaled once untimed, and each image begins with another way, so that none is
always first.
Printed, for each set and way: the share of the px that are pure, the mean PSNR-Y and its
difference to no mask, and the processor's time in parts of that of no mask.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from srcli.data.benchmark_set import Pair, pairs_in
from srcli.metrics.psnr import psnr_y
from srcli.models.atd import ATDConfig, ATDLayer
from srcli.models.layers.attention import LazyQKV
from srcli.models.layers.category import CategoryAttention, PureSplit
from srcli.models.pp_atd import PPATDLight, PureConfig
from srcli.models.spec import EXACT, Halting

SCALE = 4
COLOURS, WINDOWS = (8, 16, 32), (2, 4, 8)  # K; w in LR px
SKIPPING = Halting(eps=None, skip_pure=True)


@dataclass(frozen=True)
class Way:
    """One way to upscale.

    Args:
        name: What the table calls it.
        pure: Which pixels are pure; None: no mask.
        instead: What they get: "projected value", which is the product's, "value", or "nothing".
    """

    name: str
    pure: PureConfig | None
    instead: str = "projected value"


@dataclass(frozen=True)
class Result:
    """Result of one way on one image: share of pure px, dB, and seconds of the processor."""

    pure: float
    psnr: float
    seconds: float


class Compensated(nn.Module):
    """A category attention whose exempt tokens get something else.

    Args:
        attention: The layer's own.
        instead: "value" or "nothing".
    """

    def __init__(self, attention: CategoryAttention, instead: str) -> None:
        super().__init__()
        self.attention, self.instead = attention, instead

    def forward(self, qkv: LazyQKV, similarity: Tensor, exempt: PureSplit | None) -> Tensor:
        """See `CategoryAttention`."""
        mixed = self.attention(qkv, similarity, exempt)
        if exempt is not None:
            for number, spared in enumerate(exempt.spared):
                mixed[number, spared] = 0.0
                if self.instead == "value":
                    mixed[number, spared] = qkv.image(number).values(spared)[0]
        return mixed


def ways() -> Iterator[Way]:
    """No mask, then every mask, then the default mask with other compensations."""
    yield Way("no mask", None)
    for colours in COLOURS:
        for window in WINDOWS:
            half = window // 2
            for name, shifts in (("one", ((0, 0),)), ("two", ((0, 0), (half, half)))):
                yield Way(
                    f"K = {colours}, w = {window}, {name}", PureConfig(colours, window, shifts)
                )
    for instead in ("value", "nothing"):
        yield Way(f"default, {instead} instead", PureConfig(), instead)


def networks(weights: Path) -> Mapping[str, PPATDLight]:
    """One network for each compensation."""
    state = {name: tensor.float() for name, tensor in load_file(weights).items()}
    made: dict[str, PPATDLight] = {}
    for instead in ("projected value", "value", "nothing"):
        network = PPATDLight(ATDConfig(SCALE), PureConfig()).eval()
        network.load_state_dict(state)
        if instead != "projected value":
            for layer in (part for part in network.modules() if isinstance(part, ATDLayer)):
                layer.category = Compensated(layer.category, instead)  # pyright: ignore[reportAttributeAccessIssue]
        made[instead] = network
    return made


@torch.inference_mode()
def results(pair: Pair, network: Mapping[str, PPATDLight], first: int) -> list[Result]:
    """One image in all ways, which take their turns from number `first` on."""
    hr, lr = pair.load(SCALE)
    assert hr is not None, "a benchmark set has originals"
    planes = torch.from_numpy(lr).permute(2, 0, 1)[None].float() / 255
    every = list(ways())
    network[every[0].instead](planes, EXACT)  # untimed: memory and caches for this size
    found: dict[int, Result] = {}
    for turn in range(len(every)):
        number = (first + turn) % len(every)
        way = every[number]
        one = network[way.instead]
        one.pure = way.pure or PureConfig()
        began = time.process_time()
        output = one(planes, SKIPPING if way.pure else EXACT)
        seconds = time.process_time() - began
        image = (output.image[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
        pure = 0.0
        if output.pure is not None:
            pure = output.pure.mask[..., : lr.shape[0], : lr.shape[1]].float().mean().item()
        found[number] = Result(pure, psnr_y(image.numpy(), hr, crop=SCALE), seconds)
    return [found[number] for number in range(len(every))]


def main(weights: str, *sets: str) -> None:
    """Print a table in Markdown for each set."""
    torch.set_num_threads(1)
    network = networks(Path(weights))
    for folder in sets:
        pairs = pairs_in(Path(folder), SCALE)
        by_way = list(
            zip(*(results(pair, network, i) for i, pair in enumerate(pairs)), strict=True)
        )
        plain = by_way[0]
        sys.stdout.write(
            f"\n| {Path(folder).name}, {len(pairs)} images | pure | PSNR-Y | | time |\n"
        )
        sys.stdout.write("|---|---|---|---|---|\n")
        for way, found in zip(ways(), by_way, strict=True):
            pure = sum(one.pure for one in found) / len(found)
            psnr = sum(one.psnr for one in found) / len(found)
            less = psnr - sum(one.psnr for one in plain) / len(plain)
            time_ratio = sum(one.seconds for one in found) / sum(one.seconds for one in plain)
            sys.stdout.write(
                f"| {way.name} | {pure:.1%} | {psnr:.3f} | {less:+.4f} | {time_ratio:.3f} |\n"
            )
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
