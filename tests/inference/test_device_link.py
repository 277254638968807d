"""Pixels to a device and back: what arrives is what the CPU makes, to the last bit or nearly."""

import contextlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from srcli import Upscaler
from srcli.geometry import Size
from srcli.inference import device_link, result_writer
from srcli.inference.device_link import CudaLink, pack, unpack
from srcli.inference.output_size import reduce_planes
from srcli.inference.planes import quantise, split_planes
from srcli.inference.result_writer import DeviceWriter, HostWriter
from srcli.inference.row_reduction import RowReducer
from tests.two_devices import PlayedLink, two_devices

TYPES = [np.uint8, np.uint16, np.float32, np.float64]


def noise(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    """Beyond [0, 1] here and there, and with values half way between two levels."""
    values = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 1.2 - 0.1
    values.view(-1)[::7] = torch.round(values.view(-1)[::7] * 255) / 255 + 0.5 / 255
    return values


def pixels(shape: tuple[int, ...], dtype: type, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).random(shape)
    if np.issubdtype(dtype, np.integer):
        values = (values * (np.iinfo(dtype).max + 1)).astype(dtype)
    return values.astype(dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_packed_on_a_device_are_those_of_the_cpu(dtype: type, channels: int) -> None:
    planes = noise((channels, 70, 33))
    expected = np.empty((70, 33, channels), dtype)
    quantise(planes, expected)
    found = np.empty_like(expected)
    writer = DeviceWriter(found, Size(33, 70), PlayedLink())
    writer.put(planes, 0, 0)
    writer.finish()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", TYPES)
def test_planes_made_on_a_device_are_those_of_the_cpu(dtype: type) -> None:
    every = np.arange(256 if dtype == np.uint8 else 65536, dtype=np.float64)
    image = (every if np.issubdtype(dtype, np.integer) else every / 65535).astype(dtype)
    image = np.stack([image, image[::-1], image], -1)[None]  # a row with every level
    image = image[:, ::-1]  # not contiguous, as a turned image
    sent = PlayedLink().send(image)
    assert sent.dtype in (torch.uint8, torch.int16, torch.float32)
    assert torch.equal(unpack(sent), split_planes(image).color)


def test_levels_survive_the_way_there_and_back() -> None:
    image = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    packed = pack(unpack(PlayedLink().send(image)), image.dtype)
    np.testing.assert_array_equal(packed.numpy().view(np.uint16), image)


@given(
    height=st.integers(1, 90), width=st.integers(1, 90),
    share=st.floats(0.05, 1),
    other=st.floats(0.05, 1), rows=st.integers(1, 40), block=st.sampled_from([1, 7, 256]),
)  # fmt: skip
def test_rows_reduced_as_they_come_are_the_whole_reduced(
    height: int, width: int, share: float, other: float, rows: int, block: int
) -> None:
    after = Size(max(1, round(width * share)), max(1, round(height * other)))
    planes = noise((3, height, width), seed=height)
    reducer = RowReducer(Size(width, height), after)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("srcli.inference.row_reduction._ROWS", block)
        patch.setattr("srcli.inference.row_reduction._COLUMNS", block)
        made = [part for some in planes.split(rows, 1) for part in reducer.add(some)]
    assert [first for first, _ in made] == np.cumsum([0, *(p.shape[1] for _, p in made)])[
        :-1
    ].tolist()
    found = torch.cat([part for _, part in made], 1)
    torch.testing.assert_close(found, reduce_planes(planes, after), atol=1e-5, rtol=0)


def test_a_column_keeps_its_rows() -> None:
    column = torch.tensor([0.0, 0.0, 1.0, 1.0])[None, :, None]
    first, last = reduce_planes(column, Size(1, 2)).flatten().tolist()
    assert (first, last) == pytest.approx((1 - last, 1 - first))
    assert first < 0.1


def test_rows_of_a_reduction_come_before_the_image_is_whole() -> None:
    reducer = RowReducer(Size(8, 4000), Size(6, 3000))
    early = list(reducer.add(noise((3, 3000, 8))))
    assert sum(part.shape[1] for _, part in early) >= 2000
    assert reducer._held is not None
    assert reducer._held.shape[1] < 1000  # what is done is let go


@pytest.mark.parametrize("target", [Size(60, 80), Size(45, 60), Size(60, 33)], ids=str)
def test_parts_are_written_where_they_belong(target: Size, monkeypatch) -> None:
    monkeypatch.setattr(result_writer, "_VALUES", 500)  # many bands
    planes = noise((3, 80, 60))
    expected, found = (np.zeros((*target.array_shape, 3), np.uint8) for _ in range(2))
    link = PlayedLink()
    writers = HostWriter(expected, Size(60, 80)), DeviceWriter(found, Size(60, 80), link)
    for writer in writers:
        for top in (0, 32, 64):
            for left in (0, 24):
                columns = slice(left, 24 if left == 0 else 60)
                writer.put(planes[:, top : top + 32, columns].clone(), top, left)
        writer.finish()
    levels = np.abs(found.astype(int) - expected)
    assert levels.max() <= (target != Size(60, 80))
    assert (levels > 0).mean() < 1e-3
    assert 1 < link.most <= result_writer._WAITING + 1


@pytest.mark.parametrize(
    ("scale", "shape", "dtype", "tile"),
    [
        (4, (40, 56, 3), np.uint8, 0), (4, (40, 72, 3), np.uint16, 32), (4, (40, 56), np.uint8, 0),
        (4, (40, 56, 4), np.uint8, 32), (2, (40, 72, 3), np.uint8, 32),
        (2.7, (40, 56, 4), np.uint16, 0), (3, (40, 56, 3), np.float64, 32),
    ],
)  # fmt: skip
def test_an_image_over_a_link_is_that_of_the_cpu(
    scale: float, shape: tuple[int, ...], dtype: type, tile: int, monkeypatch
) -> None:
    upscaler = Upscaler("adaformer-s", scale, device="cpu", precision="fp32", tile=tile)
    image = pixels(shape, dtype)
    expected = upscaler(image)
    with two_devices(monkeypatch) as mode:
        mode.put_all(upscaler.network.module)
        upscaler.network.link = PlayedLink(mode)
        found = upscaler(image)
    most = {np.uint8: 1, np.uint16: 2, np.float64: 3e-5}[dtype] if scale != 4 else 0
    off = np.abs(found.astype(np.float64) - expected)
    assert off.max() <= most
    assert (off > 0.5).mean() < (0.3 if dtype == np.uint16 else 1e-3)
    assert all(
        part.dtype is not torch.float32 or dtype == np.float64
        for part in upscaler.network.link.fetched
    )


def test_frames_over_a_link_are_those_of_the_cpu(monkeypatch) -> None:
    upscaler = Upscaler("adaformer-s", 4, device="cpu", precision="fp32")
    frames = [pixels((24, 40, 3), np.uint8, seed) for seed in (0, 1)]
    expected, _ = upscaler.upscale_frames(frames)
    with two_devices(monkeypatch) as mode:
        mode.put_all(upscaler.network.module)
        upscaler.network.link = PlayedLink(mode)
        found, _ = upscaler.upscale_frames(frames)
    np.testing.assert_array_equal(found, expected)
    assert upscaler.network.link.most == 2  # the second is on its way before the first is here


class PlayedStream:
    """Writes down what is asked of it."""

    def __init__(self, said: list[str]) -> None:
        self.said = said

    def wait_stream(self, other: object) -> None:
        self.said.append(f"waits for {other}")

    def record_event(self) -> "PlayedStream":
        self.said.append("mark")
        return self

    def synchronize(self) -> None:
        self.said.append("host waits")


def test_cuda_copies_on_a_stream_of_its_own_by_way_of_pinned_memory(monkeypatch) -> None:
    said: list[str] = []
    empty, copy = torch.empty, torch.Tensor.copy_

    def pinned(*args, pin_memory: bool = False, **kwargs) -> torch.Tensor:
        said.extend(["pinned"] * pin_memory)
        return empty(*args, **kwargs)

    def copied(self, source, non_blocking: bool = False) -> torch.Tensor:
        said.append(f"copy, non_blocking={non_blocking}")
        return copy(self, source)

    @contextlib.contextmanager
    def on(stream: PlayedStream):
        said.append("on the stream")
        yield
        said.append("off it")

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: PlayedStream(said))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "computing")
    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(torch, "empty", pinned)
    monkeypatch.setattr(torch.Tensor, "copy_", copied)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: said.append("kept"))
    link = CudaLink(torch.device("cpu"))
    image = pixels((5, 7, 3), np.uint8)
    wait = link.fetch(torch.from_numpy(image))
    assert said == [
        "waits for computing", "pinned", "on the stream", "copy, non_blocking=True", "mark",
        "off it", "kept",
    ]  # fmt: skip
    np.testing.assert_array_equal(wait().numpy(), image)
    assert said[-1] == "host waits"
    said.clear()
    np.testing.assert_array_equal(link.send(image).numpy(), image)
    assert said == ["pinned"]


def test_only_devices_have_links() -> None:
    assert device_link.link_to(torch.device("cpu")) is None
    assert isinstance(device_link.link_to(torch.device("mps")), device_link.PlainLink)
