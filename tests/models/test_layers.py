"""The layers' fast ways against plain ones."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel

from srcli.models.layers import whole_regions
from srcli.models.layers.attention import LocalAttention, PrototypeAttention
from srcli.models.layers.confidence import ConfidenceEstimator
from srcli.models.layers.packing import _bucket, all_active, pack
from srcli.models.layers.tsab import TSAB
from srcli.models.layers.windows import Regions, WindowGrid, extend_by_reflection

sides = st.integers(1, 20)


@given(sides, sides)
def test_reflection_equals_numpy(height: int, width: int) -> None:
    image = torch.rand(1, 2, height, width)
    extended = extend_by_reflection(image, 8)
    pad = [(0, 0), (0, 0), (0, -height % 8), (0, -width % 8)]
    assert np.array_equal(extended.numpy(), np.pad(image.numpy(), pad, mode="reflect"))


@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5))
def test_windows_come_back(batch: int, rows: int, columns: int) -> None:
    features = torch.rand(batch, 3, rows * 4, columns * 4)
    grid = WindowGrid.of(features, 4)
    windows = grid.split(features)
    assert windows.shape == (grid.count, 16, 3)
    assert torch.equal(windows[0], features[0, :, :4, :4].flatten(1).T)
    assert torch.equal(grid.merge(windows), features)


@given(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9), st.integers(0, 4))
def test_regions_are_aligned_blocks(batch: int, rows: int, columns: int, side: int) -> None:
    regions = WindowGrid(batch, rows, columns, 8).regions(side, torch.device("cpu"))
    seen = {}
    for index, number in enumerate(regions.of_window.tolist()):
        image, row, column = (
            index // (rows * columns),
            index // columns % rows,
            index % columns,
        )
        block = (image, row // side, column // side) if side else (image,)
        assert seen.setdefault(number, block) == block
    assert len(set(seen.values())) == len(seen) == regions.count
    in_order = list(
        zip(regions.of_window[regions.order].tolist(), regions.order.tolist(), strict=True)
    )
    assert in_order == sorted(in_order)


@torch.no_grad()
def test_local_attention_equals_plain() -> None:
    layer = LocalAttention(16, 4, 8)
    windows = torch.randn(5, 64, 16)
    torch.testing.assert_close(layer(windows), layer.reference(windows), atol=1e-6, rtol=0)


@torch.no_grad()
def test_local_attention_takes_the_fused_kernel() -> None:
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # raises where the kernel refuses
        LocalAttention(16, 4, 8)(torch.randn(5, 64, 16))


@torch.no_grad()
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_prototype_attention_equals_plain(share: float) -> None:
    layer = PrototypeAttention(16, 4, 3)
    blocks, live = torch.randn(7, 10, 16) * 3, torch.rand(7, 10) < share
    region = torch.tensor([0, 1, 0, 2, 2, 2, 0])
    mixed = layer(blocks, live, region, 4)  # region 3 has no tokens at all
    for r in range(3):
        mine = region == r
        plain = layer.reference(blocks[mine].flatten(0, 1)[None], live[mine].flatten()[None])
        torch.testing.assert_close(mixed[mine].flatten(0, 1)[None], plain, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("multiple", [1, 8])
@pytest.mark.parametrize("rule", ["freeze", "pass"])
@pytest.mark.parametrize("projected", [True, False])
@pytest.mark.parametrize("shared_query", [True, False])
def test_whole_regions_by_fused_attention_are_the_reference(
    multiple: int, rule: str, projected: bool, shared_query: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_regions, "head_multiple", lambda like: multiple)
    block = TSAB(
        dim=12, heads=2, window=2, prototypes=3, ratio=2, halted=rule, projected=projected,
        shared_query=shared_query,
    )  # fmt: skip
    tokens = torch.randn(12, 4, 12)
    local, shared = torch.rand(12) < 0.5, torch.rand(12, 4) < 0.5
    shared[8:] = True  # all of a region
    region = torch.arange(3).repeat_interleave(4)
    plain = block.reference(tokens, local, shared, region, 3)
    low = whole_regions.out_of_sight(tokens.dtype)
    bias = (shared * low).view(3, 1, 1, -1)
    for _ in range(2):
        found = block.forward_whole(tokens, 3, bias, (local, shared))
        torch.testing.assert_close(found, plain, atol=1e-5, rtol=0)
        block.prepare()
    none = torch.zeros_like(local), torch.zeros_like(shared)
    plain = block.reference(tokens, *none, region, 3)
    torch.testing.assert_close(block.forward_whole(tokens, 3, None, None), plain, atol=1e-5, rtol=0)


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_whole_regions_hold_every_window_once(
    batch: int, rows: int, columns: int, side: int
) -> None:
    regions = WindowGrid(batch, rows, columns, 8).regions(side, torch.device("cpu"))
    whole = regions.whole
    assert whole is not None
    assert len(whole.windows) == regions.count * side * side
    assert torch.equal(whole.windows[whole.places], torch.arange(batch * rows * columns))
    of_place = torch.arange(regions.count).repeat_interleave(whole.size)
    assert torch.equal(of_place[whole.places], regions.of_window)
    real = torch.zeros(len(whole.windows), dtype=torch.bool)
    real[whole.places] = True
    filler = torch.zeros_like(real) if whole.filler is None else whole.filler
    assert torch.equal(filler, ~real)


@torch.no_grad()
@given(st.integers(1, 4), st.integers(1, 4), st.randoms(use_true_random=False))
def test_confidence_on_windows_equals_dense(rows: int, columns: int, random) -> None:
    grid = WindowGrid(2, rows, columns, 8)
    tokens = torch.randn(2, 6, rows * 8, columns * 8)
    estimator = ConfidenceEstimator(6, 4)
    chosen = torch.tensor(sorted(random.sample(range(grid.count), random.randint(1, grid.count))))
    dense = grid.split(estimator(tokens)).squeeze(2)
    fast = estimator.on_windows(grid.split(tokens), grid, chosen)
    torch.testing.assert_close(fast, dense[chosen], atol=1e-6, rtol=0)


@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 2**31))
def test_packing_loses_and_doubles_nothing(windows: int, regions: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    local = torch.rand(windows, generator=g) < 0.6
    glob = torch.rand(windows, 4, generator=g) < 0.5
    region = torch.randint(0, regions, (windows,), generator=g)
    grouped = Regions.of(region, regions)
    tokens = torch.arange(windows * 4.0).view(windows, 4, 1) + 1
    computed = ~(local[:, None] & glob)
    for bucketed in (False, True):
        active = pack(local, glob, grouped, bucketed=bucketed)
        blocks = active.gather(tokens)
        assert len(active.region) == len(blocks)
        assert sorted(blocks[blocks > 0].tolist()) == tokens[..., 0][computed].tolist()
        global_active = blocks[..., 0][active.global_active]
        assert sorted(global_active.tolist()) == tokens[..., 0][~glob].tolist()
        with_work = region[computed.any(1)].unique()
        assert active.regions == len(with_work)
        home = torch.searchsorted(with_work, region[(global_active.long() - 1) // 4])
        assert torch.equal(home, active.region[:, None].expand(-1, 4)[active.global_active])
        assert sorted(active.touched.tolist()) == computed.any(1).nonzero().flatten().tolist()
        back = tokens.clone()
        active.scatter(-blocks, back)
        assert torch.equal(back < 0, computed[..., None])
        assert torch.equal(back.abs(), tokens)


@given(st.integers(0, 12), st.integers(1, 4), st.integers(1, 9), st.integers(0, 2**31))
def test_pieces_are_the_whole(windows: int, regions: int, limit: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    region = torch.randint(0, regions, (windows,), generator=g)
    grouped = Regions.of(region, regions)
    masks = torch.rand(windows, generator=g) < 0.5, torch.rand(windows, 4, generator=g) < 0.5
    tokens = torch.arange(windows * 4.0).view(windows, 4, 1) + 1
    for active in (pack(*masks, grouped), all_active(grouped)):
        expected, parted = tokens.clone(), tokens.clone()
        active.scatter(-active.gather(tokens), expected)
        for chunk in active.chunks(limit):
            blocks = chunk.gather(tokens)
            assert len(chunk.region.unique()) == 1 or len(blocks) <= limit
            assert 0 <= chunk.region.min() <= chunk.region.max() < chunk.regions
            chunk.scatter(-blocks, parted)
            if chunk.global_active is not None:
                assert blocks[chunk.global_active].all()
        assert torch.equal(parted, expected)
        assert sum(len(chunk.region) for chunk in active.chunks(limit)) == len(active.region)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 15, 16, 17, 100, 1000, 4097])
def test_buckets_are_few_and_tight(count: int) -> None:
    assert count <= _bucket(count) <= count * 1.125 + 1
    assert len({_bucket(n) for n in range(count)}) <= 8 * max(count, 1).bit_length()
