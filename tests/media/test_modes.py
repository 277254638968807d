"""Every mode Pillow knows comes out as gray or RGB with its alpha."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from skimage.color import lab2rgb

from srcli.errors import UnreadableImage
from srcli.media import read_image


def read(tmp_path, image, format, **options):
    path = tmp_path / "image"
    image.save(path, format, **options)
    return read_image(path)


@pytest.fixture
def rgb(noise):
    return Image.fromarray(noise(3))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP"])
def test_one_bit_becomes_black_and_white(tmp_path, rgb, format):
    image = rgb.convert("1")
    pixels = read(tmp_path, image, format).pixels[..., :1]  # BMP: a palette of two
    np.testing.assert_array_equal(pixels[..., 0], np.asarray(image) * 255)


@pytest.mark.parametrize(
    ("mode", "format"),
    [("L", "PNG"), ("LA", "PNG"), ("RGBA", "PNG"), ("L", "TIFF"), ("LA", "TIFF"), ("RGBA", "TIFF")],
)
def test_plain_modes_pass_unchanged(tmp_path, noise, mode, format):
    pixels = noise(len(mode))
    image = Image.fromarray(pixels[..., 0] if mode == "L" else pixels)
    assert image.mode == mode
    np.testing.assert_array_equal(read(tmp_path, image, format).pixels, pixels)


def test_palette(tmp_path, rgb):
    image = rgb.quantize(17)
    expected = np.asarray(image.convert("RGB"))
    for format in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(read(tmp_path, image, format).pixels, expected)


def test_palette_with_a_transparent_index(tmp_path, rgb):
    image = rgb.quantize(17)
    pixels = read(tmp_path, image, "PNG", transparency=3).pixels
    assert pixels.shape[2] == 4
    np.testing.assert_array_equal(pixels[..., 3], np.where(np.asarray(image) == 3, 0, 255))


def test_palette_with_alpha_for_each_index(tmp_path, rgb):
    image = rgb.quantize(17)
    alphas = bytes(range(0, 170, 10))
    pixels = read(tmp_path, image, "PNG", transparency=alphas).pixels
    expected = np.frombuffer(alphas, np.uint8)[np.asarray(image)]
    np.testing.assert_array_equal(pixels[..., 3], expected)
    np.testing.assert_array_equal(pixels[..., :3], np.asarray(image.convert("RGB")))


def test_palette_with_alpha_channel(tmp_path, rgb):
    image = rgb.quantize(17).convert("PA")
    pixels = read(tmp_path, image, "TIFF").pixels
    np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGBA")))


def test_key_colours_become_alpha(tmp_path, noise):
    pixels = noise(3) // 128 * 255
    key = (255, 0, 255)
    back = read(tmp_path, Image.fromarray(pixels), "PNG", transparency=key).pixels
    expected = np.where((pixels == key).all(axis=2), 0, 255)
    np.testing.assert_array_equal(back[..., 3], expected)
    gray = read(tmp_path, Image.fromarray(pixels[..., 0]), "PNG", transparency=255).pixels
    np.testing.assert_array_equal(gray[..., 1], 255 - pixels[..., 0])


def test_premultiplied_alpha_becomes_straight(tmp_path):
    image = Image.new("RGBa", (4, 4), (50, 25, 0, 100))
    image.frombytes(bytes((50, 25, 0, 100)) * 16)
    buffer = io.BytesIO()
    Image.frombytes("RGBA", (4, 4), image.tobytes()).save(buffer, "TIFF")
    data = buffer.getvalue()
    at = data.index(struct.pack("<HHI", 338, 3, 1))  # ExtraSamples: straight to associated
    (tmp_path / "image").write_bytes(data[: at + 8] + b"\1" + data[at + 9 :])
    pixels = read_image(tmp_path / "image").pixels
    assert np.abs(pixels[0, 0].astype(int) - (127, 64, 0, 100)).max() <= 1


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_without_profile_by_the_plain_formula(tmp_path, format):
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    decoded = read(tmp_path, image, format)
    assert np.abs(decoded.pixels.astype(int) - (0, 255, 255)).max() <= 2
    assert decoded.metadata.icc is None


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("ink", "lab"),
    [
        ((0, 0, 0, 0), (100, 0, 0)),
        ((255, 0, 0, 0), (50.2, -40, -40)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((0, 0, 255, 0), (100, 0, 0)),
    ],
)
def test_cmyk_through_its_profile_to_srgb(tmp_path, cmyk_profile, format, ink, lab):
    image = Image.new("CMYK", (16, 16), ink)
    decoded = read(tmp_path, image, format, icc_profile=cmyk_profile)
    expected = lab2rgb(np.array(lab, float), illuminant="D65") * 255
    assert np.abs(decoded.pixels - expected).max() <= 8
    assert decoded.metadata.icc is not None
    assert decoded.metadata.icc[16:20] == b"RGB "


def test_lab_becomes_srgb(tmp_path):
    image = Image.new("LAB", (8, 8), (128, 100, 150))
    pixels = read(tmp_path, image, "TIFF").pixels
    assert pixels.shape == (8, 8, 3)
    assert pixels.std(axis=(0, 1)).max() == 0
    assert pixels.max() > 0


def test_ycbcr_becomes_rgb(tmp_path):
    image = Image.new("RGB", (16, 16), (200, 100, 50)).convert("YCbCr")
    pixels = read(tmp_path, image, "TIFF").pixels
    assert np.abs(pixels.astype(int) - (200, 100, 50)).max() <= 3


def test_gray_16_bit_of_pillow(tmp_path, noise):
    values = noise(1, np.uint16)
    image = Image.fromarray(values[..., 0])
    assert image.mode == "I;16"
    for format in ("PNG", "TIFF"):
        np.testing.assert_array_equal(read(tmp_path, image, format).pixels, values)


@pytest.mark.parametrize(
    ("image", "line"),
    [
        (Image.new("F", (4, 4), 5), "its floating-point samples reach from 5 to 5.*16 bits"),
        (Image.new("I", (4, 4)), r"a kind of TIFF \(32-bit signed samples\).*16 bits"),
    ],
)
def test_32_bits_are_refused_with_a_remedy(tmp_path, image, line):
    with pytest.raises(UnreadableImage, match=line):
        read(tmp_path, image, "TIFF")


def test_the_first_frame_or_page_is_read(tmp_path, noise):
    frames = [Image.fromarray(noise(channels)[..., :3]) for channels in (3, 4)]
    for format, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        options |= {"save_all": True, "append_images": frames[1:]}
        back = read(tmp_path, frames[0], format, **options)
        np.testing.assert_array_equal(back.pixels[..., :3], noise(3))
