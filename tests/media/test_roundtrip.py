"""Written images read back equal, by srcli and by other programs."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from srcli.media import DecodedImage, is_image_name, probe, read_image, suffix_of, write_image

DTYPES = (np.uint8, np.uint16)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("format", ["png", "tiff"])
def test_png_and_tiff_are_exact_for_every_kind_of_pixels(tmp_path, noise, format, dtype, channels):
    image = DecodedImage(noise(channels, dtype), format)
    path = tmp_path / "image"
    write_image(image, path)
    back = read_image(path)
    np.testing.assert_array_equal(back.pixels, image.pixels)
    assert back.pixels.dtype == dtype
    assert back.format == format


@pytest.mark.parametrize("channels", [1, 3])
def test_bmp_is_exact(tmp_path, noise, channels):
    write_image(DecodedImage(noise(channels), "bmp"), tmp_path / "image")
    np.testing.assert_array_equal(read_image(tmp_path / "image").pixels, noise(channels))


@pytest.mark.parametrize("channels", [3, 4])
def test_lossless_webp_is_exact_and_stays_lossless(tmp_path, noise, channels):
    pixels = noise(channels)
    pixels[0, :, -1] = 0  # colours under full transparency too
    write_image(DecodedImage(pixels, "webp", lossless=True), tmp_path / "image")
    back = read_image(tmp_path / "image")
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.lossless


def test_lossy_webp_stays_lossy(tmp_path, corners):
    write_image(DecodedImage(corners.repeat(3, axis=2), "webp"), tmp_path / "image")
    assert not read_image(tmp_path / "image").lossless
    assert b"VP8 " in (tmp_path / "image").read_bytes()


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_close_and_not_subsampled(tmp_path, corners, channels):
    pixels = corners.repeat(channels, axis=2)
    write_image(DecodedImage(pixels, "jpeg"), tmp_path / "image")
    back = read_image(tmp_path / "image")
    assert np.abs(back.pixels.astype(int) - pixels).max() <= 4
    with Image.open(tmp_path / "image") as image:
        assert {(h, v) for _, h, v, _ in image.layer} == {(1, 1)}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_tifffile_reads_our_tiff(tmp_path, noise, dtype, channels):
    pixels = noise(channels, dtype, 400, 1300)  # several strips
    write_image(DecodedImage(pixels, "tiff"), tmp_path / "image.tif")
    back = tifffile.imread(tmp_path / "image.tif")
    np.testing.assert_array_equal(back.reshape(pixels.shape), pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_ffmpeg_reads_our_16_bit_png(tmp_path, noise, channels):
    import av

    pixels = noise(channels, np.uint16, 300, 1300)  # several bands
    write_image(DecodedImage(pixels, "png"), tmp_path / "image.png")
    with av.open(str(tmp_path / "image.png")) as container:
        frame = next(container.decode(video=0))
    rows = np.frombuffer(frame.planes[0], ">u2").reshape(300, -1)
    np.testing.assert_array_equal(rows[:, : 1300 * channels].reshape(pixels.shape), pixels)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pillow_reads_our_8_bit_files(tmp_path, noise, mode):
    pixels = noise(len(mode))
    for format in ("png", "tiff"):
        write_image(DecodedImage(pixels, format), tmp_path / format)
        with Image.open(tmp_path / format) as image:
            assert image.mode == mode
            np.testing.assert_array_equal(np.asarray(image).reshape(pixels.shape), pixels)


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff", "bmp"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_probe_foretells_what_is_read(tmp_path, noise, format, dtype, channels):
    write_image(DecodedImage(noise(channels, dtype), format), tmp_path / "image")
    info, image = probe(tmp_path / "image"), read_image(tmp_path / "image")
    assert info.format == image.format == format
    assert (info.height, info.width, info.channels) == image.pixels.shape
    assert info.bits == image.bits


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_the_content_decides_whatever_the_name_says(tmp_path, corners, format):
    buffer = io.BytesIO()
    Image.fromarray(corners[..., 0]).save(buffer, format)
    path = tmp_path / ("wrong.png" if format != "PNG" else "wrong.jpg")
    path.write_bytes(buffer.getvalue())
    assert read_image(path).format == format.lower()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("format", ["png", "tiff", "bmp"])
def test_pixels_in_any_memory_order_are_written(tmp_path, noise, format, dtype):
    planes = np.ascontiguousarray(noise(3, dtype).transpose(2, 0, 1))  # as a network gives them
    if format == "bmp":
        planes = planes.astype(np.uint8)
    write_image(DecodedImage(planes.transpose(1, 2, 0), format), tmp_path / "image")
    back = read_image(tmp_path / "image").pixels
    np.testing.assert_array_equal(back, planes.transpose(1, 2, 0))


def test_names(tmp_path):
    names = ("a.png", "a.JPG", "a.jpeg", "a.jpe", "a.jfif", "a.webp", "a.tif", "a.TIFF", "a.bmp")
    assert all(is_image_name(tmp_path / name) for name in (*names, "a.dib"))
    assert not any(is_image_name(tmp_path / name) for name in ("a", "png", ".png", "a.gif"))
    for format in ("png", "jpeg", "webp", "tiff", "bmp"):
        assert is_image_name(tmp_path / f"a{suffix_of(format)}")


def test_pixels_can_be_given_to_torch_without_a_copy(tmp_path, noise):
    for format, dtype in (("png", np.uint8), ("png", np.uint16), ("tiff", np.uint16)):
        write_image(DecodedImage(noise(3, dtype), format), tmp_path / "image")
        pixels = read_image(tmp_path / "image").pixels
        assert pixels.flags.writeable
        assert pixels.flags.c_contiguous
