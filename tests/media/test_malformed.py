"""Files of any content end as an image or as one clear line."""

import io
import os
import struct
import sys
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from srcli.errors import ImageTooLarge, InputError, UnreadableImage
from srcli.media import DecodedImage, Metadata, probe, read_image, write_image


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def written(noise, tmp_path, format, dtype, metadata=None):
    write_image(DecodedImage(noise(3, dtype), format, metadata or Metadata()), tmp_path / "written")
    return (tmp_path / "written").read_bytes()


def tiff_of(pixels, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="rgb", **options)
    return buffer.getvalue()


def rle_bmp(width=32, height=24):
    rows = b"".join(bytes((16, row, 16, 255 - row, 0, 0)) for row in range(height)) + b"\0\1"
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 256)
    palette = b"".join(bytes((i, i, i, 0)) for i in range(256))
    return b"BM" + struct.pack("<IHHI", 1078 + len(rows), 0, 0, 1078) + head + palette + rows


@pytest.fixture
def whole_files(noise, png16, png_chunk, exif, icc, tmp_path):
    rgb = Image.fromarray(noise(3))
    deep = noise(3, np.uint16)
    metadata = Metadata(
        icc(b"RGB "), exif(1), b"<x/>", (300.0, 300.0), b"\x1c\2\x78\0\1A", b"\xff\xfe\0\3A",
        png_chunk(b"tEXt", b"Title\0A") + png_chunk(b"iTXt", b"Author\0\0\0\0\0B"),
        png_chunk(b"gAMA", bytes(4)), bytes((9, 16, 0, 1)),
    )  # fmt: skip
    files = {
        "png": saved(rgb, "PNG"),
        "png palette": saved(rgb.quantize(17), "PNG"),
        "png 16": png16(deep),
        "png 16 interlaced": png16(deep, interlaced=True),
        "jpeg": saved(rgb, "JPEG"),
        "jpeg progressive": saved(rgb, "JPEG", progressive=True),
        "jpeg cmyk": saved(rgb.convert("CMYK"), "JPEG"),
        "webp": saved(rgb, "WEBP"),
        "webp lossless": saved(rgb, "WEBP", lossless=True),
        "webp alpha": saved(Image.fromarray(noise(4)), "WEBP", exif=exif(1)),
        "tiff": saved(rgb, "TIFF"),
        "tiff 16": tiff_of(deep),
        "tiff 16 deflate": tiff_of(deep, compression="zlib"),
        "tiff 16 tiles": tiff_of(deep, tile=(16, 16)),
        "tiff 16 big": tiff_of(deep, bigtiff=True),
        "bmp": saved(rgb, "BMP"),
        "bmp gray": saved(rgb.convert("L"), "BMP"),
    }
    for compression in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        files[compression] = saved(rgb, "TIFF", compression=compression)
    files["our jpeg"] = written(noise, tmp_path, "jpeg", np.uint8, metadata)
    for format in ("png", "tiff"):
        for dtype in (np.uint8, np.uint16):
            name = f"our {format} {dtype.__name__}"
            files[name] = written(noise, tmp_path, format, dtype, metadata)
    return files


def refusal(path):
    """The one line a file is refused with; empty if it is accepted."""
    line = ""
    for function in (probe, read_image):
        try:
            function(path)
        except InputError as error:
            line = str(error)
    assert len(line.splitlines()) <= 1
    return line


def test_truncated_files_are_refused_wherever_they_end(tmp_path, whole_files):
    path = tmp_path / "image.png"
    for name, file in whole_files.items():
        ends = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"\0\0\0\0IEND\xaeB`\x82"}  # may be missing
        data = file.removesuffix(ends.get(file[:2], b""))
        path.write_bytes(data)
        read_image(path)
        cuts = {*np.linspace(0, len(data) - 1, 24, dtype=int).tolist(), *range(1, 33)}
        for cut in sorted({*cuts, *range(len(data) - 9, len(data))}):
            path.write_bytes(data[:cut])
            assert refusal(path).startswith(f"{path}: "), f"{name}, cut at {cut} of {len(data)}"


def test_truncated_run_length_bmp(tmp_path):
    path, data = tmp_path / "image.bmp", rle_bmp()
    path.write_bytes(data)
    assert read_image(path).pixels.shape == (24, 32, 1)
    for cut in range(1080, len(data) - 4, 7):  # the last four bytes say nothing but the end
        path.write_bytes(data[:cut])
        with pytest.raises(UnreadableImage):
            read_image(path)


def test_altered_files_never_end_otherwise(tmp_path, whole_files):
    generator = np.random.default_rng(0)
    path = tmp_path / "altered"
    for data in whole_files.values():
        for reach in (64, 512, len(data)) * 3:
            altered = bytearray(data)
            for at in generator.integers(0, min(reach, len(data)), 3):
                altered[at] = generator.integers(0, 256)
            path.write_bytes(altered)
            assert refusal(path) == "" or refusal(path).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello world, I am a text", "not a supported image"),
        (b"GIF89a" + bytes(50), "not a supported image"),
        (np.random.default_rng(0).bytes(5000), "not a supported image"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
        (b"\xff\xd8\xff", "damaged"),
        (b"BM", "cut short"),
        (b"RIFF\0\0\0\0WEBP", "it holds no image"),
        (b"II*\0", "cut short"),
    ],
)
def test_files_that_are_no_images(tmp_path, content, reason):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(UnreadableImage, match=rf"x\.png: .*{reason}"):
        read_image(tmp_path / "x.png")


