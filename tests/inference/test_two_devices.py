"""The upscaler never mixes tensors of the device with the host's."""

import numpy as np
import pytest
import torch

from srcli.inference.upscaler import Upscaler
from srcli.models import model_spec
from srcli.models.layers import shifted_windows, short_way
from srcli.models.spec import Halting
from tests.two_devices import PlayedLink, two_devices


def image(channels: int) -> np.ndarray:
    """Half flat, half noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 72, channels), np.uint8)
    pixels[:, :36, :3] = 90
    return pixels


@pytest.mark.parametrize(
    ("model", "effort", "tile", "scale", "channels"),
    [
        ("adaformer-s", "exact", 32, 4, 4),
        ("adaformer", "balanced", 0, 4, 3),
        ("adaformer-s", "balanced", 32, 2.5, 4),
        ("adaformer-s", "fast", 32, 4, 3),
    ],
)
def test_no_operation_mixes_devices(
    model: str, effort: str, tile: int, scale: float, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    upscaler = Upscaler(model, scale, device="cpu", precision="fp32", effort=effort, tile=tile)
    plain = upscaler(image(channels))
    with two_devices(monkeypatch) as mode:
        mode.put_all(upscaler.network.module)
        np.testing.assert_array_equal(upscaler(image(channels)), plain)
    assert mode.operations > 500


def test_nor_do_maps_and_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    upscaler = Upscaler(scale=4, device="cpu", precision="fp32", tile=0)
    with two_devices(monkeypatch) as mode:
        mode.put_all(upscaler.network.module)
        explained = upscaler.explain(image(3))
        frames, _ = upscaler.upscale_frames([image(3), image(3)])
    for frame in frames:
        np.testing.assert_array_equal(frame, explained.image)


@pytest.mark.slow
@torch.inference_mode()
@pytest.mark.parametrize("name", ["atd-light", "pp-atd-light", "camixer-atd-light"])
def test_nor_does_the_quality_family(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shifted_windows._order.cache_clear()  # what the play has not seen made
    network = model_spec(name).build(4).eval()
    with two_devices(monkeypatch) as mode:
        mode.put_all(network)
        lr = mode.put(torch.from_numpy(image(3)).permute(2, 0, 1)[None] / 255.0)
        sr = network(lr, Halting(None, skip_pure=True)).image
        assert mode.there(sr)


def test_the_play_sees_a_tensor_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    there = torch.device("cpu")
    with two_devices(monkeypatch), pytest.raises(AssertionError, match="add on tensors of two"):
        torch.ones(3).to(there) + torch.arange(3)
    with two_devices(monkeypatch), pytest.raises(AssertionError, match="index on tensors of two"):
        torch.zeros(3, device=there)[torch.tensor([0, 1])].sum()
    with two_devices(monkeypatch) as mode:
        back = torch.ones(3).to(there).cpu() + torch.arange(3)
        assert not mode.there(back)


@pytest.mark.parametrize(("name", "layers"), [("adaformer", 6), ("adaformer-s", 3)])
@pytest.mark.parametrize("scale", [4, 2.5])
def test_a_balanced_image_waits_for_the_device_a_few_times(
    name: str, layers: int, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most L + 2 times per band of L layers; here the whole image is one."""
    upscaler = Upscaler(name, scale, device="cpu", precision="fp32", tile=0)
    monkeypatch.setattr(short_way, "pays_on", lambda device: False)  # as on a card
    with two_devices(monkeypatch) as mode:
        mode.put_all(upscaler.network.module)
        upscaler.network.link = link = PlayedLink(mode)
        upscaler(image(3))
    assert len(link.fetched) == 1
    assert len(mode.waits) + len(link.fetched) <= layers + 2
    assert len(mode.waits) >= layers - 1  # the play sees those of packing
