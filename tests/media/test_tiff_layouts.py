"""Kinds of TIFF that Pillow does not read or reads wrongly: right, or refused by name."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, TiffImagePlugin

from srcli.errors import UnreadableImage
from srcli.media import probe, read_image

Noise = Callable[..., np.ndarray]
HEIGHT, WIDTH = 23, 36  # of `noise`


def tiff(
    path: Path,
    data: bytes | list[bytes],
    fields: dict[int, tuple[int, ...]],
    *,
    order: str = "<",
    big: bool = False,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Path:
    """A TIFF by hand: strips of bytes as they are, fields of SHORTs or, above, LONGs."""
    strips = [data] if isinstance(data, bytes) else data
    head = 16 if big else 8
    at = [head + sum(len(s) for s in strips[:n]) for n in range(len(strips))]
    every = {256: (size[0],), 257: (size[1],), 259: (1,), 262: (2,), 277: (3,), 258: (8, 8, 8)}
    every |= fields | {273: tuple(at), 279: tuple(len(s) for s in strips)}
    body = b"".join(strips)
    body += bytes(-len(body) % 8)
    counter, entry, room, pointer = ("Q", "HHQ", 8, "Q") if big else ("H", "HHI", 4, "I")
    directory, after = struct.pack(order + counter, len(every)), b""
    entries_end = len(body) + head + len(directory) + len(every) * (20 if big else 12) + room
    for tag, values in sorted(every.items()):
        wide = max(values) > 65535
        packed = struct.pack(f"{order}{len(values)}{'I' if wide else 'H'}", *values)
        inline = packed.ljust(room, b"\0")
        if len(packed) > room:
            inline = struct.pack(order + pointer, entries_end + len(after))
            after += packed
        directory += struct.pack(order + entry, tag, 4 if wide else 3, len(values)) + inline
    directory += bytes(room) + after
    magic = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    middle = struct.pack(order + "HH", 8, 0) if big else b""
    first = struct.pack(order + pointer, len(body) + head)
    path.write_bytes(magic + middle + first + body + directory)
    return path


def packed(values: np.ndarray, bits: int) -> bytes:
    """Rows of whole numbers whose bits follow each other; each row begins with a byte."""
    rows = values.reshape(len(values), -1)
    each = (rows[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(each.reshape(len(rows), -1).astype(np.uint8), axis=1).tobytes()


def read(path: Path, bits: int) -> np.ndarray:
    """The pixels; the header has said what they are."""
    info, image = probe(path), read_image(path)
    assert (info.width, info.height) == (image.width, image.height)
    assert (info.channels, info.bits) == (image.channels, image.bits)
    assert image.bits == bits
    return image.pixels


LAYOUTS = {
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 16)},
    "big-endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "big-endian BigTIFF": {"bigtiff": True, "byteorder": ">", "rowsperstrip": 7},
    "deflate": {"compression": "zlib", "predictor": 2},
    "planes": {"planarconfig": "separate"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["rgb", "rgb + alpha", "gray + alpha", "rgb + 2 unspecified"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_layout_of_whole_numbers(
    tmp_path: Path, noise: Noise, layout: str, kind: str, dtype: type
) -> None:
    channels = {"rgb": 3, "rgb + alpha": 4, "gray + alpha": 2}.get(kind, 5)
    pixels = noise(channels, dtype)
    extra = {"rgb": (), "rgb + 2 unspecified": (0, 0)}.get(kind, (2,))
    data = np.moveaxis(pixels, 2, 0) if layout == "planes" else pixels
    options = {"planarconfig": "contig"} | LAYOUTS[layout]
    photometric = "minisblack" if kind.startswith("gray") else "rgb"
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, data, photometric=photometric, extrasamples=extra, metadata=None, **options
    )
    expected = pixels[..., :3] if channels == 5 else pixels
    assert np.array_equal(read(path, pixels.itemsize * 8), expected)
    left_out = [line for line in read_image(path).dropped if "left out" in line]
    assert len(left_out) == (channels == 5)


@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize(("kind", "alpha"), [(1, True), (2, True), (0, False)])
def test_alpha_beside_gray_rgb_and_inks(
    tmp_path: Path, noise: Noise, kind: int, alpha: bool, planes: bool
) -> None:
    def strips(values: np.ndarray) -> bytes | list[bytes]:
        return [p.tobytes() for p in np.moveaxis(values, 2, 0)] if planes else values.tobytes()

    for photometric, colours in ((1, 1), (2, 3), (5, 4)):
        pixels = noise(colours + 1)
        opacity = pixels[..., -1:].astype(int)
        if kind == 1:
            pixels[..., :-1] = pixels[..., :-1] * opacity // 255
        path = tiff(
            tmp_path / "a.tif",
            strips(pixels),
            {
                262: (photometric,),
                277: (colours + 1,),
                258: (8,) * (colours + 1),
                338: (kind,),
                284: (1 + planes,),
            },
        )
        straight = pixels[..., :-1].astype(int)
        if kind == 1:
            straight = np.minimum((straight * 255 + opacity // 2) // np.maximum(opacity, 1), 255)
        if photometric == 5:
            paper = 255 - straight
            straight = paper[..., :3] * paper[..., 3:] / 255
        found = read(path, 8).astype(int)
        assert np.abs(found[..., : straight.shape[2]] - straight).max() <= 1
        assert found.shape[2] == straight.shape[2] + alpha
        if alpha:
            assert np.array_equal(found[..., -1:], opacity)
        else:
            assert any("1 channel left out" in line for line in read_image(path).dropped)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_is_zero_with_alpha(tmp_path: Path, noise: Noise, dtype: type) -> None:
    pixels = noise(2, dtype)
    fields = {262: (0,), 277: (2,), 258: (pixels.itemsize * 8,) * 2}
    path = tiff(tmp_path / "a.tif", pixels.tobytes(), {**fields, 338: (2,)})
    found = read(path, pixels.itemsize * 8)
    assert np.array_equal(found[..., 0], np.iinfo(dtype).max - pixels[..., 0])
    assert np.array_equal(found[..., 1], pixels[..., 1])
    with pytest.raises(UnreadableImage, match=r"kind of TIFF .*white is 0.*convert"):
        read_image(tiff(tmp_path / "b.tif", pixels.tobytes(), {**fields, 338: (1,)}))


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_packed_samples(tmp_path: Path, bits: int, channels: int, order: str) -> None:
    values = np.random.default_rng(bits).integers(0, 1 << bits, (HEIGHT, WIDTH, channels))
    fields = {262: (1 if channels == 1 else 2,), 277: (channels,), 258: (bits,) * channels}
    data = packed(values, bits)
    path = tiff(tmp_path / "a.tif", data, fields, order=order)
    most = 255 if bits < 8 else 65535
    expected = values * (most / ((1 << bits) - 1))
    found = read(path, 8 if bits < 8 else 16)
    assert np.abs(found - expected).max() <= 0.51
    reverse = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
    turned = tiff(tmp_path / "b.tif", reverse, {**fields, 266: (2,)}, order=order)
    assert np.array_equal(read_image(turned).pixels, found)


def floats_of_predictor_3(values: np.ndarray) -> bytes:
    """As Adobe describes it: each row's bytes by significance, then differences of pixels."""
    rows = []
    for row in values:
        planes = np.frombuffer(row.astype(">f4").tobytes(), np.uint8).reshape(-1, 4).T.reshape(-1)
        steps = planes.copy()
        samples = row.shape[1]
        steps[samples:] -= planes[:-samples]
        rows.append(steps.tobytes())
    return zlib.compress(b"".join(rows))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_floats_from_0_to_1(
    tmp_path: Path, noise: Noise, dtype: type, order: str, channels: int
) -> None:
    values = (noise(channels, np.uint16) / 65535).astype(dtype)
    path = tmp_path / "a.tif"
    extra = (2,) if channels == 4 else ()
    photometric = "minisblack" if channels == 1 else "rgb"
    if channels == 1:
        values = values[..., 0]
    tifffile.imwrite(
        path, values, byteorder=order, extrasamples=extra, photometric=photometric, metadata=None
    )
    found = read(path, 16)
    expected = np.rint(values.astype(np.float32) * 65535).astype(np.uint16)
    assert np.array_equal(found, expected.reshape(found.shape))
    assert any("floats of" in line for line in read_image(path).dropped)


