"""Tiles partition every image, on the grid, with their context."""

from hypothesis import given
from hypothesis import strategies as st

from srcli.geometry import TileGrid, scaled_size, tile_axis

lengths = st.integers(1, 700)
alignments = st.sampled_from([1, 8, 32])


@given(lengths, st.integers(0, 300), alignments, st.integers(0, 40))
def test_cores_partition_the_axis(length: int, tile: int, alignment: int, overlap: int) -> None:
    spans = tile_axis(length, tile, alignment=alignment, overlap=overlap)
    covered = [px for s in spans for px in range(s.core_start, s.core_stop)]
    assert covered == list(range(length))
    for span in spans:
        assert span.core_start % alignment == span.crop_start % alignment == 0
        assert 0 <= span.crop_start <= max(0, span.core_start - overlap)
        assert min(length, span.core_stop + overlap) <= span.crop_stop <= length
        if tile >= alignment:
            assert span.core_stop - span.core_start <= tile


@given(lengths, st.integers(32, 300))
def test_cores_are_nearly_equal(length: int, tile: int) -> None:
    spans = tile_axis(length, tile, alignment=32, overlap=32)
    sizes = [s.core_stop - s.core_start for s in spans]
    assert len(set(sizes[:-1])) <= 1
    assert len(spans) <= -(-length // (tile // 32 * 32))


def test_zero_takes_the_image_whole() -> None:
    grid = TileGrid.plan(333, 500, 0, alignment=32, overlap=32)
    assert len(grid) == 1
    assert (grid.rows[0].crop_stop, grid.columns[0].crop_stop) == (333, 500)


@given(st.integers(1, 100_000), st.sampled_from([1.1, 1.5, 2, 2.5, 3, 4]))
def test_scaled_size_is_within_half_a_pixel(length: int, scale: float) -> None:
    assert abs(scaled_size(length, scale) - length * scale) <= 0.5 + 1e-6


def test_scaled_size_rounds_decimals_as_written() -> None:
    assert scaled_size(5, 1.1) == 6  # 5.5, though 5 * 1.1 is a shade above in binary
    assert scaled_size(1, 1.2) == 1
