"""Flat blocks: copied, not computed, and no one can tell."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from srcli import Upscaler
from srcli.geometry import TileGrid
from srcli.inference import flat_blocks, run_tiles
from srcli.inference.exact_tiling import exact_parts
from srcli.inference.flat_blocks import BLOCK, FlatBlocks, find_flat_blocks
from srcli.inference.flat_border import restore_flat_border
from srcli.inference.live_rectangles import live_rectangles
from srcli.models import model_spec
from srcli.models.adaformer import AdaFormer
from srcli.models.adaformer_published import SPEC as PUBLISHED
from srcli.models.spec import Halting
from srcli.weights import best_scale
from srcli.weights.load import read_weights

_LEVEL = 1 / 255
_ROUNDING = 1e-4  # of the same sums in another order, as between exact tiles


def learned(name: str) -> AdaFormer:
    network = model_spec(name).build(4).eval()
    assert isinstance(network, AdaFormer)
    network.load_state_dict(read_weights(best_scale(name, 4)))
    return network


def page(height: int, width: int, paper: str = "white", ink: str = "black") -> torch.Tensor:
    """Some lines of text in the middle of a page, (1, 3, h, w)."""
    image = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(11)
    for y in range(height // 3, 2 * height // 3, 13):
        draw.text((width // 3, y), "Quartz vow", fill=ink, font=font)
    return as_lr(image)


def film(height: int, width: int) -> torch.Tensor:
    """Noise between two black bars."""
    lr = torch.zeros(1, 3, height, width)
    bar = height // 3
    middle = height - 2 * bar
    lr[..., bar : height - bar, :] = torch.rand(3, middle, width, generator=torch.manual_seed(1))
    return lr


def as_lr(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image) / np.float32(255)).permute(2, 0, 1)[None]


@torch.inference_mode()
def run(network: AdaFormer, lr: torch.Tensor, halting: Halting, tile: int = 0) -> torch.Tensor:
    """The path with flat blocks copied, (3, H, W), its border restored as the upscaler does."""
    flat = find_flat_blocks(network, network.extend(lr), halting, lambda _: None)
    assert flat is not None
    return joined(network, lr, halting, tile, flat)


@torch.inference_mode()
def plain(network: AdaFormer, lr: torch.Tensor, halting: Halting) -> torch.Tensor:
    """The path that computes everything."""
    return joined(network, lr, halting, 0, None)


def joined(
    network: AdaFormer, lr: torch.Tensor, halting: Halting, tile: int, flat: FlatBlocks | None
) -> torch.Tensor:
    height, width = lr.shape[2:]
    grid = TileGrid.plan(height, width, tile, alignment=network.band, overlap=0)
    image = torch.full((3, height * network.scale, width * network.scale), float("nan"))
    for part in exact_parts(network, lr, grid, halting, lambda _: None, flat):
        rows = slice(part.top, part.top + part.image.shape[1])
        columns = slice(part.left, part.left + part.image.shape[2])
        assert image[:, rows, columns].isnan().all()
        image[:, rows, columns] = part.image
    return restore_flat_border(image, lr[0], 0, 0, network.scale)


def flat_pixels(network: AdaFormer, lr: torch.Tensor, halting: Halting) -> torch.Tensor:
    """Where the result (H, W) was copied."""
    with torch.inference_mode():
        flat = find_flat_blocks(network, network.extend(lr), halting, lambda _: None)
    assert flat is not None
    side = BLOCK * network.scale
    mask = (flat.numbers >= 0).repeat_interleave(side, 0).repeat_interleave(side, 1)
    return mask[: lr.shape[2] * network.scale, : lr.shape[3] * network.scale]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "effort"),
    [("adaformer", "balanced"), ("adaformer-s", "balanced"), ("adaformer-s", "fast")],
)
@pytest.mark.parametrize("lr", [page(149, 171), film(168, 117)], ids=["page", "film"])
def test_copied_blocks_are_what_the_network_computes(
    name: str, effort: str, lr: torch.Tensor
) -> None:
    network, halting = learned(name), model_spec(name).efforts[effort]
    with_copies, computed = run(network, lr, halting), plain(network, lr, halting)
    copied = flat_pixels(network, lr, halting)
    assert copied.float().mean() > 0.1
    difference = (with_copies - computed).abs().amax(0)
    assert difference[copied].max() <= 0.5 * _LEVEL
    assert difference[~copied].max() <= _ROUNDING


@pytest.mark.slow
@pytest.mark.parametrize("paper", ["#f5f0e0", "#101010", "red", "#61e035", "#73a6eb"])
def test_no_step_shows_at_the_seam_whatever_the_colour(paper: str) -> None:
    network = learned("adaformer-s")
    halting = model_spec("adaformer-s").efforts["balanced"]
    lr = page(144, 168, paper, "black" if paper != "#101010" else "white")
    with_copies, computed = run(network, lr, halting), plain(network, lr, halting)
    assert (with_copies - computed).abs().max() <= 0.5 * _LEVEL
    # A step of brightness from one px to the next across a seam, beside what is there anyhow.
    for axis in (1, 2):
        added = with_copies.diff(dim=axis).abs() - computed.diff(dim=axis).abs()
        assert added.max() <= 0.5 * _LEVEL


@pytest.mark.parametrize("tile", [32, 64, 96])
def test_tiles_of_all_sizes_give_the_same(tile: int) -> None:
    network = learned("adaformer-s")
    halting = model_spec("adaformer-s").efforts["balanced"]
    lr = page(155, 163)
    whole = run(network, lr, halting)
    torch.testing.assert_close(run(network, lr, halting, tile), whole, atol=_ROUNDING, rtol=0)


@torch.inference_mode()
def feature_error(network: AdaFormer, lr: torch.Tensor) -> float:
    """Largest distance of copied features from the encoder's, as a share of the largest feature."""
    lr = network.extend(lr)
    flat = find_flat_blocks(network, lr, Halting(0.05), lambda _: None)
    assert flat is not None
    copied = (flat.numbers >= 0).repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
    copied = copied[: lr.shape[2], : lr.shape[3]]
    assert copied[0, 0]
    assert copied[-1, -1]
    features = flat.encoded((0, lr.shape[2]), (0, lr.shape[3]))
    encoded = network.encode(lr)
    difference = (features - encoded)[0].abs().amax(0)
    return float(difference[copied].max() / encoded.abs().max())


