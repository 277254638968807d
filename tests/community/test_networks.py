"""Networks that spandrel builds, through the upscaler: results, sizes, tiles, precision."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from srcli.errors import NonFiniteOutput, UnknownScale, WeightsError
from srcli.inference.community import community_spec, load_network, measure_network
from srcli.inference.network import LoadedNetwork
from srcli.inference.upscaler import Upscaler
from srcli.models.community import build_network
from srcli.models.spec import EXACT
from srcli.transfer.policy import Policy
from srcli.weights import best_scale
from srcli.weights.outside import as_known
from tests.community.networks import NETWORKS, build, reference

NOT_RGB = ("compact-x1", "compact-gray", "compact-rgba")
RGB = [kind for kind in NETWORKS if kind not in (*NOT_RGB, "swinir-light")]
CPU = torch.device("cpu")


@pytest.fixture
def known(network_file: Callable[..., Path]) -> Callable[..., str]:
    """Write a network of a kind and give the name that `-m` then takes."""
    return lambda kind, **how: as_known(str(network_file(kind, **how)), Policy(offline=True))


def apart(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize("kind", RGB)
def test_whole_image_is_what_spandrel_makes(
    kind: str, known: Callable[..., str], photo: np.ndarray
) -> None:
    upscaler = Upscaler(known(kind), NETWORKS[kind][1], tile=0)
    assert apart(upscaler(photo), reference(kind, photo)) <= 1


def test_swinir_light_needs_no_spandrel_and_gives_what_spandrel_gives(
    network_file: Callable[..., Path], rng: np.random.Generator
) -> None:
    # Whole windows, which spandrel would mirror otherwise, and no flat border, which srcli keeps.
    image = rng.integers(60, 200, (40, 56, 3)).astype(np.uint8)
    name = as_known(str(network_file("swinir-light")), Policy(offline=True))
    assert best_scale(name, 4).model == "swinir-light"
    upscaler = Upscaler(name, 4, precision="fp32", tile=0)  # as spandrel computes
    assert apart(upscaler(image), reference("swinir-light", image)) <= 1


@pytest.mark.parametrize("kind", ["compact", "span", "safmn"])
def test_tiles_are_what_the_whole_image_gives(
    kind: str, known: Callable[..., str], rng: np.random.Generator
) -> None:
    image = rng.integers(60, 200, (7, 9, 3)).astype(np.uint8).repeat(12, 0).repeat(12, 1)
    name, scale = known(kind), NETWORKS[kind][1]
    tiled = Upscaler(name, scale, tile=32).upscale(image)
    assert not tiled.report.exact
    assert tiled.report.tiles > 4
    assert apart(tiled.image, Upscaler(name, scale, tile=0)(image)) <= 1


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (8, 8), (13, 31)])
@pytest.mark.parametrize("kind", ["safmn", "swinir", "esrgan-unshuffle"])
def test_sizes_that_a_network_does_not_take_are_padded(
    kind: str, size: tuple[int, int], known: Callable[..., str], photo: np.ndarray
) -> None:
    image = photo[: size[0], : size[1]]
    result = Upscaler(known(kind), 2)(image)
    assert result.shape == (2 * size[0], 2 * size[1], 3)
    assert apart(result, reference(kind, image)) <= 1


def test_gray_network_computes_colours_one_by_one(
    known: Callable[..., str], photo: np.ndarray
) -> None:
    upscale = Upscaler(known("compact-gray"), 2)
    result = upscale(photo)
    for channel in range(3):
        gray = upscale(np.ascontiguousarray(photo[..., channel]))
        assert apart(result[..., channel], gray) <= 1


def test_network_with_alpha_is_given_an_opaque_image(
    known: Callable[..., str], photo: np.ndarray
) -> None:
    opaque = np.concatenate([photo, np.full_like(photo[..., :1], 255)], -1)
    result = Upscaler(known("compact-rgba"), 2)(photo)
    assert apart(result, reference("compact-rgba", opaque)[..., :3]) <= 1


@pytest.mark.parametrize("kind", ["compact", "span"])
def test_alpha_gray_and_sixteen_bits_keep_their_kind(
    kind: str, known: Callable[..., str], photo: np.ndarray
) -> None:
    upscale = Upscaler(known(kind), 2)
    deep = photo.astype(np.uint16) * 257
    rgba = np.dstack([photo, photo[..., 0]])
    for image in (deep, rgba, photo[..., 0], rgba.astype(np.uint16) * 257):
        result = upscale(image)
        assert result.dtype == image.dtype
        assert result.shape == (80, 112, *image.shape[2:])
    assert apart((upscale(deep) / 257).round().astype(np.uint8), upscale(photo)) <= 1


def test_exact_sizes_between_scales_are_reduced(
    known: Callable[..., str], photo: np.ndarray
) -> None:
    assert Upscaler(known("compact"), 2.5)(photo).shape == (100, 140, 3)
    with pytest.raises(UnknownScale, match="enlarges by more than 1, up to 2"):
        Upscaler(known("span"), 3)


@pytest.mark.parametrize("how", [{"scale": 1}, {"scale": 8}])
def test_scales_one_and_eight(
    how: dict[str, int], known: Callable[..., str], photo: np.ndarray
) -> None:
    kind = f"compact-x{how['scale']}"
    result = Upscaler(known(kind), how["scale"])(photo)
    assert apart(result, reference(kind, photo)) <= 1


def test_chain_gives_what_one_after_the_other_gives(
    known: Callable[..., str], photo: np.ndarray
) -> None:
    restoring, enlarging = known("compact-x1"), known("span")
    image = photo.astype(np.float32) / 255
    between = Upscaler(restoring, 1)(image)
    assert np.abs(between - image).max() > 0.01
    chained = Upscaler(f"{restoring},{enlarging}", 2).upscale(image)
    np.testing.assert_allclose(chained.image, Upscaler(enlarging, 2)(between), atol=1e-5)
    assert chained.report.tiles == 2


def test_only_networks_that_keep_the_size_go_before_another(known: Callable[..., str]) -> None:
    with pytest.raises(UnknownScale, match=r"^span-\w+ makes x2.*-m adaformer-s$"):
        Upscaler(f"{known('span')},adaformer-s", 4)
    with pytest.raises(UnknownScale, match=r"keeps the size; hint: -s 1.*compact-x1,adaformer"):
        Upscaler(known("compact-x1"), 4)


def test_values_beyond_half_precision_are_computed_again_in_full(
    tmp_path: Path, cache: Path, photo: np.ndarray
) -> None:
    network = build("compact")
    with torch.no_grad():  # 1e6 in between, which fp16 cannot hold, and back
        first, last = network.body[0], network.body[-1]
        first.weight.mul_(1e6)
        last.weight.mul_(1e-6)
    torch.save(network.state_dict(), tmp_path / "large.pth")
    name = as_known(str(tmp_path / "large.pth"), Policy())
    half = LoadedNetwork(best_scale(name, 4), CPU, torch.float16)
    lr = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
    image = half(lr, EXACT).image
    assert half.reruns == 1
    full = LoadedNetwork(best_scale(name, 4), CPU, torch.float32)(lr, EXACT).image
    torch.testing.assert_close(image, full)


def test_infinite_values_are_not_hidden_by_the_clamp(
    tmp_path: Path, cache: Path, photo: np.ndarray
) -> None:
    network = build("compact")
    with torch.no_grad():
        for layer in (network.body[0], network.body[2], network.body[-1]):
            layer.weight.mul_(1e30)
    torch.save(network.state_dict(), tmp_path / "endless.pth")
    upscale = Upscaler(as_known(str(tmp_path / "endless.pth"), Policy()), 4)
    with pytest.raises(NonFiniteOutput, match="endless gave values that are not finite"):
        upscale(photo)


def test_precision_that_a_network_cannot_be_computed_in_is_not_taken(
    known: Callable[..., str],
) -> None:
    entry = best_scale(known("swinir"), 2)
    assert torch.float16 not in community_spec(entry, CPU).precisions
    assert LoadedNetwork(entry, CPU, torch.float16).dtype == torch.float32
    assert LoadedNetwork(entry, CPU, torch.bfloat16).dtype == torch.bfloat16


def test_bf16_differs_by_what_its_eight_bits_round(
    known: Callable[..., str], photo: np.ndarray
) -> None:
    name = known("compact")
    low = Upscaler(name, 4, precision="bf16")(photo)
    assert 0 < apart(low, Upscaler(name, 4)(photo)) <= 8


def test_measured_overlap_covers_what_convolutions_see(known: Callable[..., str]) -> None:
    """Four 3x3 convolutions reach 4 px: one step of the grid does; 2 x 24 reach 32 px."""
    near = measure_network(load_network(best_scale(known("compact"), 4)), CPU)
    assert (near.overlap, near.alignment) == (16, 16)
    network = build_network(build("compact").state_dict(), "compact")
    network.body.body[0] = torch.nn.Conv2d(3, 8, 49, padding=24)
    torch.nn.init.constant_(network.body.body[0].weight, 1e-3)
    assert measure_network(network, CPU).overlap == 32


def test_measurement_is_made_once(
    known: Callable[..., str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = best_scale(known("span"), 2)
    first = community_spec(entry, CPU)
    assert len(list((cache / "networks").iterdir())) == 1

    def measured_again(*_: object) -> None:
        pytest.fail("measured again")

    monkeypatch.setattr("srcli.inference.community.measure_network", measured_again)
    assert community_spec(entry, CPU).overlap == first.overlap
    (kept,) = (cache / "networks").iterdir()
    kept.write_text("{", "utf-8")  # cut off by a full disk
    with pytest.raises(pytest.fail.Exception, match="measured again"):
        community_spec(entry, CPU)


def test_memory_estimate_grows_with_what_is_held(known: Callable[..., str]) -> None:
    """SPAN holds a dozen maps of 8 channels; more than the image, less than a megabyte a px."""
    spec = community_spec(best_scale(known("span"), 2), CPU)
    assert 8 * 4 * 4 < spec.memory.forward < 8 * 4 * 100


def test_upscaler_takes_a_file(network_file: Callable[..., Path], photo: np.ndarray) -> None:
    result = Upscaler(str(network_file("span", "nice.pth")), 2)(photo)
    assert apart(result, reference("span", photo)) <= 1


def test_unknown_parameters_are_refused(cache: Path) -> None:
    with pytest.raises(WeightsError, match="neither srcli nor spandrel knows its network"):
        build_network({"a.weight": torch.zeros(3, 3)}, "odd.pth")
