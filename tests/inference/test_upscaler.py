"""The upscaler on every kind of image, at every kind of size."""

import numpy as np
import pytest
import torch
from PIL import Image

from srcli import Upscaler
from srcli.errors import (
    ImageTooLarge,
    NonFiniteOutput,
    UnavailableDevice,
    UnknownModel,
    UnknownScale,
    UnreadableImage,
    UsageError,
)
from srcli.inference import output_size, tile_planner
from srcli.inference.alpha import bleed
from srcli.inference.device import computes_int8
from srcli.inference.flat_border import restore_flat_border
from srcli.models.spec import Halting, SROutput


@pytest.fixture(scope="module")
def x4() -> Upscaler:
    return Upscaler(device="cpu", precision="fp32")


def gray_of(pixels: np.ndarray) -> np.ndarray:
    return pixels.mean(-1).round().astype(np.uint8)


def test_uint8_is_the_networks_own_result(x4: Upscaler, photo: np.ndarray) -> None:
    lr = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    plain = x4.network(lr, x4.network.spec.efforts["balanced"]).image[0]
    restore_flat_border(plain, lr[0], 0, 0, 4)  # the photo has a flat corner
    expected = (plain.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(x4(photo), expected)


def test_depths_agree(x4: Upscaler, photo: np.ndarray) -> None:
    eight = x4(photo)
    sixteen = x4(photo.astype(np.uint16) * 257)
    real = x4(photo.astype(np.float64) / 255)
    assert (sixteen.dtype, real.dtype) == (np.uint16, np.float64)
    assert np.array_equal((sixteen.astype(np.uint32) + 128) // 257, eight)
    assert len(np.unique(sixteen % 257)) > 100  # more than eight bits' worth of levels
    assert np.abs(real * 255 - eight).max() <= 0.5 + 1e-4
    assert 0 <= real.min() <= real.max() <= 1


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_shapes_stay(x4: Upscaler, photo: np.ndarray, channels: int | None) -> None:
    image = np.concatenate([photo, photo[..., :1]], -1)
    image = image[..., 0] if channels is None else image[..., :channels]
    height, width, *rest = image.shape
    assert x4(image).shape == (4 * height, 4 * width, *rest)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_pil_modes_stay(x4: Upscaler, photo: np.ndarray, mode: str) -> None:
    source = Image.fromarray(photo)
    if mode == "I;16":
        source = Image.fromarray(gray_of(photo).astype(np.uint16) * 257)
    result = x4(source.convert(mode))
    assert (result.mode, result.size) == (mode, (224, 160))


@pytest.mark.parametrize(("mode", "becomes"), [("1", "L"), ("P", "RGB"), ("CMYK", "RGB")])
def test_pil_modes_without_values_become_colours(
    x4: Upscaler, photo: np.ndarray, mode: str, becomes: str
) -> None:
    image = Image.fromarray(photo).convert(mode)
    assert np.array_equal(np.asarray(x4(image)), np.asarray(x4(image.convert(becomes))))


@pytest.mark.parametrize("mode", ["I", "I;16B", "F"])
def test_pil_modes_beyond_eight_bits_keep_their_values(
    x4: Upscaler, photo: np.ndarray, mode: str
) -> None:
    gray = gray_of(photo).astype(np.uint16) * 257
    array = {"I": gray.astype(np.int32), "I;16B": gray.astype(">u2"), "F": gray / 65535}[mode]
    if mode == "I;16B":
        image = Image.frombytes("I;16B", array.shape[::-1], array.tobytes())
    else:
        image = Image.fromarray(array.astype(np.float32) if mode == "F" else array)
    assert image.mode == mode
    result = np.asarray(x4(image)).astype(np.float64) * (65535 if mode == "F" else 1)
    assert np.abs(result - x4(gray)).max() <= 1


def test_integers_beyond_sixteen_bits_are_refused(x4: Upscaler) -> None:
    with pytest.raises(UnreadableImage, match=r"values from -1 to 70000 is not an image"):
        x4(Image.fromarray(np.array([[-1, 70000]], np.int32)))


def test_gray_equals_gray_colour(x4: Upscaler, photo: np.ndarray) -> None:
    gray = gray_of(photo)
    color = x4(np.repeat(gray[..., None], 3, -1)).astype(int)
    difference = np.abs(x4(gray) - color.mean(-1))
    assert difference.mean() < 0.3  # channels clamped one by one part ways in the noise
    assert difference[:64, :96].max() <= 1


def test_hidden_colour_does_not_bleed(x4: Upscaler) -> None:
    """A white disc on transparency: whatever lies hidden, no dark edge is seen."""
    y, x = np.mgrid[0:48, 0:48]
    disc = (y - 24) ** 2 + (x - 24) ** 2 < 15**2
    results = []
    for hidden in (0, 90):
        image = np.full((48, 48, 4), hidden, np.uint8)
        image[disc] = 255
        image[~disc, 3] = 0
        results.append(x4(image))
    assert np.array_equal(*results)
    alpha = results[0][..., 3]
    seen = alpha > 0
    assert 0.9 < seen.sum() / (16 * disc.sum()) < 1.15
    assert (alpha[80:112, 80:112] == 255).all()
    assert (alpha[:24] == 0).all()
    assert results[0][..., :3][seen].min() > 240


def test_plain_alpha_costs_nothing(x4: Upscaler, photo: np.ndarray) -> None:
    half = np.full((*photo.shape[:2], 1), 128, np.uint8)
    upscaled = x4.upscale(np.concatenate([photo, half], -1))
    assert upscaled.report.tiles == 1
    assert np.array_equal(upscaled.image[..., :3], x4(photo))
    assert (upscaled.image[..., 3] == 128).all()


@pytest.mark.parametrize("scale", [1.5, 2.5, 3, 3.3])
def test_other_scales_reduce(photo: np.ndarray, scale: float) -> None:
    small = Upscaler(scale=scale, device="cpu", precision="fp32")
    assert small.reduces
    result = small(photo)
    assert result.shape == (round(40 * scale), round(56 * scale), 3)
    again = Image.fromarray(result).resize((56, 40), Image.Resampling.BOX)
    assert np.abs(np.asarray(again).astype(int) - photo)[:14, :20].mean() < 3


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 2), (8, 8)])
def test_smallest_images(x4: Upscaler, shape: tuple[int, int]) -> None:
    flat = np.full((*shape, 3), 130, np.uint8)
    assert np.abs(x4(flat).astype(int) - 130).max() <= 6