def test_features_of_flat_blocks_are_the_encoders_even_at_the_border(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = learned("adaformer")
    lr = torch.full((1, 3, 149, 171), 0.5)
    lr[..., 60:96, 50:96] = torch.rand(3, 36, 46, generator=torch.manual_seed(1))
    assert feature_error(network, lr) <= 2e-6
    monkeypatch.setattr(flat_blocks, "_around", lambda _: 0)
    assert feature_error(network, lr) > 2e-5


def test_one_live_pixel_is_computed_with_all_that_it_reaches() -> None:
    network = learned("adaformer")
    halting = model_spec("adaformer").efforts["balanced"]
    lr = torch.full((1, 3, 160, 160), 0.5)
    lr[0, :, 77, 85] = 1.0
    with_copies, computed = run(network, lr, halting), plain(network, lr, halting)
    copied = flat_pixels(network, lr, halting)
    reach = 17 * network.scale
    assert not copied[77 * 4 - reach : 78 * 4 + reach, 85 * 4 - reach : 86 * 4 + reach].any()
    assert copied[: 77 * 4 - reach - 32].all()
    assert (with_copies - computed).abs().max() <= 0.5 * _LEVEL
    assert (with_copies - computed).abs()[:, ~copied].max() <= _ROUNDING


def test_without_a_look_at_regions_it_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    network = learned("adaformer-s")
    halting = model_spec("adaformer-s").efforts["fast"]
    lr = torch.tensor([97, 224, 53]).view(1, 3, 1, 1).expand(1, 3, 165, 166) / 255
    lr = lr.contiguous()
    lr[..., 70:101, 40:76] = torch.rand(3, 31, 36, generator=torch.manual_seed(1))
    computed = plain(network, lr, halting)
    assert (run(network, lr, halting) - computed).abs().max() <= 0.5 * _LEVEL
    find = flat_blocks._common_colours
    monkeypatch.setattr(flat_blocks, "_common_colours", lambda lr, n, _: find(lr, n, BLOCK))
    assert (run(network, lr, halting) - computed).abs().max() > _LEVEL


def test_two_colours_each_get_their_own() -> None:
    network = learned("adaformer-s")
    halting = model_spec("adaformer-s").efforts["balanced"]
    lr = torch.zeros(1, 3, 130, 260)
    lr[..., 131:] = torch.tensor([0.9, 0.5, 0.2]).view(3, 1, 1)
    with_copies, computed = run(network, lr, halting), plain(network, lr, halting)
    copied = flat_pixels(network, lr, halting)
    assert copied[:, :320].all()
    assert copied[:, -320:].all()
    assert (with_copies - computed).abs().max() <= 0.5 * _LEVEL


def test_small_or_noisy_images_have_no_flat_blocks() -> None:
    network = learned("adaformer-s")
    noisy = page(160, 160) + 0.01 * torch.rand(1, 3, 160, 160, generator=torch.manual_seed(2))
    gradient = torch.linspace(0, 1, 160).expand(1, 3, 160, 160)
    for lr in (torch.ones(1, 3, 8, 8), torch.ones(1, 3, 40, 40), noisy, gradient):
        with torch.inference_mode():
            assert find_flat_blocks(network, lr, Halting(0.05), lambda _: None) is None


def test_a_network_whose_bands_are_no_whole_blocks_computes_all() -> None:
    network = learned("adaformer-s")
    network.band = 12
    assert find_flat_blocks(network, torch.ones(1, 3, 96, 96), Halting(0.05), print) is None


def test_a_colour_that_the_network_does_not_keep_is_computed() -> None:
    network = learned("adaformer-s")
    green = torch.zeros(1, 3, 128, 128)
    green[:, 1] = 1  # comes out 1.6 levels off
    torch.manual_seed(3)
    published = PUBLISHED.build(2).eval()  # untrained
    assert isinstance(published, AdaFormer)
    with torch.inference_mode():
        assert find_flat_blocks(network, green, Halting(0.05), lambda _: None) is None
        assert find_flat_blocks(published, page(192, 240), Halting(0.05), lambda _: None) is None


def without(upscale: Callable[[], np.ndarray], monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Upscale with nothing taken for flat."""
    with monkeypatch.context() as patch:
        patch.setattr(run_tiles, "find_flat_blocks", lambda *_: None)
        return upscale()


@pytest.mark.parametrize("kind", ["rgb", "grey", "alpha", "16 bit", "flat"])
def test_every_kind_of_image_differs_by_a_level_at_most(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upscaler = Upscaler("adaformer-s")
    pixels = (page(150, 170)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    if kind == "grey":
        pixels = pixels[..., :1]
    elif kind == "alpha":
        pixels = np.dstack([pixels, 255 - pixels[..., 0]])
    elif kind == "16 bit":
        pixels = pixels.astype(np.uint16) * 257
    elif kind == "flat":
        pixels = np.full((131, 147, 3), 200, np.uint8)
    result = upscaler(pixels).astype(int)
    computed = without(lambda: upscaler(pixels), monkeypatch).astype(int)
    assert np.abs(result - computed).max() <= (257 if kind == "16 bit" else 1)
    assert result.shape == (pixels.shape[0] * 4, pixels.shape[1] * 4, pixels.shape[2])


@pytest.mark.parametrize("effort", ["exact", 0.0])
def test_exact_computes_everything(effort: str | float, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.full((96, 96, 3), 200, np.uint8)
    pixels[40:50, 40:50] = 10
    upscaler = Upscaler("adaformer-s", effort=effort)

    def fail(*_: object) -> None:
        raise AssertionError("looked for flat blocks")

    expected = upscaler(pixels)
    monkeypatch.setattr(run_tiles, "find_flat_blocks", fail)
    assert np.array_equal(upscaler(pixels), expected)


def test_a_network_that_may_change_colours_computes_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upscaler = Upscaler("adaformer-s")
    upscaler.network.spec = replace(upscaler.network.spec, keeps_colours=False)
    monkeypatch.setattr(run_tiles, "find_flat_blocks", None)  # not to be called
    upscaler(np.full((96, 96, 3), 200, np.uint8))


def test_progress_reaches_the_end_and_no_further() -> None:
    pixels = (page(150, 170)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    shares: list[float] = []
    Upscaler("adaformer-s", tile=64).upscale(pixels, on_progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1, abs=0.05)
    assert sum(share == 1 for share in shares) <= len(shares) // 5  # not there long before the end


@pytest.mark.slow
def test_maps_and_counts_are_those_of_the_run() -> None:
    pixels = (page(150, 170)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    upscaler = Upscaler("adaformer-s")
    explained, run = upscaler.explain(pixels), upscaler.upscale(pixels)
    assert np.array_equal(explained.image, run.image)
    assert explained.report.live_windows == run.report.live_windows
    # Windows of two sizes of 8 px: the maps say what the layers computed.
    for layer, share in zip(explained.layers, run.report.live_windows, strict=True):
        assert 1 - layer.halted_windows == pytest.approx(share)
    exact = Upscaler("adaformer-s", effort="exact").explain(pixels)
    assert explained.flops < 0.9 * exact.flops


def test_rectangles_cover_what_is_live_once() -> None:
    random = np.random.default_rng(4)
    for _ in range(50):
        live = random.random((random.integers(1, 12), random.integers(1, 12))) < 0.2
        seen = np.zeros(live.shape, int)
        for one in live_rectangles(live, 0.5, 0.5):
            seen[one.top : one.bottom, one.left : one.right] += 1
        assert seen.max(initial=0) <= 1
        assert (seen[live] == 1).all()


def test_rectangles_are_cut_where_that_pays() -> None:
    live = np.zeros((40, 40), bool)
    live[2:6, 3:30] = live[30:38, 3:10] = True
    assert {(r.top, r.bottom, r.left, r.right) for r in live_rectangles(live, 2, 16)} == {
        (2, 6, 3, 30),
        (30, 38, 3, 10),
    }
    assert len(live_rectangles(live, 100, 16)) == 1
    assert live_rectangles(np.zeros((3, 3), bool), 2, 16) == []
