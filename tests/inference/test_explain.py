"""Explaining: the maps are those of the very run, whole, and change nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils._python_dispatch import _get_current_dispatch_mode

from srcli import Upscaler
from srcli.defaults import SMOOTH
from srcli.errors import UsageError
from srcli.geometry import Tile, TileGrid
from srcli.inference.maps import MapStitcher
from srcli.inference.network import LoadedNetwork
from srcli.metrics.flops import count_flops
from srcli.models.layers.attention import LocalAttention
from srcli.models.layers.short_way import smooth_windows
from srcli.models.layers.windows import extend_by_reflection
from srcli.models.spec import LayerTrace, PureTrace, SROutput


def upscaler(effort: str = "balanced", tile: int | None = 0, scale: float = 4) -> Upscaler:
    return Upscaler(device="cpu", precision="fp32", effort=effort, tile=tile, scale=scale)


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    """A part of a photograph of which some halts early and some never, (44, 76, 3)."""
    path = Path(__file__).parents[2] / "docs" / "samples" / "norway" / "bryggen.webp"
    return np.asarray(Image.open(path).convert("RGB"))[50:94, 60:136]


@pytest.fixture(scope="module")
def smooth(crop: np.ndarray) -> np.ndarray:
    """Windows of the crop that are in no layer, (6, 10) bool."""
    lr = torch.from_numpy(crop.copy()).permute(2, 0, 1)[None] / 255
    found = smooth_windows(extend_by_reflection(lr, 8), 8, SMOOTH)[0].numpy()
    assert 0 < found.sum() < 30
    return found


@pytest.mark.parametrize(("effort", "tile"), [("exact", 0), ("balanced", 32), ("fast", 0)])
def test_explaining_changes_no_pixel(crop: np.ndarray, effort: str, tile: int) -> None:
    up = upscaler(effort, tile)
    upscaled = up.upscale(crop)
    explained = up.explain(crop)
    assert np.array_equal(upscaled.image, explained.image)
    assert upscaled.report.live_windows == explained.report.live_windows
    assert explained.report.tiles == (1 if tile == 0 else 6)


def test_the_masks_are_those_that_ran(
    crop: np.ndarray, smooth: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many live windows are drawn as the local branch was given."""
    computed: list[int] = []
    forward = LocalAttention.forward

    def counted(self: LocalAttention, windows: torch.Tensor) -> torch.Tensor:
        computed.append(len(windows))
        return forward(self, windows)

    monkeypatch.setattr(LocalAttention, "forward", counted)
    explained = upscaler().explain(crop)
    del computed[: len(computed) // 2]  # of the run that was timed
    drawn = [int((~layer.local_mask).sum()) for layer in explained.layers]
    assert sum(computed) == sum(drawn) == int(explained.depth.sum())
    assert computed == drawn
    assert drawn[0] == 6 * 10 - smooth.sum()
    assert np.array_equal(explained.depth == 0, smooth)
    assert drawn[-1] < drawn[0]


@pytest.mark.parametrize("blended", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_in_tiles_each_window_is_drawn_once(
    crop: np.ndarray, smooth: np.ndarray, monkeypatch: pytest.MonkeyPatch, *, blended: bool
) -> None:
    """Reports count what ran; drawn maps leave out the context of blended tiles."""
    computed: list[int] = []
    forward = LocalAttention.forward

    def counted(self: LocalAttention, windows: torch.Tensor) -> torch.Tensor:
        computed.append(len(windows))
        return forward(self, windows)

    monkeypatch.setattr(LocalAttention, "forward", counted)
    monkeypatch.setattr(LoadedNetwork, "banded", not blended)
    explained = upscaler(tile=32).explain(crop)
    assert explained.report.tiles == 6
    assert explained.report.exact is not blended
    windows = explained.computed_pixels // explained.window**2
    del computed[: len(computed) // 2]  # of the run that was timed
    assert sum(computed) == pytest.approx(windows * sum(explained.report.live_windows))
    drawn = [int((~layer.local_mask).sum()) for layer in explained.layers]
    assert drawn[0] == 6 * 10 - smooth.sum()
    if blended:
        assert drawn[0] < windows - smooth.sum()
        assert sum(drawn) <= sum(computed)
    else:
        assert drawn[0] == windows - smooth.sum()
        assert sum(drawn) == sum(computed)


@pytest.mark.slow
@pytest.mark.parametrize("blended", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_tiles_fit_together(
    crop: np.ndarray, monkeypatch: pytest.MonkeyPatch, *, blended: bool
) -> None:
    """In tiles the image's maps are what the whole would give: cores lie on the grid."""
    whole = upscaler(tile=0).explain(crop)
    monkeypatch.setattr(LoadedNetwork, "banded", not blended)
    tiled = upscaler(tile=32).explain(crop)
    assert tiled.report.tiles == 6
    assert (tiled.computed_pixels > whole.computed_pixels) is blended
    assert whole.computed_pixels == 48 * 80
    for one, other in zip(whole.layers, tiled.layers, strict=True):
        assert one.local_mask.shape == other.local_mask.shape == (6, 10)
        assert one.confidence.shape == other.confidence.shape == (48, 80)
        if blended:  # the encoder sees a little farther than such a tile's context
            assert (one.local_mask == other.local_mask).mean() > 0.98
            assert np.abs(one.confidence - other.confidence).mean() < 2e-3
        else:
            assert np.array_equal(one.local_mask, other.local_mask)
            assert np.abs(one.confidence - other.confidence).max() < 1e-4


@pytest.mark.parametrize("effort", ["balanced", "fast"])
def test_scores_are_those_that_halted(crop: np.ndarray, smooth: np.ndarray, effort: str) -> None:
    """The score after a layer decides the masks of the next one (Eqs. 18 to 22), or smoothness."""
    smooth_px = smooth.repeat(8, 0).repeat(8, 1)
    explained = upscaler(effort).explain(crop)
    assert explained.threshold is not None
    for number in range(1, len(explained.layers)):
        score, then = explained.score(number), explained.layers[number]
        expected = (score >= np.float32(explained.threshold)) | smooth_px
        assert np.array_equal(expected, then.global_mask)
        means = score.reshape(6, 8, 10, 8).mean((1, 3), dtype=np.float64)
        sure = np.abs(means - explained.threshold) > 1e-5
        expected = (means >= explained.threshold) | smooth
        assert np.array_equal(expected[sure], then.local_mask[sure])


def test_exact_has_confidence_but_no_masks(crop: np.ndarray) -> None:
    explained = upscaler("exact").explain(crop)
    assert explained.threshold is None
    for layer in explained.layers:
        assert not layer.local_mask.any()
        assert not layer.global_mask.any()
        assert 0 <= layer.confidence.min() < layer.confidence.max() <= 1
    assert (explained.depth == len(explained.layers)).all()
    with pytest.raises(UsageError, match=r"layer must be 1 to 6, got 7"):
        explained.score(7)


def test_every_kind_of_image(photo: np.ndarray) -> None:
    alpha = np.concatenate([photo, photo[..., :1]], -1)
    up = upscaler(scale=2)
    explained = up.explain(alpha)
    assert explained.image.shape == (80, 112, 4)
    assert explained.layers[0].global_mask.shape == (40, 56)
    assert explained.computed_pixels == 2 * 40 * 56  # colour, then alpha
    masks = [layer.local_mask for layer in up.explain(photo).layers]
    for mask, layer in zip(masks, explained.layers, strict=True):
        assert np.array_equal(mask, layer.local_mask)
    assert isinstance(up.explain(Image.fromarray(photo)).image, Image.Image)
    assert up.explain(photo[:1, :1, 0]).layers[0].local_mask.shape == (1, 1)


def test_operations_by_hand() -> None:
    """A convolution, a product and an attention, counted twice per multiply-add."""
    conv = torch.nn.Conv2d(3, 5, 3, padding=1)
    flops, _ = count_flops(lambda: conv(torch.zeros(1, 3, 7, 9)))
    assert flops == 2 * 7 * 9 * 3 * 5 * 9
    flops, _ = count_flops(lambda: torch.zeros(4, 6) @ torch.zeros(6, 8))
    assert flops == 2 * 4 * 6 * 8
    q = torch.zeros(2, 4, 64, 16)
    with torch.inference_mode():
        flops, _ = count_flops(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q))
    assert flops == 2 * 2 * 2 * 4 * 64 * 64 * 16


def test_halting_executes_less(crop: np.ndarray) -> None:
    """Two runs that both estimate confidence differ by what halted."""
    exact, fast = (upscaler(effort).explain(crop).flops for effort in ("exact", "fast"))
    assert fast < 0.9 * exact


@st.composite
def cut(draw: st.DrawFn) -> tuple[int, int, int, int, int]:
    height, width = draw(st.integers(1, 150)), draw(st.integers(1, 150))
    return height, width, draw(st.sampled_from([0, 32, 64])), 32, draw(st.sampled_from([0, 32]))


@settings(max_examples=40)
@given(cut())
def test_stitching_gives_back_the_whole(case: tuple[int, int, int, int, int]) -> None:
    """Maps of a whole image, cut as tiles are and stitched, are the maps again."""
    height, width, tile, alignment, overlap = case
    s = 8
    h, w = -(-height // s) * s, -(-width // s) * s
    generator = torch.Generator().manual_seed(height * 200 + width)
    local = torch.rand(1, 1, h // s, w // s, generator=generator) < 0.5
    glob = torch.rand(1, 1, h, w, generator=generator) < 0.5
    confidence = torch.rand(1, 1, h, w, generator=generator)
    classes = torch.randint(0, 16, (1, 1, h, w), generator=generator)
    stitcher = MapStitcher(height, width)
    grid = TileGrid.plan(height, width, tile, alignment=alignment, overlap=overlap)
    for rows in grid.rows:
        for columns in grid.columns:
            y = slice(rows.crop_start, -(-rows.crop_stop // s) * s)
            x = slice(columns.crop_start, -(-columns.crop_stop // s) * s)
            coarse = np.s_[:, :, y.start // s : y.stop // s, x.start // s : x.stop // s]
            trace = LayerTrace(confidence[:, :, y, x], local[coarse], glob[:, :, y, x])
            pure = PureTrace(glob[:, :, y, x], classes[:, :, y, x])
            stitcher.add_tile(
                Tile(rows, columns), SROutput(torch.zeros(1, 3, 1, 1), (trace,), pure)
            )
    (maps,) = stitcher.layers()
    assert np.array_equal(maps.local_mask, local[0, 0].numpy())
    assert np.array_equal(maps.global_mask, glob[0, 0].numpy())
    assert np.array_equal(maps.confidence, confidence[0, 0].numpy())
    pixels = stitcher.pure()
    assert pixels is not None
    assert np.array_equal(pixels.mask, glob[0, 0, :height, :width].numpy())
    assert np.array_equal(pixels.classes, classes[0, 0, :height, :width].numpy())
    by_bands = MapStitcher(height, width)
    for top in range(0, h, 64):
        coarse = np.s_[:, :, top // s : (top + 64) // s]
        fine = np.s_[:, :, top : top + 64]
        by_bands.add_band((LayerTrace(confidence[fine], local[coarse], glob[fine]),))
    (banded,) = by_bands.layers()
    assert by_bands.computed_pixels == h * w
    assert np.array_equal(banded.local_mask, maps.local_mask)
    assert np.array_equal(banded.global_mask, maps.global_mask)
    assert np.array_equal(banded.confidence, maps.confidence)


def test_time_told_is_that_of_a_run_whose_operations_nobody_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upscaler = Upscaler("adaformer-s", effort="fast", precision="fp32")
    whole, counted, seconds = upscaler._upscale, [], []

    def watched(*arguments: object) -> object:
        counted.append(_get_current_dispatch_mode() is not None)
        upscaled = whole(*arguments)  # type: ignore[arg-type]
        seconds.append(upscaled.report.seconds)
        return upscaled

    monkeypatch.setattr(upscaler, "_upscale", watched)
    explained = upscaler.explain(np.zeros((16, 16, 3), np.uint8))
    assert counted == [False, True]
    assert explained.report.seconds == seconds[0]
