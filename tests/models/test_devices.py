"""Demands of CUDA and MPS on the network, tested on the CPU."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torchgen
from torch.utils._python_dispatch import TorchDispatchMode

from srcli.inference.device_link import PlainLink, pack, unpack
from srcli.models import model_spec
from srcli.models.adaformer import AdaFormer, AdaFormerConfig
from srcli.models.layers import attention, indexing, lazy_qkv, sparse
from srcli.models.layers.attention import attend
from srcli.models.layers.category import CategoryAttention, PureSplit
from srcli.models.layers.packing import pack as pack_tokens
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
        self.integers_added = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.name().removeprefix("aten::")
        self.names.append(name)
        if "index" in name:
            chosen = [i for i in args[1] if i is not None] if isinstance(args[1], list) else []
            self.masked += any(i.dtype == torch.bool for i in chosen)
        if name.startswith(("index_add", "scatter_add")):
            self.integers_added += not args[0].is_floating_point()
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
    assert not ops.integers_added
    missing = {ELSEWHERE.get(name, name) for name in ops.names} - ops_on_mps()
    assert not missing


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("name", ["atd-light", "pp-atd-light", "camixer-atd-light"])
def test_only_operations_that_mps_has_in_the_quality_family(
    name: str, lr: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = model_spec(name).build(4).eval().requires_grad_(requires_grad=False)
    halting = Halting(None, skip_pure=True)
    built(lr, halting)  # what is kept for a size is made on the host
    plain = built(lr, halting).image
    monkeypatch.setattr(indexing, "_SLOW", ("cpu",))
    with Ops() as ops:
        other = built(lr, halting).image
    assert torch.equal(other, plain)
    assert "index_put_" in ops.names
    assert not [one for one in ops.names if one.startswith("index_copy")]
    centres = {
        "_to_copy",
        "mul.Tensor",
        "round",
        "square",
        "pow.Tensor_Scalar",
        "sum.dim_IntList",
        "div.Tensor",
    }
    assert ops.doubles <= centres  # of colour centres, on the host
    assert not {ELSEWHERE.get(one, one) for one in ops.names} - ops_on_mps()


@torch.no_grad()
@pytest.mark.parametrize("halting", HALTING[1:3], ids=str)
def test_rows_are_put_otherwise_where_that_is_faster(
    network: AdaFormer, lr: torch.Tensor, halting: Halting, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = network(lr, halting).image
    monkeypatch.setattr(indexing, "_SLOW", ("cpu",))
    with Ops() as ops:
        assert torch.equal(network(lr, halting).image, plain)
    assert not [name for name in ops.names if name.startswith("index_copy")]


def test_pixels_come_and_go_by_operations_that_mps_has() -> None:
    image = np.zeros((5, 7, 3), np.uint16)
    with Ops() as ops:
        pack(unpack(PlainLink(torch.device("cpu")).send(image)), image.dtype)
    assert not ops.doubles
    assert not set(ops.names) - ops_on_mps()


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
        sparse, "pack", lambda *masks, bucketed: pack_tokens(*masks, bucketed=not bucketed)
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


@torch.no_grad()
@pytest.mark.parametrize("shared", [1, 20])
@pytest.mark.parametrize("scale", [None, 1.0])
def test_padded_heads_and_parted_groups_change_nothing(
    scale: float | None, shared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 20, 4, 64, 12, generator=random).unbind(0)  # heads of 12 channels
    bias = torch.randn(shared, 4, 64, 64, generator=random)
    plain = attend(q, k, v, bias=bias, scale=scale)
    monkeypatch.setattr(attention, "_MOST_GROUPS", 7)
    parted = attend(q, k, v, bias=bias, scale=scale)
    torch.testing.assert_close(parted, plain, atol=1e-6, rtol=0)
    monkeypatch.setattr(attention, "head_multiple", lambda like: 8)
    with Ops() as ops:
        padded = attend(q, k, v, bias=bias, scale=scale)
    torch.testing.assert_close(padded, plain, atol=1e-5, rtol=0)
    assert padded.shape == q.shape
    assert ops.names.count("constant_pad_nd") == 3 * 3  # of three parts, each three tensors


class Elsewhere:
    """As much of a tensor as `head_multiple` asks for."""

    def __init__(self, kind: str, dtype: torch.dtype) -> None:
        self.device, self.dtype = torch.device(kind), dtype


@pytest.mark.parametrize(
    ("kind", "dtype", "multiple"),
    [
        ("cuda", torch.bfloat16, 8), ("cuda", torch.float16, 8), ("cuda", torch.float32, 1),
        ("cpu", torch.bfloat16, 1), ("mps", torch.float16, 1),
    ],
)  # fmt: skip
def test_heads_are_padded_for_fused_kernels_of_cuda(
    kind: str, dtype: torch.dtype, multiple: int
) -> None:
    assert attention.head_multiple.__wrapped__(Elsewhere(kind, dtype)) == multiple


@torch.no_grad()
@pytest.mark.parametrize("share", [None, 0.3])
def test_category_attention_does_not_go_image_by_image(share: float | None) -> None:
    random = torch.Generator().manual_seed(0)
    layer = CategoryAttention(dim=12, heads=3, group=16)

    def operations(batch: int) -> int:
        tokens = torch.randn(batch, 70, 12, generator=random)
        similarity = torch.rand(batch, 70, 6, generator=random)
        qkv = lazy_qkv.LazyQKV.of(tokens, torch.nn.Linear(12, 36))
        mask = torch.rand(batch, 70, generator=random) < (share or 0)
        exempt = None if share is None else PureSplit.where(mask)
        with Ops() as ops:
            layer(qkv, similarity, exempt)
        return len(ops.names)

    assert operations(3) == operations(9)


@torch.no_grad()
@pytest.mark.parametrize("rule", ["freeze", "pass"])
@pytest.mark.parametrize("halting", HALTING[1:], ids=str)
def test_computed_and_masked_is_what_is_packed_and_waits_for_nothing(
    rule: str, halting: Halting, network: AdaFormer, lr: torch.Tensor, monkeypatch
) -> None:
    built = AdaFormer(AdaFormerConfig(4, halted=rule)).eval().requires_grad_(requires_grad=False)
    built.load_state_dict(network.state_dict())
    packed = built(lr, halting)
    features = built.encode(built.extend(lr)).split(32, 2)
    monkeypatch.setattr(sparse, "masked_up_to", lambda device: 10_000)
    calls = []
    with monkeypatch.context() as patch, Ops() as ops:
        patch.setattr(torch.Tensor, "tolist", lambda self: calls.append(1))
        masked = built(lr, halting)
    assert not calls
    assert not [name for name in ops.names if name.startswith(WAITS)]
    assert not {ELSEWHERE.get(name, name) for name in ops.names} - ops_on_mps()
    torch.testing.assert_close(masked.image, packed.image, atol=2e-5, rtol=0)
    for one, other in zip(masked.layers, packed.layers, strict=True):
        assert torch.equal(one.local_mask, other.local_mask)
        assert torch.equal(one.global_mask, other.global_mask)
        if other.confidence_map is not None:
            torch.testing.assert_close(one.confidence_map, other.confidence_map, atol=1e-4, rtol=0)
    assert packed.layers[-1].global_mask.any()
    whole = torch.cat([band.features for band in built.attend(features, halting)], 2)
    once = next(iter(built.attend([torch.cat(features, 2)], halting))).features
    torch.testing.assert_close(whole, once, atol=2e-5, rtol=0)


def test_small_bands_on_large_cards_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    card = type("Card", (), {"multi_processor_count": 132})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    cuda = torch.device("cuda")
    assert 341 * 512 // 64 < sparse.masked_up_to(cuda) < 20_000
    card.multi_processor_count = 28
    assert sparse.masked_up_to(cuda) < 341 * 512 // 64
    assert sparse.masked_up_to(torch.device("cpu")) == sparse.masked_up_to(torch.device("mps")) == 0
