"""Blending: the weights sum to one, whatever the size."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from srcli.geometry import Tile, TileGrid
from srcli.inference.blended_tiling import blend_tiles, span_weights

sizes = st.integers(1, 230)


def blend(grid: TileGrid, scale: int, compute) -> torch.Tensor:
    bands = list(blend_tiles(grid, scale, compute))
    tops = [top for top, _ in bands]
    assert tops == [sum(b.shape[1] for _, b in bands[:i]) for i in range(len(bands))]
    return torch.cat([band for _, band in bands], dim=1)


@given(sizes, sizes, st.integers(32, 128), st.sampled_from([1, 2, 3]))
def test_weights_sum_to_one(height: int, width: int, tile: int, scale: int) -> None:
    grid = TileGrid.plan(height, width, tile, alignment=32, overlap=32)

    def ones(t: Tile) -> torch.Tensor:
        rows = (t.rows.crop_stop - t.rows.crop_start) * scale
        return torch.ones(1, rows, (t.columns.crop_stop - t.columns.crop_start) * scale)

    total = blend(grid, scale, ones)
    assert total.shape == (1, height * scale, width * scale)
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-6, rtol=0)


@given(sizes, sizes, st.integers(32, 128))
def test_equal_tiles_blend_into_the_image(height: int, width: int, tile: int) -> None:
    image = torch.rand(3, height, width)
    grid = TileGrid.plan(height, width, tile, alignment=32, overlap=32)

    def crop(t: Tile) -> torch.Tensor:
        part = image[:, t.rows.crop_start : t.rows.crop_stop]
        part = part[:, :, t.columns.crop_start : t.columns.crop_stop]
        return part.repeat_interleave(2, 1).repeat_interleave(2, 2)

    expected = image.repeat_interleave(2, 1).repeat_interleave(2, 2)
    torch.testing.assert_close(blend(grid, 2, crop), expected, atol=1e-6, rtol=0)


def test_border_pixels_of_a_crop_count_for_nothing() -> None:
    """The outermost px of a crop saw the least context."""
    grid = TileGrid.plan(100, 200, 64, alignment=32, overlap=32)
    inner = grid.columns[1]
    weights = span_weights(inner, 4)
    assert len(weights) < (inner.crop_stop - inner.crop_start) * 4
    assert weights[0] < 0.02
    assert weights.max() == 1