def test_floats_with_differences_of_their_bytes(tmp_path: Path, noise: Noise) -> None:
    values = (noise(3, np.uint16) / 65535).astype(np.float32)
    kind = {258: (32,) * 3, 339: (3,) * 3}
    plain = tiff(tmp_path / "a.tif", values.tobytes(), kind)
    path = tiff(tmp_path / "b.tif", floats_of_predictor_3(values), {**kind, 259: (8,), 317: (3,)})
    assert np.array_equal(read_image(path).pixels, read_image(plain).pixels)


def test_floats_beyond_0_to_1(tmp_path: Path, noise: Noise) -> None:
    values = (noise(3, np.uint16) / 65535).astype(np.float32)
    kind = {258: (32,) * 3, 339: (3,) * 3}
    values[3, 4, 1], values[5, 6, 2], values[7, 8, 0] = 1.5, -0.25, np.nan
    image = read_image(tiff(tmp_path / "a.tif", values.tobytes(), kind))
    assert image.pixels[3, 4, 1] == 65535
    assert image.pixels[5, 6, 2] == image.pixels[7, 8, 0] == 0
    assert any("-0.25 to 1.5, and 3 samples" in line for line in image.dropped)
    with pytest.raises(UnreadableImage, match=r"floats are -63.75 to 382.5, read are 0 to 1"):
        read_image(tiff(tmp_path / "b.tif", (values * 255).tobytes(), kind))


