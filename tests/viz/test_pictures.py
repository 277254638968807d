"""The images show what the arrays hold, and can be read by everyone."""

import numpy as np
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from srcli import Upscaler
from srcli.masks import SHEET
from srcli.viz.colours import HALTED, LIVE, PARTLY, SEQUENCE, viridis
from srcli.viz.files import MaskFiles, write_files
from srcli.viz.legend import printable
from srcli.viz.map_types import KINDS, percent
from srcli.viz.paint import draw_map, enlarge_map, over_image
from srcli.viz.stats import DenseCost, stats_of

LAYERS = range(1, 7)


def image(case, name: str) -> np.ndarray:
    """A written map, its legend cut off."""
    pixels = np.asarray(Image.open(case.folder / name).convert("RGB"))
    height, width = case.explained.image.shape[:2]
    assert pixels.shape[0] > height
    return pixels[:height, :width]


def is_colour(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (pixels == np.array(colour, np.uint8)).all(-1)


@pytest.mark.parametrize("layer", LAYERS)
def test_windows_drawn_are_windows_computed(case, layer: int) -> None:
    """From the file's pixels back to the number of windows the engine gave to the branch."""
    drawn = image(case, f"local-{layer}.png")
    live = is_colour(drawn, LIVE)
    assert (live | is_colour(drawn, HALTED)).all()
    cells = live[::32, ::32]
    assert cells.sum() == case.executed[layer - 1]
    assert np.array_equal(cells, ~case.explained.layers[layer - 1].local_mask)
    crisp = cells.repeat(32, 0).repeat(32, 1)[: live.shape[0], : live.shape[1]]
    assert np.array_equal(live, crisp)


@pytest.mark.parametrize("layer", [1, 3, 6])
def test_pixel_maps_are_the_arrays(case, layer: int) -> None:
    height, width = case.pixels.shape[:2]
    layers = case.explained.layers
    halted = is_colour(image(case, f"global-{layer}.png"), HALTED)[::4, ::4]
    assert np.array_equal(halted, layers[layer - 1].global_mask[:height, :width])
    for name, values in (
        ("confidence", layers[layer - 1].confidence),
        ("score", case.explained.score(layer)),
    ):
        drawn = image(case, f"{name}-{layer}.png")
        assert np.array_equal(drawn, drawn[::4, ::4].repeat(4, 0).repeat(4, 1))
        expected = viridis(np.clip(values[:height, :width], 0, 1)).astype(int)
        assert np.abs(drawn[::4, ::4] - expected).max() <= 3


def test_depth_keeps_its_colours_over_the_image(case) -> None:
    painted = KINDS["depth"].paint(case.explained, 0)
    drawn = image(case, "depth.png").astype(float)
    depth = case.explained.depth
    lightness = []
    for number in range(1, 7):
        cells = (depth == number).repeat(32, 0).repeat(32, 1)[: drawn.shape[0], : drawn.shape[1]]
        if cells.sum() > 2000:
            mean = np.median(drawn[cells], 0)
            nearest = np.abs(painted.palette.astype(float) - mean).sum(1).argmin()
            assert nearest == number
            lightness.append(rgb2lab(mean / 255)[0])
    assert len(lightness) >= 4
    assert lightness == sorted(lightness, reverse=True)  # in greyscale too
    assert sum(float(s.label.split(": ")[1].rstrip(" %")) for s in painted.legend) == pytest.approx(
        100, abs=3
    )


def test_lines_part_depths(case) -> None:
    painted = KINDS["depth"].paint(case.explained, 0)
    flat = np.full_like(case.explained.image, 128)
    drawn = np.asarray(over_image(painted, flat, (44, 78)))
    cells = enlarge_map(painted, flat.shape[:2], (44, 78))
    inside = painted.palette[cells]
    lined = (drawn != inside).any(-1)
    differs = np.zeros(cells.shape, bool)
    differs[:, 1:] |= cells[:, 1:] != cells[:, :-1]
    differs[1:] |= cells[1:] != cells[:-1]
    assert lined[differs].all()
    assert not lined[8:24, 8:24].any()
    rows, columns = np.nonzero(lined)
    assert np.minimum(rows % 32, columns % 32).max() <= 1  # two px wide, at the windows' borders


def cone_blind(rgb: np.ndarray, kind: str) -> np.ndarray:
    """Colours as people without red or green cones see them (Machado, Oliveira, Fernandes 2009)."""
    matrix = {
        "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    }[kind]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = (linear @ np.array(matrix).T).clip(0, 1)
    return np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("eye", ["all", "protanopia", "deuteranopia"])
def test_everyone_sees_the_scale_evenly(eye: str) -> None:
    rgb = SEQUENCE / 255.0
    lab = rgb2lab(rgb if eye == "all" else cone_blind(rgb, eye))
    lightness = lab[:, 0]
    assert (np.diff(lightness[::8]) > 0.5).all()  # a gray copy tells the order too
    steps = deltaE_ciede2000(lab[::16][:-1], lab[::16][1:])
    assert steps.min() > 1.5
    assert steps.max() < (3 if eye == "all" else 5) * steps.min()


def test_masks_differ_in_gray() -> None:
    live, partly, halted = (rgb2lab(np.array(c) / 255.0)[0] for c in (LIVE, PARTLY, HALTED))
    assert halted - partly > 30
    assert partly - live > 30


@pytest.mark.parametrize("kind", [k.name for k in KINDS.values() if k.needs == "layers"])
@pytest.mark.parametrize("size", [(4, 4), (13, 700), (900, 3)])
def test_any_size(case, kind: str, size: tuple[int, int]) -> None:
    image = draw_map(KINDS[kind].paint(case.explained, 2), size, (44, 78))
    assert image.height > size[0]
    assert image.width >= size[1]


def test_sheet_and_chart(case) -> None:
    assert (case.folder / SHEET).read_bytes().startswith(b"\x89PNG")
    sheet = Image.open(case.folder / SHEET).convert("RGB")
    assert sheet.width == 1620
    assert len(sheet.getcolors(1 << 24)) > 10_000
    chart = np.asarray(Image.open(case.folder / "sparsity.png").convert("RGB"))
    bars = is_colour(chart[150:], HALTED).sum(0)  # the key is above
    tallest = [
        columns.max()
        for columns in np.array_split(bars[77:788], 6)  # a slot for each layer
    ]
    assert tallest == sorted(tallest)
    full = 500 - round(2.9 * 24) - round(4.4 * 24)
    expected = case.stats.halted_pixels[-1] * full
    assert abs(tallest[-1] - expected) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(40, 3), (3, 60), (1, 1), (9, 9, 4), (9, 10, 1), (9, 10, 2)])
def test_sheets_of_odd_images(shape: tuple[int, ...], tmp_path, rng) -> None:
    shape = shape if len(shape) == 3 else (*shape, 3)
    pixels = rng.integers(0, 65536, shape, np.uint16)
    explained = Upscaler(device="cpu", precision="fp32", effort="fast", scale=1.5).explain(pixels)
    stats = stats_of(
        explained, pixels, model="m", effort="fast", dense=DenseCost(flops=1.0, seconds=1.0)
    )
    wanted = MaskFiles(list(KINDS.values())[:5], (1, 6), "webp", npz=False, html=True)
    write_files(tmp_path, explained, pixels, stats, wanted, "x" * 300)
    assert len(list(tmp_path.iterdir())) == 12


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain.png", "plain.png"), ("größe é.jpg", "gro?e e.jpg"), ("東京\n.png", "???.png")],
)
def test_names_without_letters(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_shares_do_not_lie() -> None:
    assert [percent(s) for s in (0, 1e-9, 0.5, 1 - 1e-9, 1)] == [
        "0 %",
        "<1 %",
        "50 %",
        ">99 %",
        "100 %",
    ]
