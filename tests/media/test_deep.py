"""16 bits a sample, from files written by others."""

import io
import struct
from fractions import Fraction

import numpy as np
import pytest
import tifffile

from srcli.media import probe, read_image

PHOTOMETRIC = {1: "minisblack", 2: "minisblack", 3: "rgb", 4: "rgb"}


def check(path, pixels):
    image = read_image(path)
    assert image.pixels.dtype == np.uint16
    np.testing.assert_array_equal(image.pixels, pixels)
    info = probe(path)
    assert (info.height, info.width, info.channels, info.bits) == (*pixels.shape, 16)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png(tmp_path, noise, png16, channels, interlaced):
    path = tmp_path / "image.png"
    path.write_bytes(png16(noise(channels, np.uint16), interlaced=interlaced))
    check(path, noise(channels, np.uint16))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 5)])
def test_small_interlaced_png(tmp_path, noise, png16, size):
    pixels = noise(3, np.uint16, *size)
    (tmp_path / "image.png").write_bytes(png16(pixels, interlaced=True))
    check(tmp_path / "image.png", pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_key_colour_of_png_becomes_alpha(tmp_path, noise, png16, png_chunk, channels):
    pixels = noise(channels, np.uint16) % 2 * 40000
    key = png_chunk(b"tRNS", struct.pack(">H", 40000) * channels)
    (tmp_path / "image.png").write_bytes(png16(pixels, before=key))
    alpha = np.where((pixels == 40000).all(axis=2, keepdims=True), 0, 65535)
    check(tmp_path / "image.png", np.concatenate([pixels, alpha], axis=2))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"compression": "lzma"},
        {"compression": "zlib", "predictor": True},
        {"byteorder": ">"},
        {"byteorder": ">", "compression": "zlib", "predictor": True},
        {"bigtiff": True},
        {"bigtiff": True, "byteorder": ">"},
        {"rowsperstrip": 4},
        {"tile": (16, 16)},
        {"tile": (16, 32), "compression": "zlib", "predictor": True},
    ],
    ids=str,
)
def test_tiff(tmp_path, noise, channels, options):
    pixels = noise(channels, np.uint16)
    extra = ["unassalpha"] if channels in (2, 4) else None
    options = {"photometric": PHOTOMETRIC[channels], "extrasamples": extra, **options}
    options["planarconfig"] = "contig" if channels > 1 else None
    tifffile.imwrite(tmp_path / "image.tif", pixels, **options)
    check(tmp_path / "image.tif", pixels)


@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"compression": "zlib"}], ids=str)
@pytest.mark.parametrize("channels", [3, 4])
def test_planar_tiff(tmp_path, noise, channels, options):
    pixels = noise(channels, np.uint16)
    options["extrasamples"] = ["unassalpha"] if channels == 4 else None
    planes = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", **options)
    check(path, pixels)


def tiff_of_ffmpeg(pixels, compression):
    import av

    height, width, _ = pixels.shape
    context = av.VideoCodecContext.create("tiff", "w")
    context.width, context.height, context.pix_fmt = width, height, "rgb48le"
    context.time_base, context.options = Fraction(1), {"compression_algo": compression}
    frame = av.VideoFrame(width, height, "rgb48le")
    rows = np.zeros((height, frame.planes[0].line_size // 2), np.uint16)
    rows[:, : width * 3] = pixels.reshape(height, -1)
    frame.planes[0].update(rows.tobytes())
    return b"".join(bytes(packet) for packet in context.encode(frame) + context.encode(None))


@pytest.mark.parametrize(("compression", "number"), [("lzw", 5), ("packbits", 32773)])
def test_compressions_of_ffmpeg(tmp_path, noise, compression, number):
    pixels = noise(3, np.uint16) // 4096 * 4096  # repeats, for the dictionary
    data = tiff_of_ffmpeg(pixels, compression)
    (tmp_path / "image.tif").write_bytes(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert file.pages[0].compression == number
    check(tmp_path / "image.tif", pixels)


def lzw_literals(data):
    """LZW without a dictionary: a clear code often enough that codes keep 9 bits."""
    codes = [256]
    for index, byte in enumerate(data):
        codes += [256, byte] if index % 200 == 199 else [byte]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    return bytes(int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8))


def lzw_tiff(shape, strips, order, predictor):
    """A TIFF of LZW strips, 5 rows each, 16 bits a sample: header, strips, lists, directory."""
    height, width, channels = shape
    starts = [8 + sum(map(len, strips[:index])) for index in range(len(strips))]
    lists_at = starts[-1] + len(strips[-1])
    lists = struct.pack(f"{order}{len(strips)}I", *starts)
    lists += struct.pack(f"{order}{len(strips)}I", *map(len, strips))
    lists += struct.pack(order + "4H", *[16] * 4)
    counts_at = lists_at + 4 * len(strips)
    bits_at = counts_at + 4 * len(strips)
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, bits_at)]
    entries += [(259, 3, 1, 5), (262, 3, 1, 2), (273, 4, len(strips), lists_at)]
    entries += [(277, 3, 1, channels), (278, 4, 1, 5), (279, 4, len(strips), counts_at)]
    entries += [(317, 3, 1, predictor), (338, 3, 1, 2)]
    directory = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        short = kind == 3 and count == 1
        directory += struct.pack(
            order + "HHI" + ("HH" if short else "I"),
            tag,
            kind,
            count,
            *([value, 0] if short else [value]),
        )
    magic = b"II*\0" if order == "<" else b"MM\0*"
    head = magic + struct.pack(order + "I", lists_at + len(lists))
    return head + b"".join(strips) + lists + directory + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("predictor", [1, 2])
def test_lzw_with_and_without_differences(tmp_path, noise, order, predictor):
    pixels = noise(4, np.uint16)
    stored = pixels.copy()
    if predictor == 2:
        stored[:, 1:] -= pixels[:, :-1]
    strips = [stored[top : top + 5].astype(order + "u2").tobytes() for top in range(0, 23, 5)]
    path = tmp_path / "image.tif"
    path.write_bytes(
        lzw_tiff(pixels.shape, [lzw_literals(strip) for strip in strips], order, predictor)
    )
    check(tmp_path / "image.tif", pixels)


def test_white_is_zero(tmp_path, noise):
    pixels = noise(1, np.uint16)
    tifffile.imwrite(tmp_path / "image.tif", 65535 - pixels, photometric="miniswhite")
    check(tmp_path / "image.tif", pixels)


def test_premultiplied_alpha_becomes_straight(tmp_path, noise):
    pixels = noise(4, np.uint16)
    pixels[..., 3] = np.maximum(pixels[..., 3], 60000)
    stored = pixels.astype(np.float64)
    stored[..., :3] *= stored[..., 3:] / 65535
    path = tmp_path / "image.tif"
    stored = np.rint(stored).astype(np.uint16)
    tifffile.imwrite(path, stored, photometric="rgb", extrasamples=["assocalpha"])
    back = read_image(path).pixels
    assert np.abs(back.astype(int) - pixels).max() <= 1


def test_channels_that_are_not_alpha_are_left_out(tmp_path, noise):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, noise(4, np.uint16), photometric="rgb", extrasamples=["unspecified"])
    check(path, noise(4, np.uint16)[..., :3])