@pytest.mark.parametrize(
    ("side", "tiles"),
    [(72, (32, 64)), pytest.param(None, (64, 128, 200), marks=pytest.mark.slow)],
)
def test_tiles_agree_with_the_whole(
    samples: list, side: int | None, tiles: tuple[int, ...]
) -> None:
    """At every tile size: max 2 of 255, mean 0.05, in both efforts."""
    with Image.open(samples[0]) as image:
        photo = np.asarray(image.convert("RGB"))[:side, :side]
    for effort in ("exact", "balanced"):
        whole = Upscaler(tile=0, effort=effort, precision="fp32")(photo).astype(int)
        for tile in tiles:
            upscaler = Upscaler(tile=tile, effort=effort, precision="fp32")
            upscaled = upscaler.upscale(photo)
            assert upscaled.report.tiles > 1
            difference = np.abs(upscaled.image - whole)
            assert difference.max() <= 2, (effort, tile)
            assert difference.mean() <= 0.05, (effort, tile)


@pytest.mark.slow
def test_tile_is_chosen_by_free_memory(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.tile(photo, (6, 6, 1))
    upscaler = Upscaler("adaformer-s", device="cpu", precision="fp32")
    whole = upscaler.upscale(image)
    assert whole.report.tiles == 1
    monkeypatch.setattr(tile_planner, "free_memory", lambda device: 100_000_000)
    tiled = upscaler.upscale(image)
    assert tiled.report.tiles > 1
    assert np.abs(tiled.image.astype(int) - whole.image).mean() <= 0.05


def test_a_result_beyond_memory_is_refused(
    x4: Upscaler, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_size, "available_ram", lambda: 50_000_000)
    with pytest.raises(ImageTooLarge, match=r"1680x1200 px to 6720x4800 needs 0.10 GB .*0.05 GB"):
        x4(np.tile(photo, (30, 30, 1)))


class Overflowing(torch.nn.Module):
    """Stands in for a network whose values overflow."""

    def progress_modules(self) -> dict[torch.nn.Module, int]:
        return {}

    def forward(self, lr: torch.Tensor, halting: Halting) -> SROutput:
        return SROutput(lr.new_full((1, 3, lr.shape[2] * 4, lr.shape[3] * 4), float("inf")))


def test_tile_that_overflows_is_rerun_in_fp32(photo: np.ndarray, x4: Upscaler) -> None:
    low = Upscaler(device="cpu", precision="bf16")
    low.network.module = Overflowing()
    upscaled = low.upscale(photo)
    assert upscaled.report.reruns == upscaled.report.tiles == 1
    assert np.array_equal(upscaled.image, x4(photo))


def test_overflow_in_fp32_fails(photo: np.ndarray) -> None:
    full = Upscaler(device="cpu", precision="fp32")
    full.network.module = full.network._fp32 = Overflowing()
    with pytest.raises(NonFiniteOutput, match="not finite, in fp32 too"):
        full(photo)


def test_bf16_is_close(photo: np.ndarray, x4: Upscaler) -> None:
    low = Upscaler(device="cpu", precision="bf16", effort="exact")(photo).astype(int)
    full = Upscaler(device="cpu", precision="fp32", effort="exact")(photo)
    assert 0 < np.abs(low - full).mean() < 0.7


@pytest.mark.skipif(
    not computes_int8(torch.device("cpu")), reason="this CPU has no VNNI instructions"
)
def test_int8_is_close_in_tiles_too_and_overflows_into_fp32(
    photo: np.ndarray, x4: Upscaler
) -> None:
    full = Upscaler(device="cpu", precision="fp32", effort="exact")(photo)
    low = Upscaler(device="cpu", precision="int8", effort="exact")
    found = low(photo).astype(int)
    assert 0 < np.abs(found - full).mean() < 0.3
    tiled = Upscaler(device="cpu", precision="int8", effort="exact", tile=32)(photo)
    assert np.abs(tiled - found).max() <= 1
    low = Upscaler(device="cpu", precision="int8")
    low.network.module = Overflowing()
    upscaled = low.upscale(photo)
    assert upscaled.report.reruns == 1
    assert np.array_equal(upscaled.image, x4(photo))


def test_efforts_halt_more_and_more(photo: np.ndarray) -> None:
    shares = []
    for effort in ("exact", "balanced", "fast"):
        report = Upscaler(effort=effort, precision="fp32").upscale(photo).report
        shares.append(sum(report.live_windows))
    assert shares[0] == 6
    assert shares[0] > shares[1] > shares[2]


def test_progress_counts_every_tile(photo: np.ndarray) -> None:
    seen = []
    Upscaler(tile=32, precision="fp32").upscale(photo, on_tile=lambda *count: seen.append(count))
    assert seen == [(n, 4) for n in range(1, 5)]


@pytest.mark.parametrize(
    ("arguments", "error", "line"),
    [
        (
            {"scale": 1},
            UnknownScale,
            "auto enlarges by more than 1, up to 4",
        ),
        ({"scale": 4.5}, UnknownScale, "scale 4.5 is out of range"),
        ({"scale": float("nan")}, UnknownScale, "scale nan is out of range"),
        ({"model": "esrgan"}, UnknownModel, "no weights for a model named 'esrgan'"),
        ({"effort": "most"}, UsageError, "adaformer has no effort 'most' (have exact"),
        ({"tile": 31}, UsageError, "tile 31 is too small"),
        ({"tile": -1}, UsageError, "tile -1 is too small"),
        ({"device": "cuda:7"}, UnavailableDevice, "'cuda:7' is not on this machine (have cpu"),
        ({"device": "gpu"}, UnavailableDevice, "no device named 'gpu' (have cpu"),
        ({"precision": "int4"}, UsageError, "no precision named 'int4'"),
        ({"precision": "fp16", "device": "cpu"}, UsageError, "fp16 is not for the CPU"),
    ],
)
def test_requests_that_cannot_be_met(arguments: dict, error: type, line: str) -> None:
    with pytest.raises(error) as raised:
        Upscaler(**arguments)
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("image", "line"),
    [
        (np.zeros((4, 4, 5), np.uint8), "an array of shape (4, 4, 5) is not an image"),
        (np.zeros((0, 4, 3), np.uint8), "an array of shape (0, 4, 3) is not an image"),
        (np.zeros(7, np.uint8), "an array of shape (7,) is not an image"),
        (np.zeros((4, 4), np.int64), "an array of int64 is not an image"),
        (np.full((4, 4), np.nan), "values that are not finite"),
    ],
)
def test_arrays_that_are_no_images(x4: Upscaler, image: np.ndarray, line: str) -> None:
    with pytest.raises(UnreadableImage) as raised:
        x4(image)
    assert line in str(raised.value)


