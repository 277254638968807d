"""Exact tiling gives what the whole image gives, at any size and with any masks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srcli import Upscaler
from srcli.errors import OutOfMemory
from srcli.geometry import TileGrid
from srcli.inference import exact_tiling, tile_planner
from srcli.inference.exact_tiling import exact_parts
from srcli.models.adaformer import AdaFormer, AdaFormerConfig
from srcli.models.spec import EXACT, Halting, LayerTrace
from srcli.weights import best_scale
from srcli.weights.load import read_weights


def join_traces(bands: list[tuple[LayerTrace, ...]]) -> tuple[LayerTrace, ...]:
    """The traces of a whole image from those of its bands, top to bottom."""

    def join(parts: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat([part.cpu() for part in parts], 2)

    return tuple(
        LayerTrace(
            confidence_map=None
            if layers[0].confidence_map is None
            else join(
                [layer.confidence_map for layer in layers if layer.confidence_map is not None]
            ),
            local_mask=join([layer.local_mask for layer in layers]),
            global_mask=join([layer.global_mask for layer in layers]),
        )
        for layers in zip(*bands, strict=True)
    )


def learned() -> AdaFormer:
    network = AdaFormer(AdaFormerConfig(4)).eval()
    network.load_state_dict(read_weights(best_scale("adaformer", 4)))
    return network


def adversarial(region: int, halted: str = "freeze") -> AdaFormer:
    """Masks like noise: every layer halts tokens all over the image, strays in most windows."""
    config = AdaFormerConfig(
        2, channels=16, dim=16, residual_blocks=2, layers=4, heads=2, prototypes=3,
        confidence_channels=4, region=region, halted=halted,
    )  # fmt: skip
    network = AdaFormer(config).eval()
    generator = torch.Generator().manual_seed(region)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
        for conv in (network.confidence.conv1, network.confidence.conv2):
            conv.weight.sub_(conv.weight.mean((2, 3), keepdim=True)).mul_(20.0)
        network.confidence.conv1.bias.zero_()
        network.confidence.conv2.bias.fill_(-1.0)
    return network


@torch.inference_mode()
def tiled(
    network: AdaFormer, lr: torch.Tensor, tile: int, halting: Halting
) -> tuple[torch.Tensor, tuple[LayerTrace, ...]]:
    """All parts put together, and the traces of all bands."""
    height, width = lr.shape[2:]
    grid = TileGrid.plan(height, width, tile, alignment=network.band, overlap=0)
    image = torch.full((3, height * network.scale, width * network.scale), float("nan"))
    bands: list[tuple[LayerTrace, ...]] = []
    parts = list(exact_parts(network, lr, grid, halting, bands.append))
    assert len(parts) == len(grid)
    for part in parts:
        rows = slice(part.top, part.top + part.image.shape[1])
        columns = slice(part.left, part.left + part.image.shape[2])
        assert image[:, rows, columns].isnan().all()  # no px twice
        image[:, rows, columns] = part.image
    return image[None], join_traces(bands)


@torch.inference_mode()
def assert_exact(network: AdaFormer, lr: torch.Tensor, tile: int, halting: Halting) -> list[float]:
    """Compare with the whole image, and with the plain reference, in image and masks."""
    image, layers = tiled(network, lr, tile, halting)
    network_itself = network(lr, halting)
    for whole in (network_itself, network.reference(lr, halting)):
        torch.testing.assert_close(image, whole.image, atol=1e-4, rtol=0)
        for mine, its in zip(layers, whole.layers, strict=True):
            assert torch.equal(mine.local_mask, its.local_mask)
            assert torch.equal(mine.global_mask, its.global_mask)
    for mine, its in zip(layers, network_itself.layers, strict=True):
        if halting.observe:
            torch.testing.assert_close(mine.confidence_map, its.confidence_map, atol=1e-4, rtol=0)
    return [layer.live_windows for layer in layers]


@torch.inference_mode()
def clear_halting(network: AdaFormer, lr: torch.Tensor, start: float) -> Halting:
    """An ε near `start` at which no score lies so near to 1 - ε that rounding decides.

    Whole and tiles add up in different order: what differs in the seventh digit can fall on
    either side of a threshold, and then a window is computed here and not there.
    """
    side = network.config.window
    for step in range(50):
        halting = Halting(start + 0.003 * step, observe=True)
        score = torch.zeros(1)
        margins: list[float] = []
        for layer in network(lr, halting).layers[:-1]:
            assert layer.confidence_map is not None
            score = score + layer.confidence_map
            means = torch.nn.functional.avg_pool2d(score, side)
            margins += [float((x - halting.threshold).abs().min()) for x in (score, means)]
        if min(margins) > 1e-5:
            return halting
    raise AssertionError("every threshold is met by some score")


any_adversary = given(
    st.integers(1, 120), st.integers(1, 120), st.integers(1, 130), st.integers(1, 3), st.booleans(),
    st.sampled_from(["freeze", "pass"]),
)  # fmt: skip


@settings(max_examples=10)
@any_adversary
def test_adversarial_masks(
    height: int, width: int, tile: int, region: int, thin: bool, halted: str
) -> None:
    assert_adversary_exact(height, width, tile, region, thin, halted)


@pytest.mark.slow
@settings(max_examples=80)
@any_adversary
def test_many_adversarial_masks(
    height: int, width: int, tile: int, region: int, thin: bool, halted: str
) -> None:
    assert_adversary_exact(height, width, tile, region, thin, halted)


def assert_adversary_exact(
    height: int, width: int, tile: int, region: int, thin: bool, halted: str
) -> None:
    network = adversarial(region, halted)
    lr = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height * width))
    with pytest.MonkeyPatch.context() as patch:
        if thin:
            patch.setattr(exact_tiling, "_BAND", 1)  # bands of one region, however narrow
        assert_exact(network, lr, max(tile, network.band), clear_halting(network, lr, 0.05))


@pytest.mark.slow
@settings(max_examples=4)
@given(st.integers(30, 80), st.integers(30, 80), st.integers(32, 64))
def test_learned_masks(height: int, width: int, tile: int) -> None:
    lr = _photo(height, width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_tiling, "_BAND", 1)
        network = learned()
        assert_exact(network, lr, tile, clear_halting(network, lr, 0.6))


@pytest.mark.slow
def test_masks_of_both_kinds_were_in_play() -> None:
    """The comparisons above mean something: halting starts, continues, and is not all there is."""
    lr = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    for network, image, eps in ((adversarial(2), lr, 0.05), (learned(), _photo(96, 96), 0.6)):
        shares = assert_exact(network, image, 32, clear_halting(network, image, eps))
        assert 1 == shares[0] > shares[-1]
        assert any(0.05 < share < 0.95 for share in shares)


def test_exact_effort(photo: np.ndarray) -> None:
    lr = torch.from_numpy(np.tile(photo, (2, 2, 1))).permute(2, 0, 1)[None].float() / 255
    assert assert_exact(learned(), lr, 32, EXACT) == [1.0] * 6


def _photo(height: int, width: int) -> torch.Tensor:
    """Something with flat, smooth and busy parts, (1, 3, height, width)."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    smooth = torch.stack([x * 2, y * 2, x + y]).float()
    noise = torch.rand(3, height, width, generator=torch.Generator().manual_seed(1)) * 255
    busy = ((x // 24 + y // 24) % 3 == 0).float()
    return ((smooth * (1 - busy) + noise * busy) / 255)[None]


@pytest.fixture
def upscaler() -> Upscaler:
    return Upscaler("adaformer-s", device="cpu", precision="fp32")


@pytest.fixture
def large(photo: np.ndarray) -> np.ndarray:
    return np.tile(photo, (3, 3, 1))  # 120×168


class Cramped:
    """Stands in for a part of a network on a device with little memory."""

    def __init__(self, compute, pixels: int) -> None:
        self.compute = compute
        self.pixels = pixels
        self.seen: list[int] = []

    def __call__(self, lr: torch.Tensor) -> torch.Tensor:
        self.seen.append(lr.shape[2] * lr.shape[3])
        if self.seen[-1] > self.pixels:
            raise torch.OutOfMemoryError("out of memory")
        return self.compute(lr)


def test_out_of_memory_begins_again_with_smaller_tiles(
    upscaler: Upscaler, large: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = next(tile_planner.TilePlanner(upscaler.network, None).attempts(*large.shape[:2]))
    monkeypatch.setattr(tile_planner, "free_memory", lambda device: 3 * planned.needs)
    whole = upscaler.upscale(large)
    assert (whole.report.restarts, whole.report.tiles) == (0, 1)
    network = upscaler.network.module
    cramped = Cramped(network.encode, 110 * 110)
    monkeypatch.setattr(network, "encode", cramped)
    parted = upscaler.upscale(large)
    assert parted.report.exact
    assert parted.report.restarts >= 1
    assert np.array_equal(parted.image, whole.image)
    cramped.seen.clear()
    assert upscaler.upscale(large).report.restarts == 0  # it has learned
    assert max(cramped.seen) <= 110 * 110


def test_out_of_memory_with_the_smallest_tiles_fails(
    upscaler: Upscaler, large: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(upscaler.network.module, "encode", never)
    monkeypatch.setattr(upscaler.network.module, "forward", never)
    with pytest.raises(OutOfMemory, match="168x120 takes more memory than is free on cpu, even"):
        upscaler.upscale(large)


@pytest.mark.slow
def test_little_memory_means_blended_tiles(
    upscaler: Upscaler, large: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = upscaler.upscale(large)
    assert whole.report.exact
    monkeypatch.setattr(tile_planner, "free_memory", lambda device: 12_000_000)
    blended = upscaler.upscale(large)
    assert not blended.report.exact
    assert blended.report.tiles > 1
    assert 0 < np.abs(blended.image.astype(int) - whole.image).max() <= 8
    assert np.abs(blended.image.astype(int) - whole.image).mean() <= 0.05


class Overflowing:
    """Gives infinity once, far down the image."""

    def __init__(self, decode) -> None:
        self.decode = decode
        self.calls = 0

    def __call__(self, features: torch.Tensor, lr: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        image = self.decode(features, lr)
        return image if self.calls < 3 else image * float("inf")


def test_what_overflows_is_computed_again_in_fp32(
    upscaler: Upscaler, large: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = large[:80, :80]
    low = Upscaler("adaformer-s", device="cpu", precision="bf16", tile=64)
    network = low.network.module
    monkeypatch.setattr(network, "decode", Overflowing(network.decode))
    seen: list[tuple[int, int]] = []
    upscaled = low.upscale(large, on_tile=lambda *count: seen.append(count))
    assert np.array_equal(upscaled.image, upscaler(large))
    assert upscaled.report.reruns == 1
    assert upscaled.report.tiles == 2 + 4
    assert [done for done, _ in seen] == list(range(1, 7))
    assert (seen[0][1], seen[-1][1]) == (4, 6)
