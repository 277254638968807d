"""Demands of CUDA and MPS on the network, tested on the CPU."""

import re
from pathlib import Path

import pytest
import torch
import torchgen
from torch.utils._python_dispatch import TorchDispatchMode

from srcli.models.adaformer import AdaFormer, AdaFormerConfig
from srcli.models.layers import sparse
from srcli.models.layers.packing import pack
from srcli.models.spec import EXACT, Halting
from srcli.weights import best_scale
from srcli.weights.load import read_weights

HALTING = [EXACT, Halting(eps=0.05), Halting(eps=0.9), Halting(eps=0.05, observe=True)]


@pytest.fixture(scope="module")
def network() -> AdaFormer:
    built = AdaFormer(AdaFormerConfig(4)).eval().requires_grad_(requires_grad=False)
    built.load_state_dict(read_weights(best_scale("adaformer", 4)))
    return built


@pytest.fixture(scope="module")
def lr() -> torch.Tensor:
    """Half flat, half noise: (1, 3, 44, 60)."""
    image = torch.full((1, 3, 44, 60), 0.4)
    image[..., 30:] = torch.rand(1, 3, 44, 30, generator=torch.Generator().manual_seed(0))
    return image


class Ops(TorchDispatchMode):
    """Remembers which operations ran, and which made or took float64."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.doubles: set[str] = set()
        self.masked = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.name().removeprefix("aten::")
        self.names.append(name)
        if "index" in name:
            chosen = [i for i in args[1] if i is not None] if isinstance(args[1], list) else []
            self.masked += any(i.dtype == torch.bool for i in chosen)
        for value in (*args, result):
            if isinstance(value, torch.Tensor) and value.dtype == torch.float64:
                self.doubles.add(name)
        return result


def ops_on_mps() -> set[str]:
    """The operations that PyTorch's own table gives to MPS, or makes of others everywhere."""
    table = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
    known = set()
    for entry in re.split(r"^- func: ", table.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        name = entry.split("(")[0]
        delegate = re.search(r"structured_delegate: (\S+)", entry)
        everywhere = "dispatch:" not in entry or re.search(r"Composite\w+:", entry)
        if re.search(r"^ +[\w, ]*\bMPS\b[\w, ]*:", entry, re.MULTILINE) or (
            everywhere and not delegate
        ):
            known.add(name)
    for entry in re.split(r"^- func: ", table.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        delegate = re.search(r"structured_delegate: (\S+)", entry)
        if delegate and delegate[1] in known:
            known.add(entry.split("(")[0])
    return known


# The CPU's own names for what every device has another kernel for.
ELSEWHERE = {
    "mkldnn_convolution": "convolution_overrideable",
    "_scaled_dot_product_flash_attention_for_cpu": "_scaled_dot_product_attention_math_for_mps",
    "_slow_conv2d_forward": "convolution_overrideable",
}


@torch.no_grad()
@pytest.mark.parametrize("halting", HALTING, ids=str)
def test_only_operations_that_mps_has(
    network: AdaFormer, lr: torch.Tensor, halting: Halting
) -> None:
    with Ops() as ops:
        network(lr, halting)
    assert "baddbmm" in ops.names
    assert not ops.doubles
    missing = {ELSEWHERE.get(name, name) for name in ops.names} - ops_on_mps()
    assert not missing


def test_the_table_knows_what_mps_lacks() -> None:
    known = ops_on_mps()
    assert {"mm", "index_select", "native_layer_norm", "cumsum"} <= known
    assert "_scaled_dot_product_flash_attention_for_cpu" not in known
    assert "linalg_eig" not in known


WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "repeat_interleave.Tensor", "_unique2")


@torch.no_grad()
@pytest.mark.parametrize("halting", HALTING, ids=str)
def test_a_layer_waits_for_the_device_once_at_most(
    network: AdaFormer, lr: torch.Tensor, halting: Halting, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = []
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: lists.append(1) or tolist(self))
    with Ops() as ops:
        list(network.attend([network.encode(network.extend(lr))], halting, chunk=1 << 14))
    assert not [name for name in ops.names if name.startswith(WAITS)]
    assert ops.masked == 0
    layers_that_halt = 0 if halting.eps is None else 5  # before the first nothing has halted
    assert len(lists) == layers_that_halt


@torch.no_grad()
@pytest.mark.parametrize("halting", HALTING[1:3], ids=str)
def test_bucketed_shapes_change_nothing(
    network: AdaFormer, lr: torch.Tensor, halting: Halting, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = network(lr, halting).image
    monkeypatch.setattr(
        sparse, "pack", lambda *masks, bucketed: pack(*masks, bucketed=not bucketed)
    )
    torch.testing.assert_close(network(lr, halting).image, plain, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_fused_attention_kernel_runs(lr: torch.Tensor, dtype: torch.dtype) -> None:
    """In every layer, over every window, and no attention is put together from parts."""
    network = AdaFormer(AdaFormerConfig(4)).eval().requires_grad_(requires_grad=False)
    network.lower_precision(dtype)
    with Ops() as ops:
        network(lr[..., :16, 20:44])
    assert ops.names.count("_scaled_dot_product_flash_attention_for_cpu") == 6
    assert not [name for name in ops.names if "attention_math" in name]


@torch.no_grad()
def test_a_block_of_which_no_window_is_live_asks_attention_about_none(
    network: AdaFormer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch 2.11 returns None for no windows at all, in bf16 on CUDA (seen on an H100)."""
    fused = torch.nn.functional.scaled_dot_product_attention

    def as_on_cuda(q: torch.Tensor, *args: object, **options: object) -> torch.Tensor | None:
        return fused(q, *args, **options) if len(q) else None

    strays = torch.rand(2, 64, 64, generator=torch.Generator().manual_seed(0))
    region = torch.zeros(2, dtype=torch.int64)
    given = strays, 0, torch.ones(2, 64, dtype=torch.bool), region, 1
    wanted = network.blocks[1](*given)
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", as_on_cuda)
    assert torch.equal(network.blocks[1](*given), wanted)
