"""Residual blocks in 8-bit integers: near fp32, and in every part of an image the same."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.geometry import TileGrid
from srcli.inference.device import computes_int8
from srcli.inference.exact_tiling import exact_parts
from srcli.metrics.flops import count_flops
from srcli.models.adaformer import RANGES, SHORT_WAYS, AdaFormer, AdaFormerConfig
from srcli.models.layers import int8
from srcli.models.layers.convolutions import REACH, ResidualBlock
from srcli.models.layers.int8 import Int8Block
from srcli.models.layers.short_way import ShortWay
from srcli.models.spec import EXACT, Halting
from srcli.training.fit_ranges import fit_ranges

pytestmark = pytest.mark.skipif(
    not computes_int8(torch.device("cpu")), reason="this CPU has no VNNI instructions"
)

SMALL = AdaFormerConfig(2, channels=16, dim=16, residual_blocks=3, layers=2)
HALTING = Halting(eps=0.4, smooth=0.1)
CHANNELS = 24


def features(batch: int, height: int, width: int, seed: int = 0) -> Tensor:
    numbers = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, CHANNELS, height, width, generator=numbers)
    x[:, 3] *= 5  # channels differ in their range
    return x.contiguous(memory_format=torch.channels_last)


def block() -> ResidualBlock:
    torch.manual_seed(0)
    return ResidualBlock(CHANNELS).eval().requires_grad_(requires_grad=False)


@torch.inference_mode()
def ranges_of(full: ResidualBlock, x: Tensor, share: float) -> Tensor:
    hidden = torch.relu(full.conv1(x))
    return share / int8._BEYOND * torch.stack([x.abs().amax((0, 2, 3)), hidden.amax((0, 2, 3))])


def in_int8(full: ResidualBlock, ranges: Tensor) -> ResidualBlock:
    made = block()
    made.load_state_dict(full.state_dict())
    made.compute_by(Int8Block(made.conv1, made.conv2, ranges))
    return made


def rounded(full: ResidualBlock, x: Tensor, ranges: Tensor) -> Tensor:
    """A block with everything rounded as in int8, computed in fp64: slow and plain."""
    steps: list[Tensor] = []
    weights: list[Tensor] = []
    pairs = ((full.conv1, 126), (full.conv2, 254))
    for largest, (conv, levels) in zip(int8._BEYOND * ranges.double(), pairs, strict=True):
        weight = conv.weight.double()
        balance = (largest / weight.abs().amax((0, 2, 3))).sqrt()
        step = balance * (largest / balance).max() / levels
        scaled = weight * step[:, None, None]
        scale = scaled.abs().amax((1, 2, 3), keepdim=True) / 127
        weights.append((scaled / scale).round() * scale)
        steps.append(step[:, None, None])
    integers = (x.double() / steps[0]).round()
    hidden = F.conv2d(integers, weights[0], full.conv1.bias.double(), padding=1).relu()
    change = F.conv2d((hidden / steps[1]).round(), weights[1], full.conv2.bias.double(), padding=1)
    return (x + change).float()


@torch.inference_mode()
def test_a_block_gives_what_rounding_says_and_nearly_what_fp32_gives():
    full, x = block(), features(2, 21, 34)
    ranges = ranges_of(full, x, 1.1)
    found = in_int8(full, ranges)(x)
    exact, plain = full(x), rounded(full, x, ranges)
    off = (found - exact).abs().mean()
    assert 0 < off < 0.03 * (exact - x).abs().mean()
    # A value between two integers may be rounded to either; that is rare.
    assert (found - plain).abs().mean() < 0.05 * off


@pytest.mark.parametrize("share", [1.1, 0.9, 0.75, 0.3])
@torch.inference_mode()
def test_px_that_see_values_out_of_range_are_computed_in_fp32(share: float):
    full, x = block(), features(2, 24, 40)
    made = in_int8(full, ranges_of(full, x, share))
    exact, kept = full(x), x.clone()
    found = made(x)
    assert torch.equal(x, kept)
    assert (found - exact).abs().max() < 0.03 * (exact - x).abs().max()
    if share == 1.1:
        far = x.clone()
        far[1, 3, 10, 12] *= 300
        seen = torch.zeros(2, 1, 24, 40, dtype=torch.bool)
        seen[1, 0, 10 - REACH : 11 + REACH, 12 - REACH : 13 + REACH] = True
        off = (made(far) - full(far)).abs()
        assert off[seen.expand_as(off)].max() < 1e-4
        assert torch.equal(made(far)[~seen.expand_as(off)], found[~seen.expand_as(off)])


@pytest.mark.parametrize("share", [1.1, 0.9, 0.75, 0.3])
@torch.inference_mode()
def test_a_px_is_the_same_in_the_map_in_a_crop_and_in_a_window(share: float):
    full, x = block(), features(2, 40, 56)
    made = in_int8(full, ranges_of(full, x, share))
    whole = made(x)
    crop = x[1:, :, 9:30, 16:51].contiguous(memory_format=torch.channels_last)
    inner = slice(REACH, -REACH)
    assert torch.equal(made(crop)[:, :, inner, inner], whole[1:, :, 11:28, 18:49])
    inside = F.pad(torch.ones(2, 1, 40, 56, dtype=torch.bool), (1,) * 4)
    found = made.on_patches(squares(F.pad(x, (2,) * 4), 12), squares(inside, 10))
    if share == 1.1:
        assert torch.equal(found, squares(whole, 8))
    # In fp32 oneDNN adds up in another order where maps are small.
    torch.testing.assert_close(found, squares(whole, 8), atol=1e-5, rtol=0)


def squares(x: Tensor, side: int) -> Tensor:
    """Squares of a map at every 8th px, (k, c, side, side)."""
    cut = x.unfold(2, side, 8).unfold(3, side, 8).permute(0, 2, 3, 1, 4, 5)
    return cut.reshape(-1, x.shape[1], side, side)


@torch.inference_mode()
def test_live_windows_alone_are_what_masking_gives():
    torch.manual_seed(2)
    stack = nn.Sequential(*(block() for _ in range(3)))
    way, x = ShortWay(CHANNELS, 3, 8), features(1, 40, 72)
    for one in stack:
        one.compute_by(Int8Block(one.conv1, one.conv2, ranges_of(one, x, 0.9)))
    short = torch.rand(1, 5, 9) < 0.6
    found, plain = way(stack, x, short), way.reference(stack, x, short)
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=0)


def network() -> AdaFormer:
    """A network with short ways and ranges, all of it random numbers."""
    torch.manual_seed(3)
    made = AdaFormer(SMALL)
    made.add_part(SHORT_WAYS)
    made.eval().requires_grad_(requires_grad=False)
    numbers = torch.Generator().manual_seed(4)
    fit_ranges(made, (torch.rand(1, 3, 32, 40, generator=numbers) for _ in range(3)))
    return made


def photograph(height: int, width: int) -> Tensor:
    """A slope with noise in its middle."""
    numbers = torch.Generator().manual_seed(5)
    lr = torch.linspace(0.2, 0.4, width).expand(1, 3, height, width).clone()
    part = lr[..., 12:-20, 20:-16]
    part.copy_(torch.rand(part.shape, generator=numbers))
    return lr


def nearly_equal(found: Tensor, expected: Tensor) -> bool:
    """True if images differ by less than half a level of 8 bits, and that rarely.

    What differs in the last digit of fp32 before a block may be rounded to another integer there.
    """
    off = (found - expected).abs()
    return off.max().item() < 0.5 / 255 and (off > 1e-4).float().mean().item() < 0.02


def test_ranges_are_the_mean_over_images_of_the_largest_magnitudes():
    torch.manual_seed(3)
    made = AdaFormer(SMALL).eval().requires_grad_(requires_grad=False)
    images = [photograph(40, 48), photograph(56, 64) ** 2]
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    assert fit_ranges(made, iter(images)) == 2
    assert made.ranges["encoder"].shape == (3, 2, 16)
    assert made.ranges["decoder"].shape == (2, 2, 16)  # its last block stays in fp32
    with torch.inference_mode():
        shallow = [made.head(lr - made.mean) for lr in images]
        hidden = [made.encoder[0].conv1(x).relu() for x in shallow]
    for number, values in enumerate((shallow, hidden)):
        largest = [x.abs().amax((0, 2, 3)) for x in values]
        expected = (largest[0] + largest[1]) / 2
        torch.testing.assert_close(made.ranges["encoder"][0, number], expected)
    after = made.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert {name for name in after if name.startswith(RANGES)} == after.keys() - before.keys()


@pytest.mark.parametrize("halting", [EXACT, HALTING], ids=["exact", "halting"])
@torch.inference_mode()
def test_the_network_is_near_fp32_and_is_its_masked_reference(halting: Halting):
    made, lr = network(), photograph(75, 90)
    full = made(lr, halting)
    made.lower_precision(torch.int8)
    found = made(lr, halting)
    assert 0 < (found.image - full.image).abs().mean() < 0.02 * (full.image - 0.3).abs().mean()
    plain = made.reference(lr, halting)
    assert nearly_equal(found.image, plain.image)
    for mine, its in zip(found.layers, plain.layers, strict=True):
        assert torch.equal(mine.global_mask, its.global_mask)


@pytest.mark.parametrize("tile", [32, 64])
@torch.inference_mode()
def test_tiles_are_the_whole_image(tile: int):
    made, lr = network(), photograph(107, 139)
    made.lower_precision(torch.int8)
    whole = made(lr, HALTING).image
    tiled = torch.full_like(whole, torch.nan)
    for part in exact_parts(
        made, lr, TileGrid.plan(107, 139, tile, alignment=32, overlap=0), HALTING,
        lambda _: None, None, lambda _: None,
    ):  # fmt: skip
        rows = slice(part.top, part.top + part.image.shape[1])
        tiled[0, :, rows, part.left : part.left + part.image.shape[2]] = part.image
    assert nearly_equal(tiled, whole)


@torch.inference_mode()
def test_operations_in_integers_are_counted():
    full, x = block(), features(1, 16, 24)
    made = in_int8(full, ranges_of(full, x, 1.1))
    expected = 2 * 2 * 9 * CHANNELS**2 * 16 * 24
    assert count_flops(lambda: full(x))[0] == count_flops(lambda: made(x))[0] == expected


@torch.inference_mode()
def test_what_is_not_a_number_stays_so():
    full, x = block(), features(1, 16, 24)
    made = in_int8(full, ranges_of(full, x, 1.1))
    x[0, 2, 5, 7] = torch.nan
    assert made(x)[0, 2, 5, 7].isnan()


def test_weights_without_ranges_are_not_computed_in_int8():
    made = AdaFormer(replace(SMALL, residual_blocks=1))
    assert made.computes(torch.bfloat16)
    assert not made.computes(torch.int8)
    made.add_part(RANGES)
    assert made.computes(torch.int8)
