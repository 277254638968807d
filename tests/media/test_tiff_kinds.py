"""Kinds of TIFF: each is read right, compared with what was stored, or refused by its name."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from srcli.errors import UnreadableImage
from srcli.media import probe, read_image
from srcli.media.ifd import SHORT, pack_directory, pack_integers
from srcli.media.tiff_tags import Tag

HEIGHT, WIDTH = 20, 28
DOWN, ACROSS = np.mgrid[0:HEIGHT, 0:WIDTH] / 20
SAMPLES = np.stack([0.5 + 0.4 * np.sin(2 * DOWN + (1 + c) * ACROSS) for c in range(4)], axis=2)
RGB, GRAY = SAMPLES[..., :3], SAMPLES[..., :1]
INKS_AS_RGB = (1 - SAMPLES[..., :3]) * (1 - SAMPLES[..., 3:])
ALPHA = 0.3 + DOWN[..., None] * 0.7
PLANES = {"planarconfig": "separate"}
STRAIGHT, PREMULTIPLIED = {"extrasamples": ["unassalpha"]}, {"extrasamples": ["assocalpha"]}
SPOT = {"extrasamples": ["unspecified"]}
STORAGE = [
    {"byteorder": "<"},
    {"byteorder": ">", "bigtiff": True},
    {"byteorder": "<", "tile": (16, 16), "compression": "zlib"},
]
KINDS = {  # what is stored, what it is read as, how tifffile is asked for it
    "planes": (RGB, RGB, {"photometric": "rgb", **PLANES}),
    "planes-alpha": ((RGB, ALPHA), (RGB, ALPHA), {"photometric": "rgb", **PLANES, **STRAIGHT}),
    "planes-premultiplied": (
        (RGB * ALPHA, ALPHA),
        (RGB, ALPHA),
        {"photometric": "rgb", **PLANES, **PREMULTIPLIED},
    ),
    "planes-spot": ((RGB, ALPHA), RGB, {"photometric": "rgb", **PLANES, **SPOT}),
    "gray-planes-alpha": (
        (GRAY, ALPHA),
        (GRAY, ALPHA),
        {"photometric": "minisblack", **PLANES, **STRAIGHT},
    ),
    "premultiplied": ((RGB * ALPHA, ALPHA), (RGB, ALPHA), {"photometric": "rgb", **PREMULTIPLIED}),
    "spot-and-alpha": (
        (RGB, GRAY, ALPHA),
        (RGB, ALPHA),
        {"photometric": "rgb", "extrasamples": ["unspecified", "unassalpha"]},
    ),
    "white0-alpha": ((1 - GRAY, ALPHA), (GRAY, ALPHA), {"photometric": "miniswhite", **STRAIGHT}),
    "white0-premultiplied": (
        ((1 - GRAY) * ALPHA, ALPHA),
        (GRAY, ALPHA),
        {"photometric": "miniswhite", **PREMULTIPLIED},
    ),
    "cmyk": (SAMPLES, INKS_AS_RGB, {"photometric": "separated"}),
    "cmyk-planes": (SAMPLES, INKS_AS_RGB, {"photometric": "separated", **PLANES}),
    "cmyk-spot": ((SAMPLES, ALPHA), INKS_AS_RGB, {"photometric": "separated", **SPOT}),
    "cmyk-alpha": (
        (SAMPLES, ALPHA),
        (INKS_AS_RGB, ALPHA),
        {"photometric": "separated", **STRAIGHT},
    ),
}


def joined(parts):
    return np.concatenate(parts, axis=2) if isinstance(parts, tuple) else parts


def scaled(values, dtype):
    """Values of 0 to 1 as samples of a type."""
    if np.issubdtype(dtype, np.floating):
        return values.astype(dtype)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def check(path, expected, tolerance):
    """Compare a file with values of 0 to 1; the header says the same as the pixels."""
    image, info = read_image(path), probe(path)
    assert (info.height, info.width, info.channels, info.bits) == (*image.pixels.shape, image.bits)
    assert image.pixels.shape == expected.shape
    assert np.abs(image.pixels / np.iinfo(image.pixels.dtype).max - expected).max() <= tolerance
    return image


@pytest.mark.parametrize("storage", STORAGE, ids=["plain", "big-endian-big", "tiles"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_that_are_read(tmp_path, kind, dtype, storage):
    stored, expected, options = KINDS[kind]
    samples = scaled(joined(stored), dtype)
    if options.get("planarconfig"):
        samples = np.ascontiguousarray(np.moveaxis(samples, 2, 0))
    else:
        options = {**options, "planarconfig": "contig"}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, samples, metadata=None, **options, **storage)
    steps = 5 if "premultiplied" in kind else 1.5  # a step of stored colour counts by its alpha
    image = check(path, joined(expected), steps / (255 if dtype == np.uint8 else 65535))
    assert image.bits == (8 if dtype == np.uint8 else 16)
    assert any("channel left out" in line for line in image.dropped) == ("spot" in kind)
    assert any("32-bit floating" in line for line in image.dropped) == (dtype == np.float32)


def tiff(bits, data, photometric, **fields):
    """An uncompressed TIFF of one strip of three samples a pixel, fields by number."""
    entries = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 3}
    entries |= {278: HEIGHT, 279: len(data)} | {int(tag[1:]): fields[tag] for tag in fields}
    at = 8 + len(data) + len(data) % 2
    directory = struct.pack("<H", len(entries))
    for tag, value in sorted(entries.items()):
        directory += struct.pack("<HHII", tag, 4, 1, value)
    return b"II*\0" + struct.pack("<I", at) + data.ljust(at - 8, b"\0") + directory + bytes(4)


@pytest.mark.parametrize("bits", [2, 3, 5, 6, 7, 9, 10, 12, 14])
def test_samples_that_do_not_fill_bytes(tmp_path, bits):
    stored = np.rint(RGB * (2**bits - 1)).astype(int).reshape(HEIGHT, -1)
    rows = ["".join(f"{value:0{bits}b}" for value in row) for row in stored]
    rows = [row.ljust(-(-len(row) // 8) * 8, "0") for row in rows]
    data = b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)
    (tmp_path / "a.tif").write_bytes(tiff(bits, data, 2))
    tolerance = 0.51 / (255 if bits < 8 else 65535)
    check(tmp_path / "a.tif", (stored / (2**bits - 1)).reshape(RGB.shape), tolerance)


@pytest.mark.parametrize("bits", [8, 16])
def test_bits_in_reverse(tmp_path, bits):
    pixels = scaled(RGB, np.dtype(f"<u{bits // 8}"))
    data = bytes(int(f"{byte:08b}"[::-1], 2) for byte in pixels.tobytes())
    (tmp_path / "a.tif").write_bytes(tiff(bits, data, 2, t266=2))
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize("size", [2, 4])
def test_differences_of_the_bytes_of_floats(tmp_path, size):
    floats = RGB.astype(f">f{size}")
    weights = floats.reshape(HEIGHT, -1).view(np.uint8).reshape(HEIGHT, -1, size)
    rows = weights.transpose(0, 2, 1).reshape(HEIGHT, -1).copy()
    rows[:, 3:] -= rows[:, :-3].copy()
    data = zlib.compress(rows.tobytes())
    (tmp_path / "a.tif").write_bytes(tiff(size * 8, data, 2, t259=8, t317=3, t339=3))
    check(tmp_path / "a.tif", floats.astype(float), 0.51 / 65535)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("photometric", [8, 9])
def test_lab_is_converted_as_a_colour_library_does(tmp_path, photometric, bits):
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    rgb = Image.fromarray(scaled(RGB, np.uint8))
    measured = ImageCms.profileToProfile(rgb, srgb, lab, outputMode="LAB")
    lightness, a, b = np.moveaxis(np.asarray(measured).astype(int), 2, 0)
    if photometric == 9:  # a and b of CIE Lab have a sign, those of ICC Lab begin at -128
        a, b = ((band + 128) % 256 for band in (a, b))
    if bits == 16:
        white = 65535 if photometric == 8 else 65280
        lightness, a, b = lightness * white // 255, a * 256, b * 256
    data = np.stack([lightness, a, b], axis=2).astype(f"<u{bits // 8}").tobytes()
    (tmp_path / "a.tif").write_bytes(tiff(bits, data, photometric))
    check(tmp_path / "a.tif", np.asarray(rgb) / 255, 6 / 255)  # steps of 8-bit Lab are that wide


@pytest.mark.parametrize("compression", ["jpeg", "zstd", "lzma", "tiff_lzw", "packbits"])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_compressions(tmp_path, compression, mode):
    image = Image.fromarray(scaled(RGB, np.uint8)).convert(mode)
    image.save(tmp_path / "a.tif", compression=compression)
    expected = np.asarray(image.convert("L" if mode == "L" else "RGB")).reshape(HEIGHT, WIDTH, -1)
    check(tmp_path / "a.tif", expected / 255, (12 if compression == "jpeg" else 1) / 255)


@pytest.mark.parametrize("channels", [3, 4])
def test_webp_inside(tmp_path, channels):
    pixels = scaled(np.concatenate((RGB, ALPHA), axis=2)[..., :channels], np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True)
    extra = {"t338": 2} if channels == 4 else {}
    data = tiff(8, file.getvalue(), 2, t259=50001, **extra | {"t277": channels})
    (tmp_path / "a.tif").write_bytes(data)
    check(tmp_path / "a.tif", pixels / 255, 0)
    (tmp_path / "a.tif").write_bytes(tiff(8, b"RIFF" + bytes(50), 2, t259=50001))
    with pytest.raises(UnreadableImage, match="damaged"):
        read_image(tmp_path / "a.tif")


def test_float_samples_beyond_0_to_1_are_refused_with_their_range(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", (RGB * 255).astype(np.float32), photometric="rgb")
    with pytest.raises(UnreadableImage, match=r"reach from .* to 2.*only 0 to 1 is read"):
        read_image(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "a.tif", np.full((4, 4), np.nan, np.float32))
    with pytest.raises(UnreadableImage, match="only 0 to 1 is read"):
        read_image(tmp_path / "a.tif")


def test_16_bit_inks_with_a_profile_of_another_space_lose_it_with_a_line(tmp_path):
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    samples = scaled(SAMPLES, np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="separated", iccprofile=icc)
    image = check(tmp_path / "a.tif", INKS_AS_RGB, 1.5 / 65535)
    assert image.metadata.icc is None
    assert any("ICC profile dropped" in line for line in image.dropped)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"t259": 50002}, "JPEG XL"),
        ({"t259": 33003}, "JPEG 2000"),
        ({"t259": 60000}, "compression 60000"),
        ({"t262": 32845}, "LogLuv"),
        ({"t262": 99}, "colour space 99"),
        ({"t262": 5, "t332": 2}, "3 inks"),
        ({"t258": 24}, "24-bit"),
        ({"t339": 2}, "8-bit signed"),
        ({"t262": 6, "t258": 16}, "ycbcr, 3 samples of 16 bits"),
        ({"t262": 6, "t284": 2}, "in planes"),
    ],
)
def test_kinds_that_are_not_read_are_named_with_a_remedy(tmp_path, fields, name):
    (tmp_path / "a.tif").write_bytes(tiff(8, bytes(HEIGHT * WIDTH * 9), 2, **fields))
    for read in (probe, read_image):
        with pytest.raises(UnreadableImage, match=rf"a kind of TIFF \(.*{name}.*convert it with"):
            read(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("sampling", [(1, 1), (2, 1), (2, 2), (4, 2)])
def test_subsampled_chroma_whatever_the_compression(tmp_path, sampling, compression):
    across, down = sampling
    colours = np.array([[(200, 60, 50), (60, 170, 70)], [(60, 80, 190), (230, 220, 200)]], np.uint8)
    patches = colours.repeat(8, axis=0).repeat(8, axis=1)
    luma, blue, red = np.moveaxis(np.asarray(Image.fromarray(patches).convert("YCbCr")), 2, 0)
    units = [
        luma[y : y + down, x : x + across].tobytes() + bytes((blue[y, x], red[y, x]))
        for y in range(0, 16, down)
        for x in range(0, 16, across)
    ]
    data = b"".join(units) if compression == 1 else zlib.compress(b"".join(units))
    fields = {
        Tag.IMAGE_WIDTH: (16,),
        Tag.IMAGE_LENGTH: (16,),
        Tag.BITS_PER_SAMPLE: (8, 8, 8),
        Tag.COMPRESSION: (compression,),
        Tag.PHOTOMETRIC: (6,),
        Tag.STRIP_OFFSETS: (8,),
        Tag.SAMPLES_PER_PIXEL: (3,),
        Tag.ROWS_PER_STRIP: (16,),
        530: sampling,
        Tag.STRIP_BYTE_COUNTS: (len(data),),
    }
    at = 8 + len(data) + len(data) % 2
    directory = pack_directory(
        {tag: pack_integers(SHORT, "<", *values) for tag, values in fields.items()}, "<", at
    )
    path = tmp_path / "x.tif"
    path.write_bytes(b"II*\0" + at.to_bytes(4, "little") + data.ljust(at - 8, b"\0") + directory)
    image = read_image(path)
    assert image.dropped == ()
    assert probe(path).channels == image.channels == 3
    off = np.abs(image.pixels[4::8, 4::8].astype(int) - colours)
    assert off.max() <= 3
    path.write_bytes(path.read_bytes()[: at + 4])
    with pytest.raises(UnreadableImage):
        read_image(path)