def test_32_bits_become_16(tmp_path: Path, noise: Noise) -> None:
    pixels = noise(3, np.uint32)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib", predictor=2)
    assert np.array_equal(read(path, 16), (pixels >> 16).astype(np.uint16))
    assert "32 bits read as 16" in read_image(path).dropped


def lab_of(rgb: np.ndarray) -> np.ndarray:
    """L 0 to 100, a and b, by lcms."""
    spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    transform = ImageCms.buildTransform(*spaces, "RGB", "LAB")
    lab = np.asarray(ImageCms.applyTransform(Image.fromarray(rgb), transform))
    axes = lab[..., 1:].view(np.int8)
    return np.concatenate([lab[..., :1] / 2.55, axes], axis=2)


def stored_lab(lab: np.ndarray, *, icc: bool, deep: bool) -> bytes:
    light, axes = lab[..., :1], lab[..., 1:]
    if icc:
        scale = 256 if deep else 1
        parts = [light * (652.8 if deep else 2.55), (axes + 128) * scale]
        return np.concatenate(parts, axis=2).round().astype("<u2" if deep else "u1").tobytes()
    parts = [light * (655.35 if deep else 2.55), axes * (256 if deep else 1)]
    whole = np.concatenate(parts, axis=2).round().astype(np.int64)
    return whole.astype("<u2" if deep else "u1").tobytes()


@pytest.mark.parametrize("icc", [False, True])
@pytest.mark.parametrize("deep", [False, True])
def test_lab_becomes_the_srgb_it_was_made_of(tmp_path: Path, icc: bool, deep: bool) -> None:
    steps = np.linspace(40, 215, 36).round().astype(np.uint8)
    rgb = np.stack(np.broadcast_arrays(steps[None, :], steps[:23, None], np.uint8(120)), axis=2)
    data = stored_lab(lab_of(rgb), icc=icc, deep=deep)
    fields = {262: (9 if icc else 8,), 258: (16 if deep else 8,) * 3}
    path = tiff(tmp_path / "a.tif", data, fields)
    found = read(path, 16 if deep else 8).astype(float) / (257 if deep else 1)
    assert np.abs(found - rgb).max() < 4  # of what whole a and b cannot tell apart
    assert read_image(path).metadata.icc is not None


def test_lab_with_alpha_is_lab_and_alpha(tmp_path: Path, noise: Noise) -> None:
    lab = noise(4)
    plain = tiff(tmp_path / "a.tif", lab[..., :3].tobytes(), {262: (8,)})
    fields = {262: (8,), 277: (4,), 258: (8,) * 4, 338: (2,)}
    found = read(tiff(tmp_path / "b.tif", lab.tobytes(), fields), 8)
    assert np.array_equal(found[..., 3], lab[..., 3])
    assert np.array_equal(found[..., :3], read_image(plain).pixels)


def test_16_bits_of_ink(tmp_path: Path, noise: Noise, cmyk_profile: bytes) -> None:
    ink = noise(4, np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ink, photometric="separated", metadata=None)
    paper = 65535.0 - ink
    assert np.abs(read(path, 16) - paper[..., :3] * paper[..., 3:] / 65535).max() <= 1
    tifffile.imwrite(path, ink, photometric="separated", metadata=None, iccprofile=cmyk_profile)
    eight = ((ink.astype(int) + 128) // 257).astype(np.uint8)
    Image.fromarray(eight, "CMYK").save(tmp_path / "b.tif", icc_profile=cmyk_profile)
    assert np.array_equal(read(path, 8), read_image(tmp_path / "b.tif").pixels)
    assert any("16 bits of ink read as 8" in line for line in read_image(path).dropped)


def test_webp_in_tiff(tmp_path: Path, noise: Noise) -> None:
    pixels = noise(4)
    strips = []
    for top in range(0, HEIGHT, 10):
        stream = io.BytesIO()
        Image.fromarray(pixels[top : top + 10]).save(stream, "WEBP", lossless=True, exact=True)
        strips.append(stream.getvalue())
    fields = {259: (50001,), 277: (4,), 258: (8,) * 4, 338: (2,), 278: (10,)}
    assert np.array_equal(read(tiff(tmp_path / "a.tif", strips, fields), 8), pixels)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "lzma", "zstd", "tiff_deflate"])
