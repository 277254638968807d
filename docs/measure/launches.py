"""Count what a run launches on a GPU, and how often the host waits for it, without a GPU.

python docs/measure/launches.py --sizes 512x341,1024x683 --models adaformer,adaformer-s

An image without flat areas is upscaled in fp32, planned as on an NVIDIA card (large bands and
chunks, blocks in buckets, small bands masked, pixels over a link), and PyTorch's profiler traces it
on the CPU. What counts:

- An operator that computes is a launch, and so is one that fills or copies: `zeros`, a `reshape`
  that cannot be a view. One of several steps counts each: those that CUDA begins with a copy
  (`index_add` into a new tensor), and a convolution with a bias, which is added afterwards.
- Views, allocations and what looks at shapes alone are no launches.
- An operator that is made of others counts as these. What other operators do inside is the CPU's.
- The host waits where it asks for a value: `.item()`, `bool()`, `.tolist()`, `.cpu()`, `nonzero`,
  indices of truth values, and once for each part of the result that it fetches.
- The order of regions, made on the host for an image of another size than before, is one copy.

By this rule adaformer at `exact`, 512x341, in bf16 had 612 launches when an H100 launched 715
kernels for it: convolutions and reductions take more than one there.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, cast
from unittest import mock

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile, record_function

from srcli.inference import exact_tiling, tile_planner
from srcli.inference.device_link import PlainLink
from srcli.inference.planes import Pixels
from srcli.inference.self_check import test_image
from srcli.inference.upscaler import Upscaler
from srcli.models.adaformer import AdaFormer
from srcli.models.layers import attention, short_way, sparse, tsab, windows

KINDS = ("encoder", "TSAB local", "TSAB global", "TSAB rest", "confidence", "packing", "decoder",
         "image")  # fmt: skip
"""Kinds of layers; of a TSAB the rest is norms, projection and MLP; packing is whatever chooses,
gathers and records tokens; the image is pixels on their way in and out."""

_FREE = """
alias as_strided chunk detach detach_ diagonal empty empty_like empty_strided expand expand_as lift
lift_fresh mT narrow new_empty new_empty_strided numpy_T permute resize_ resolve_conj resolve_neg
result_type select set_ slice split split_with_sizes squeeze t transpose unbind unfold unsqueeze
view view_as _reshape_alias _unsafe_view
"""
_COMPOSED = """
argsort avg_pool2d clone contiguous conv2d diff flatten full full_like isfinite isinf item
is_nonzero layer_norm linear matmul max_pool2d new_full new_ones new_zeros ones ones_like pad
repeat_interleave reshape scaled_dot_product_attention softmax stack tensor_split to type_as
unflatten zeros zeros_like _to_copy
"""
_STEPS = {
    "baddbmm": 2, "constant_pad_nd": 2, "cumsum": 2, "index_add": 2, "index_copy": 2,
    "index_put": 2, "masked_fill": 2, "scatter": 2, "scatter_reduce": 2, "sort": 3,
}  # fmt: skip
_WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2")
_INSIDE = frozenset(_COMPOSED.split())
_NONE = frozenset(_FREE.split())
_KIND, _WAIT, _SENT = "kind: ", "host waits: ", "made on the host"
_PACK, _BAND_HEIGHTS = sparse.pack, exact_tiling.band_heights
_CPU, _CARD = torch.device("cpu"), torch.device("cuda")


@contextmanager
def as_on_a_card(processors: int = 132, free: int = 16 << 30) -> Iterator[None]:
    """Plan and compute as on an NVIDIA card.

    Args:
        processors: Of the card; 132 are an H100's.
        free: Bytes of its memory.
    """
    with ExitStack() as patches:
        for module, name, value in (
            (sparse, "_CHUNK", {}),
            (short_way, "pays_on", lambda _: False),
            (sparse, "takes_whole_regions", lambda _: True),
            (sparse, "masked_up_to", lambda _: sparse._WINDOWS_A_PROCESSOR * processors),
            (sparse, "pack", lambda *masks, bucketed: _PACK(*masks, bucketed=True)),
            (exact_tiling, "band_heights", lambda _, *size: _BAND_HEIGHTS(_CARD, *size)),
            (tile_planner, "band_heights", lambda _, *size: _BAND_HEIGHTS(_CARD, *size)),
            (tile_planner, "_STRIPS_BUDGET", free),
            (tile_planner, "free_memory", lambda _: free),
        ):
            patches.enter_context(mock.patch.object(module, name, value))
        yield


def grained(height: int, width: int) -> Pixels:
    """An image (h, w, 3) uint8 of which nothing is flat."""
    image = test_image(height, width).astype(int)
    grain = np.random.default_rng(0).integers(-3, 4, image.shape)
    return (image + grain).clip(0, 255).astype(np.uint8)


def traced(run: Callable[[], object]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Trace a run: launches by kind of layer, launches by operator, and waits of the host."""
    with ExitStack() as told:
        for name, of, method in (
            ("encoder", AdaFormer, "encode_short"),
            ("TSAB local", attention.LocalAttention, "forward"),
            ("TSAB global", attention.PrototypeAttention, "forward"),
            ("TSAB rest", tsab.TSAB, "forward"), ("TSAB rest", tsab.TSAB, "forward_whole"),
            ("packing", sparse.TokenBand, "compute"), ("confidence", sparse.TokenBand, "estimate"),
            ("packing", sparse.TokenBand, "__init__"), ("packing", sparse.TokenBand, "record"),
            ("decoder", AdaFormer, "decode_short"),
        ):  # fmt: skip
            told.enter_context(_marked(_KIND + name, of, method))
        for name in ("_regions", "_surroundings"):
            told.enter_context(_marked(_SENT, windows, name))
        for method in ("tolist", "cpu"):
            told.enter_context(_marked(_WAIT + method, torch.Tensor, method))
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as seen:
            run()
    counts: tuple[Counter[str], Counter[str], Counter[str]] = Counter(), Counter(), Counter()
    for event in cast("Any", seen).events():
        if event.cpu_parent is None:
            _count(event, "image", *counts)
    return counts


