"""TIFF in every layout, with further channels, and with palettes of 8 and 16 bits."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, TiffImagePlugin

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


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("most", [65535, 255])
def test_palettes_of_16_bits_and_those_written_with_8(tmp_path: Path, bits: int, most: int) -> None:
    values = np.random.default_rng(bits).integers(0, 1 << bits, (HEIGHT, WIDTH, 1))
    palette = np.random.default_rng(1).integers(0, 256, (3, 1 << bits))
    palette[0, 0] = 255
    fields = {262: (3,), 277: (1,), 258: (bits,), 320: tuple((palette * (most // 255)).ravel())}
    found = read(tiff(tmp_path / "a.tif", packed(values, bits), fields), 8)
    assert np.array_equal(found, palette.T[values[..., 0]])