@pytest.mark.parametrize("extra", [0, 1, 2])
def test_compressions_of_further_channels(
    tmp_path: Path, noise: Noise, compression: str, extra: int
) -> None:
    """The strips are libtiff's, of gray images as wide as a row's bytes."""
    pixels = noise(3)
    pixels[..., 2] = 255 if extra == 1 else pixels[..., 2]
    stream = io.BytesIO()
    Image.fromarray(pixels.reshape(HEIGHT, -1)).save(stream, "TIFF", compression=compression)
    stream.seek(0)
    made = TiffImagePlugin.TiffImageFile(stream).tag_v2
    strips = [
        stream.getvalue()[at : at + length] for at, length in zip(made[273], made[279], strict=True)
    ]
    fields = {259: (made[259],), 262: (1,), 277: (3,), 258: (8,) * 3, 278: (made[278],)}
    path = tiff(tmp_path / "a.tif", strips, {**fields, 338: (0, extra)})
    found = read(path, 8)
    assert np.array_equal(found[..., 0], pixels[..., 0])
    assert found.shape[2] == 1 + (extra > 0)
    if extra:
        assert np.array_equal(found[..., 1], pixels[..., 2])


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({258: (5, 6, 5)}, "5, 6, 5 bits"),
        ({258: (16,) * 3, 339: (2,) * 3}, "signed numbers"),
        ({258: (64,) * 3, 339: (6,) * 3}, "complex numbers"),
        ({258: (64,) * 3}, "64 bits"),
        ({258: (24,) * 3, 339: (3,) * 3}, "24 bits"),
        ({258: (16,) * 3, 259: (34712,)}, "JPEG 2000"),
        ({258: (8,) * 4, 277: (4,), 259: (7,), 338: (2,), 284: (2,)}, "JPEG with further channels"),
        ({258: (16,) * 3, 259: (50002,)}, "JPEG XL"),
        ({258: (32,) * 3, 339: (3,) * 3, 259: (34887,)}, "LERC"),
        ({262: (32845,)}, "LogLuv"),
        ({262: (10,)}, "ITU Lab"),
        ({262: (6,), 530: (1, 1), 258: (16,) * 3}, "YCbCr, 16 bits"),
        ({262: (3,), 277: (1,), 258: (16,)}, "a palette, 16 bits"),
        ({262: (5,), 277: (4,), 258: (8,) * 4, 332: (2,)}, "inks other than CMYK"),
        ({262: (8,), 258: (12,) * 3}, "Lab of 12 bits"),
        ({262: (6,), 530: (1, 1), 532: (16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1)}, "range"),
        ({317: (7,), 258: (16,) * 3}, "predictor 7"),
        ({259: (34712,)}, "JPEG 2000"),
        ({259: (34661,), 262: (1,), 277: (1,), 258: (1,)}, "JBIG"),
    ],
)
def test_sound_files_of_other_kinds_are_refused_by_name(
    tmp_path: Path, fields: dict[int, tuple[int, ...]], kind: str
) -> None:
    path = tiff(tmp_path / "a.tif", bytes(WIDTH * HEIGHT * 16), fields)
    with pytest.raises(UnreadableImage, match=kind) as caught:
        read_image(path)
    assert "convert it" in str(caught.value)
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("most", [65535, 255])
def test_palettes_of_16_bits_and_those_written_with_8(tmp_path: Path, bits: int, most: int) -> None:
    values = np.random.default_rng(bits).integers(0, 1 << bits, (HEIGHT, WIDTH, 1))
    palette = np.random.default_rng(1).integers(0, 256, (3, 1 << bits))
    palette[0, 0] = 255
    fields = {262: (3,), 277: (1,), 258: (bits,), 320: tuple((palette * (most // 255)).ravel())}
    found = read(tiff(tmp_path / "a.tif", packed(values, bits), fields), 8)
    assert np.array_equal(found, palette.T[values[..., 0]])


def uncompressed_ycbcr(path: Path, across: int, down: int) -> tuple[Path, np.ndarray]:
    """A TIFF, and the RGB that it means."""
    lumas = np.repeat(np.arange(16, 16 + 24 * 8, 8, dtype=np.uint8)[None], 24, axis=0)
    units = [
        lumas[top : top + down, left : left + across].tobytes() + bytes([90, 170])
        for top in range(0, 24, down)
        for left in range(0, 24, across)
    ]
    fields = {262: (6,), 530: (across, down)}
    tiff(path, b"".join(units), fields, size=(24, 24))
    y, cb, cr = lumas.astype(float), 90 - 128, 170 - 128
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=2)
    return path, rgb.clip(0, 255)


def test_uncompressed_ycbcr_is_right_or_refused(tmp_path: Path) -> None:
    path, rgb = uncompressed_ycbcr(tmp_path / "a.tif", 1, 1)
    assert np.abs(read_image(path).pixels - rgb).max() <= 2
    for across, down in ((2, 1), (2, 2)):
        path, _ = uncompressed_ycbcr(tmp_path / "a.tif", across, down)
        with pytest.raises(UnreadableImage, match=r"a kind of TIFF .uncompressed YCbCr of fewer"):
            read_image(path)