@contextmanager
def _marked(name: str, of: Any, method: str) -> Iterator[None]:  # noqa: ANN401
    """Let a trace show when a method runs."""
    plain = getattr(of, method)

    @wraps(plain)
    def marked(*given: Any, **options: Any) -> Any:  # noqa: ANN401
        with record_function(name):
            return plain(*given, **options)

    with mock.patch.object(of, method, marked):
        yield


def _count(
    event: Any,  # noqa: ANN401
    kind: str,
    kinds: Counter[str],
    operators: Counter[str],
    waits: Counter[str],
) -> None:
    """Add what an event of a trace is, and what is inside it."""
    name = event.name.removeprefix("aten::")
    if event.name == _SENT:
        if event.cpu_children:  # else it was made for an earlier image
            kinds[kind] += 1
            operators["sent"] += 1
        return
    if event.name.startswith(_KIND):
        kind = event.name.removeprefix(_KIND)
    elif event.name.startswith(_WAIT):
        waits[event.name.removeprefix(_WAIT)] += 1
    elif name in _WAITS:
        waits[name] += 1
        return
    elif name in _NONE:
        return
    elif name not in _INSIDE:
        steps = _STEPS.get(name, 1)
        if name == "convolution":
            steps += bool(event.input_shapes[2])  # of the bias
        kinds[kind] += steps
        operators[name] += steps
        # Indices of truth values are looked for first.
        waits["nonzero"] += sum(child.name == "aten::nonzero" for child in event.cpu_children)
        return
    for child in event.cpu_children:
        _count(child, kind, kinds, operators, waits)


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="512x341")
    parser.add_argument("--models", default="adaformer,adaformer-s")
    parser.add_argument("--efforts", default="exact,balanced,fast")
    parser.add_argument("--processors", type=int, default=132, help="of the card (132: an H100)")
    parser.add_argument("--operators", action="store_true", help="also the operators launched")
    given = parser.parse_args()
    heads = ("model", "LR", "effort", "launches", "a Mpx", *KINDS, "waits", "a Mpx")
    sys.stdout.write(" | ".join(heads) + "\n")
    for model in given.models.split(","):
        for size in given.sizes.split(","):
            for effort in given.efforts.split(","):
                width, height = map(int, size.split("x"))
                with as_on_a_card(given.processors):
                    upscaler = Upscaler(model, 4, "cpu", "fp32", effort=effort)
                    upscaler.network.link = PlainLink(_CPU)
                    kinds, operators, waits = traced(
                        lambda up=upscaler, h=height, w=width: up(grained(h, w))
                    )
                launches, waited, area = kinds.total(), waits.total(), width * height / 1e6
                cells = [model, size, effort, launches, round(launches / area)]
                cells += [*(kinds[kind] for kind in KINDS), waited, round(waited / area)]
                sys.stdout.write(" | ".join(map(str, cells)) + "\n")
                if given.operators:
                    sys.stdout.write(f"  {operators.most_common()} {waits.most_common()}\n")


if __name__ == "__main__":
    main()