def raw_of(kind):
    """A file as cameras write them: a preview first, what the sensor saw below it."""
    preview = np.zeros((12, 16, 3), np.uint8)
    tags = {"dng": [(50706, 1, 4, (1, 4, 0, 0), True)]}.get(kind, [])
    if kind == "cr2":
        sides = struct.pack("<HHHIIHHII", 2, 256, 4, 1, 16, 257, 4, 1, 12)
        return b"II*\0\x10\0\0\0CR\2\0" + bytes(4) + sides + bytes(4)
    buffer = io.BytesIO()
    below = 1 if kind in ("nef", "pyramid") else 0
    with tifffile.TiffWriter(buffer) as file:
        file.write(
            preview, photometric="rgb", subifds=below, extratags=tags,
            subfiletype=1 if kind == "nef" else 0,
        )  # fmt: skip
        if below:
            file.write(np.zeros((24, 32), np.uint16), photometric="minisblack", subfiletype=1)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["dng", "nef", "cr2"])
@pytest.mark.parametrize("function", [probe, read_image])
def test_camera_raw_is_refused(tmp_path, kind, function):
    (tmp_path / "x.tif").write_bytes(raw_of(kind))
    with pytest.raises(UnreadableImage, match="camera raw is not read; develop it first"):
        function(tmp_path / "x.tif")


def test_a_pyramid_is_no_camera_raw(tmp_path):
    (tmp_path / "x.tif").write_bytes(raw_of("pyramid"))
    assert read_image(tmp_path / "x.tif").pixels.shape == (12, 16, 3)


def test_short_pixels_in_a_sound_16_bit_png(tmp_path, noise, png16):
    (tmp_path / "x.png").write_bytes(png16(noise(3, np.uint16), rows=20))
    with pytest.raises(UnreadableImage, match="its pixels end after"):
        read_image(tmp_path / "x.png")


def test_png_with_a_wrong_checksum(tmp_path, noise, png16):
    data = bytearray(png16(noise(3, np.uint16)))
    data[60] ^= 1
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(UnreadableImage, match="fails the checksum"):
        read_image(tmp_path / "x.png")


def headers(width, height, png_chunk):
    """Headers of every format that promise an image of this size, and hold none."""
    ihdr = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    png = (
        png_chunk(b"IHDR", ihdr) + png_chunk(b"IDAT", zlib.compress(b"")) + png_chunk(b"IEND", b"")
    )
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\1\x11\0\2\x11\0\3\x11\0"
    scan = b"\xff\xda\0\x0c\3\1\0\2\0\3\0\0\x3f\0"
    canvas = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1)]
    tags += [(273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, 8)]
    tiff = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    bmp = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return {
        "png": b"\x89PNG\r\n\x1a\n" + png,
        "jpeg": b"\xff\xd8\xff\xc0" + frame + scan + b"\xff\xd9",
        "webp": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + canvas,
        "tiff": b"II*\0\x10\0\0\0" + bytes(8) + struct.pack("<H", len(tags)) + tiff + bytes(4),
        "bmp": b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + bmp,
    }


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff", "bmp"])
@pytest.mark.parametrize("function", [probe, read_image])
def test_a_header_beyond_the_limit(tmp_path, png_chunk, format, function):
    path = tmp_path / "bomb.png"
    path.write_bytes(headers(60000, 60000, png_chunk)[format])
    with pytest.raises(
        ImageTooLarge, match=r"bomb\.png: 60000x60000 is 3600 megapixels, limit 512"
    ):
        function(path)


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff", "bmp"])
def test_the_limit_is_the_callers_and_not_pillows(tmp_path, png_chunk, format):
    path = tmp_path / "image"
    path.write_bytes(headers(15000, 14000, png_chunk)[format])
    assert probe(path).megapixels == 210
    with pytest.raises(ImageTooLarge, match="limit 209"):
        probe(path, max_megapixels=209.0)


def test_decoding_leaves_pillows_settings_alone(tmp_path, noise):
    limit = Image.MAX_IMAGE_PIXELS
    write_image(DecodedImage(noise(3), "tiff"), tmp_path / "image")
    read_image(tmp_path / "image")
    assert limit == Image.MAX_IMAGE_PIXELS


def test_what_is_no_regular_file(tmp_path):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    for name, reason in (("folder", "a folder"), ("pipe", "a pipe or device"), ("none", "No such")):
        with pytest.raises(UnreadableImage, match=rf"{name}\.png: {reason}"):
            read_image(tmp_path / f"{name}.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(tmp_path):
    (tmp_path / "x.png").touch(mode=0)
    with pytest.raises(UnreadableImage, match="Permission denied"):
        read_image(tmp_path / "x.png")


@pytest.mark.skipif(sys.platform != "linux", reason="a file that opens and cannot be read")
def test_a_file_that_fails_while_it_is_read():
    from pathlib import Path

    with pytest.raises(UnreadableImage, match="mem: Input/output error"):
        read_image(Path("/proc/self/mem"))
