"""Short ways: smooth windows computed by one convolution, everything else as before."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from srcli.geometry import TileGrid
from srcli.inference.exact_tiling import exact_parts
from srcli.models.adaformer import SHORT_WAYS, AdaFormer, AdaFormerConfig
from srcli.models.layers.convolutions import ResidualBlock
from srcli.models.layers.short_way import ShortWay, smooth_windows
from srcli.models.layers.window_places import WindowPlaces
from srcli.models.spec import EXACT, Halting

SMALL = AdaFormerConfig(2, channels=16, dim=16, residual_blocks=2, layers=3)
HALTING = Halting(eps=0.4, smooth=0.1)


def network() -> AdaFormer:
    """A network with short ways, all of it random numbers."""
    torch.manual_seed(3)
    made = AdaFormer(SMALL)
    made.add_part(SHORT_WAYS)
    return made.eval().requires_grad_(requires_grad=False)


def half_smooth(height: int, width: int) -> torch.Tensor:
    """A gentle slope with blocks of noise, (1, 3, h, w)."""
    lr = torch.linspace(0.2, 0.4, width).expand(1, 3, height, width).clone()
    numbers = torch.Generator().manual_seed(5)
    for top, left in ((0, 0), (height // 2, width // 2), (height - 21, 9)):
        lr[..., top : top + 21, left : left + 30] = torch.rand(
            lr[..., top : top + 21, left : left + 30].shape, generator=numbers
        )
    return lr


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("size", [(1, 16, 72), (2, 8, 8), (2, 40, 48)], ids=str)
@torch.inference_mode()
def test_computing_live_windows_alone_gives_what_masking_gives(share: float, size):
    batch, height, width = size
    torch.manual_seed(1)
    stack = nn.Sequential(*(ResidualBlock(12) for _ in range(3)))
    way = ShortWay(12, 3, 8)
    features = torch.randn(batch, 12, height, width)
    short = torch.rand(batch, height // 8, width // 8) < share
    for x in (features, features.contiguous(memory_format=torch.channels_last)):
        kept = x.clone()
        found = way(stack, x, short)
        torch.testing.assert_close(found, way.reference(stack, x, short), atol=2e-5, rtol=0)
        assert torch.equal(x, kept)


@torch.inference_mode()
def test_blocks_of_live_windows_are_computed_whole_and_give_what_masking_gives():
    torch.manual_seed(2)
    stack = nn.Sequential(*(ResidualBlock(12) for _ in range(3)))
    way = ShortWay(12, 3, 8)
    features = torch.randn(2, 12, 112, 136)  # 14 x 17 windows
    short = torch.zeros(2, 14, 17, dtype=torch.bool)
    short[0, 9:, 2:] = short[1, :, 13:] = True
    short[0, 1, 1] = short[1, 6, 5:8] = True  # smooth windows within blocks
    places = WindowPlaces.of(short, 8)
    assert places.pays
    counts = {(some.windows, some.at_border): len(some.first) for some in places.squares}
    assert all(counts.values()), counts
    expected = way.reference(stack, features, short)
    torch.testing.assert_close(way(stack, features, short), expected, atol=2e-5, rtol=0)


@torch.inference_mode()
def test_smooth_windows_are_those_whose_px_and_surroundings_vary_little():
    lr = torch.full((1, 3, 24, 32), 0.5)
    lr[0, 1, 12, 18] = 0.7  # in window (1, 2); 2 px from (1, 1) and beyond the reach of the rest
    lr[0, 2, 0, 0] = 0.59
    expected = torch.ones(1, 3, 4, dtype=torch.bool)
    expected[0, 1, 2] = False
    assert torch.equal(smooth_windows(lr, 8, 0.1), expected)
    lr[0, 1, 12, 17] = 0.7
    expected[0, 1, 1] = False
    assert torch.equal(smooth_windows(lr, 8, 0.1), expected)


@torch.inference_mode()
def test_the_network_is_its_reference_and_smooth_windows_sit_out_every_layer():
    made, lr = network(), half_smooth(75, 90)
    found, plain = made(lr, HALTING), made.reference(lr, HALTING)
    torch.testing.assert_close(found.image, plain.image, atol=1e-4, rtol=0)
    short = smooth_windows(made.extend(lr), 8, HALTING.smooth)
    assert 0.2 < short.float().mean() < 0.9
    for mine, its in zip(found.layers, plain.layers, strict=True):
        assert torch.equal(mine.local_mask, its.local_mask)
        assert torch.equal(mine.global_mask, its.global_mask)
        assert mine.local_mask[:, 0][short].all()
    assert torch.equal(found.layers[0].local_mask[:, 0], short)
    other = made(lr, replace(HALTING, smooth=0.0)).image
    assert (other - found.image).abs().max() > 1e-3


@torch.inference_mode()
def test_an_image_that_is_smooth_all_over_needs_no_block_at_all():
    made = network()
    for stack in (made.encoder, made.decoder):
        for block in stack:
            block.forward = None  # to call it would fail
    lr = torch.linspace(0.3, 0.35, 40).expand(1, 3, 24, 40)
    assert made(lr, HALTING).image.isfinite().all()


@torch.inference_mode()
def test_exact_is_the_same_to_the_bit_with_and_without_short_ways():
    made, lr = network(), half_smooth(40, 56)
    plain = AdaFormer(SMALL).eval()
    kept = {name: t for name, t in made.state_dict().items() if not name.startswith(SHORT_WAYS)}
    plain.load_state_dict(kept)
    assert plain.short_ways is None
    assert torch.equal(made(lr, EXACT).image, plain(lr, EXACT).image)
    assert torch.equal(plain(lr, HALTING).image, made(lr, replace(HALTING, smooth=0.0)).image)


@pytest.mark.parametrize("tile", [32, 64])
@torch.inference_mode()
def test_tiles_are_the_whole_image(tile: int):
    made, lr = network(), half_smooth(107, 139)
    whole = made(lr, HALTING).image
    tiled = torch.full_like(whole, torch.nan)
    seen: list[int] = []
    for part in exact_parts(
        made, lr, TileGrid.plan(107, 139, tile, alignment=32, overlap=0), HALTING,
        lambda _: None, None, seen.append,
    ):  # fmt: skip
        rows = slice(part.top, part.top + part.image.shape[1])
        tiled[0, :, rows, part.left : part.left + part.image.shape[2]] = part.image
    torch.testing.assert_close(tiled, whole, atol=1e-4, rtol=0)
    assert sum(seen) >= 2 * 107 * 139


@torch.inference_mode()
def test_lower_precision_reaches_the_short_ways():
    made, lr = network(), half_smooth(48, 64)
    exact = made(lr, HALTING).image
    made.lower_precision(torch.bfloat16)
    assert all(t.dtype == torch.bfloat16 for t in made.short_ways.parameters())
    assert (made(lr, HALTING).image - exact).abs().mean() < 0.02


def test_a_batch_is_its_images_one_by_one():
    made = network()
    images = torch.cat([half_smooth(48, 64), torch.rand(1, 3, 48, 64), torch.zeros(1, 3, 48, 64)])
    with torch.inference_mode():
        together = made(images, HALTING).image
        for number in range(3):
            alone = made(images[number : number + 1], HALTING).image
            torch.testing.assert_close(together[number : number + 1], alone, atol=1e-4, rtol=0)
