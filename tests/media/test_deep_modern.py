"""HEIC and AVIF of 10 and 12 bits keep them, with the colours that their numbers mean."""

import io
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from srcli.errors import UnreadableImage
from srcli.media import (
    DecodedImage,
    DecodeLimits,
    DecoderProcess,
    losses_in,
    probe,
    read_image,
    write_image,
)

pillow_heif = pytest.importorskip("pillow_heif")
AVIFS = Path(__file__).parent / "deep_avif"
TOLERANCE = 65535 * 0.016  # avifenc's loss; a wrong matrix or range is off by 0.05 and more


def slopes(width: int = 47, height: int = 33) -> np.ndarray:
    """Colours and alpha as smooth slopes, (h, w, 4) uint16."""
    down, across = np.mgrid[:height, :width]
    x, y = across / (width - 1), down / (height - 1)
    diagonal = (across + down) / (width + height - 2)
    return np.rint(np.stack([x, y, diagonal, 1 - x / 2], axis=2) * 65535).astype(np.uint16)


def check(path: Path, expected: np.ndarray, bits: int) -> DecodedImage:
    """The header and the pixels are as expected, and the depth is known."""
    info, image = probe(path), read_image(path)
    assert (info.width, info.height, info.channels, info.bits) == (
        *(image.width, image.height, image.channels, image.bits),
    )
    assert image.pixels.shape == expected.shape
    assert np.abs(image.pixels.astype(int) - expected).max() < TOLERANCE
    assert (image.bits, image.meant_bits) == (8 if bits == 8 else 16, bits)
    assert image.dropped == ()
    return image


@pytest.mark.parametrize(
    ("name", "channels", "bits"),
    [
        ("444_10bit", [0, 1, 2], 10),
        ("420_10bit_limited", [0, 1, 2], 10),
        ("422_12bit", [0, 1, 2], 12),
        ("bt2020_pq_limited", [0, 1, 2], 10),
        ("identity_12bit", [0, 1, 2], 12),
        ("gray_10bit", [2], 10),
        ("alpha_10bit", [0, 1, 2, 3], 10),
        ("premultiplied_10bit", [0, 1, 2, 3], 10),
    ],
)
def test_avif_of_every_matrix_range_and_sampling(name: str, channels: list[int], bits: int) -> None:
    image = check(AVIFS / f"{name}.avif", slopes()[..., channels], bits)
    assert len(np.unique(image.pixels[..., 0])) > (33 if bits == 10 else 40)
    assert (image.metadata.cicp is not None) == name.startswith("bt2020")


def test_gray_avif_with_alpha() -> None:
    image = read_image(AVIFS / "gray_alpha_10bit.avif")
    assert image.channels == probe(AVIFS / "gray_alpha_10bit.avif").channels
    for channel, of in ((0, 2), (-1, 3)):
        off = image.pixels[..., channel].astype(int) - slopes()[..., of]
        assert np.abs(off).max() < TOLERANCE


def test_avif_is_cropped_and_turned_by_its_container() -> None:
    whole = slopes()[..., :3]
    part = whole[2:23, 4:35]
    check(AVIFS / "clap.avif", part, 10)
    turned = read_image(AVIFS / "irot_imir.avif").pixels
    assert turned.shape[:2] == whole.shape[1::-1]
    eight = read_image(AVIFS / "clap_irot_8bit.avif").pixels
    assert np.abs(eight.astype(int) * 257 - np.rot90(part)).max() < TOLERANCE


@pytest.mark.skipif(shutil.which("avifdec") is None, reason="avifdec is not here")
@pytest.mark.parametrize("path", sorted(AVIFS.glob("*_1?bit*.avif")), ids=lambda path: path.stem)
def test_avif_is_what_avifdec_reads(tmp_path: Path, path: Path) -> None:
    made = tmp_path / "a.png"
    subprocess.run(["avifdec", "-d", "16", path, made], check=True, capture_output=True)
    found, expected = read_image(path).pixels, read_image(made).pixels
    channels = [0, 1, 2, 3][: found.shape[2]]
    if expected.shape[2] < found.shape[2]:
        channels = [0, 0, 0, 1] if found.shape[2] == 4 else [0, 0, 0]
        expected = expected[..., channels]
    limit = 40 if path.stem.startswith("premultiplied") else 2  # avifdec divides in 10 bits
    assert np.abs(found.astype(int) - expected[..., : found.shape[2]]).max() <= limit


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_short_deep_avif_is_refused(tmp_path: Path, share: float) -> None:
    data = (AVIFS / "444_10bit.avif").read_bytes()
    path = tmp_path / "a.avif"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UnreadableImage):
        read_image(path)


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize(
    ("mode", "channels"),
    [("L;16", [0]), ("RGB;16", [0, 1, 2]), ("RGBA;16", [0, 1, 2, 3])],
)
def test_heic_of_others(tmp_path: Path, bits: int, mode: str, channels: list[int]) -> None:
    pixels = slopes()[..., channels]
    made = pillow_heif.from_bytes(mode, (47, 33), np.ascontiguousarray(pixels).tobytes())
    made.save(tmp_path / "a.heic", quality=100, chroma=444, bit_depth=bits)
    image = check(tmp_path / "a.heic", pixels, bits)
    assert len(np.unique(image.pixels[..., 0])) > 33
    assert losses_in(image, "heic") == losses_in(image, "png") == ()
    assert losses_in(image, "jpeg")[-1] == f"{bits} bits rounded to 8: JPEG holds no more"


def test_premultiplied_heic_becomes_straight(tmp_path: Path) -> None:
    pixels = slopes()
    alpha = pixels[..., 3:].astype(np.uint32)
    stored = pixels.copy()
    stored[..., :3] = pixels[..., :3] * alpha // 65535
    made = pillow_heif.from_bytes("RGBa;16", (47, 33), stored.tobytes())
    made.save(tmp_path / "a.heic", quality=100, chroma=444, bit_depth=12)
    check(tmp_path / "a.heic", pixels, 12)


@pytest.mark.parametrize("precision", [None, 10, 12])
@pytest.mark.parametrize("channels", [[0], [0, 1, 2], [0, 1, 2, 3]])
def test_heic_is_written_with_the_bits_there_are(
    tmp_path: Path, precision: int | None, channels: list[int]
) -> None:
    pixels = slopes()[..., channels]
    image = DecodedImage(pixels, "heic", precision=precision)
    write_image(image, tmp_path / "a.heic", quality=100)
    check(tmp_path / "a.heic", pixels, precision or 12)
    lost = () if precision else ("16 bits rounded to 12: HEIC holds no more",)
    assert losses_in(image, "heic") == lost


def test_the_decoders_process_knows_the_bits(noise: Callable[..., np.ndarray]) -> None:
    path = AVIFS / "444_10bit.avif"
    with DecoderProcess(DecodeLimits()) as decoder:
        assert decoder.read(path).image.precision == 10


def test_avif_of_a_sequence_or_grid_is_read_with_8_bits_and_a_line(tmp_path: Path) -> None:
    """A grid's main image is not itself coded: FFmpeg is not asked."""
    data = bytearray((AVIFS / "444_10bit.avif").read_bytes())
    stream = io.BytesIO(bytes(data))
    from srcli.media.bmff import read_heif
    from srcli.media.formats.avif.deep import is_deep

    file = read_heif(stream)
    assert file.main is not None
    assert is_deep(file)
    assert not is_deep(replace(file, main=replace(file.main, kind=b"grid")))
    layered = replace(file.main, properties={**file.main.properties, b"lsel": b"\0\0"})
    assert not is_deep(replace(file, main=layered))