@pytest.mark.parametrize("size", [(44, 25), (61, 33), (120, 68), (119, 68), (30, 17), (13, 7)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_exact_size(rng: np.random.Generator, size: tuple[int, int], channels: int) -> None:
    """Any size up to the network's is the size of the result, and the image is alike."""
    image = np.full((17, 30, channels), 90, np.uint16) * 200
    image[4:12, 8:20] = rng.integers(20000, 40000, channels)
    made = Upscaler(scale=4, precision="fp32").upscale(image, size=size).image
    assert made.shape == (size[1], size[0], channels)
    assert made.dtype == np.uint16
    assert np.abs(made.mean((0, 1)) - image.mean((0, 1))).max() < 400


def test_beyond_the_network_is_refused() -> None:
    with pytest.raises(
        ImageTooLarge,
        match="30x17 px to 121x68 is more than the network's x4; hint: ask for 120x68",
    ):
        Upscaler(scale=4).upscale(np.zeros((17, 30, 3), np.uint8), size=(121, 68))


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_hidden_colour_is_filled_alike_whatever_rows_are_done_at_a_time(
    generator: torch.Generator, rows: int
) -> None:
    color = torch.rand(3, 90, 40, generator=generator)
    alpha = (torch.rand(1, 90, 40, generator=generator) > 0.3).float()
    alpha[:, 10:75, 5:] = 0  # farther than colour spreads
    whole = bleed(color, alpha, rows=90)
    assert torch.equal(bleed(color, alpha, rows=rows), whole)
    assert torch.equal(whole[:, alpha[0] > 0], color[:, alpha[0] > 0])
    assert torch.equal(bleed(color, torch.ones(1, 90, 40), rows=rows), color)
