"""TIFF with 16 bits a sample, which Pillow would cut to 8 without a word.

Strips and tiles are laid out here. Their compression is undone by zlib, or, for LZW and the rarer
ones, by libtiff: a segment on its own, called a gray image of 8 bits, comes back as raw bytes.
"""

import io
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from srcli.media.format import FormatError, Readable
from srcli.media.ifd import LONG, SHORT, Directory, Field, Order, pack_directory, pack_integers
from srcli.media.image import Pixels
from srcli.media.tiff_tags import Tag

__all__ = ["Layout", "decode_16bit", "layout_of", "segments_of"]

_NONE, _DEFLATE, _LIBTIFF = 1, (8, 32946), (5, 32773, 34925, 50000)  # LZW PackBits LZMA Zstandard
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_PREMULTIPLIED, _STRAIGHT = 1, 2
_HORIZONTAL = 2
_FULL = 65535
_MAX_SAMPLES = 16
_TILE_PIXELS = 1 << 22  # what a tile may hold beyond a small image


@dataclass(frozen=True)
class Layout:
    """Memory layout of the samples of a 16-bit TIFF.

    Attributes:
        width: Stored width in pixels.
        height: Stored height in pixels.
        samples: Samples a pixel in the file.
        channels: Those of them that are read: gray or RGB, then alpha.
        planes: 1, or `samples` where each has strips of its own.
        rows: Height of a strip or tile.
        columns: Width of a strip or tile.
        tiled: Tiles are stored whole even where they overlap the edge.
        compression: The TIFF number.
        differences: Whether each sample is stored less its left neighbour.
        inverted: Whether 0 is white.
        premultiplied: Whether colour was multiplied by alpha.
        order: Byte order of the samples.
        offsets: Where each segment begins in the file, plane after plane.
        counts: The length of each in bytes.
    """

    width: int
    height: int
    samples: int
    channels: int
    planes: int
    rows: int
    columns: int
    tiled: bool
    compression: int
    differences: bool
    inverted: bool
    premultiplied: bool
    order: Order
    offsets: tuple[int, ...]
    counts: tuple[int, ...]


def segments_of(main: Directory) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Offsets and lengths of the strips or tiles."""
    if Tag.TILE_OFFSETS in main.fields:
        return main.integers(Tag.TILE_OFFSETS), main.integers(Tag.TILE_BYTE_COUNTS)
    return main.integers(Tag.STRIP_OFFSETS), main.integers(Tag.STRIP_BYTE_COUNTS)


def layout_of(main: Directory) -> Layout:
    """The layout of a 16-bit TIFF.

    Raises:
        FormatError: The file is of a kind that is not read, or contradicts itself.
    """
    photometric = main.integer(Tag.PHOTOMETRIC, _BLACK_IS_ZERO)
    compression = main.integer(Tag.COMPRESSION, _NONE)
    predictor = main.integer(Tag.PREDICTOR, 1)
    colours = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3}.get(photometric)
    if colours is None:
        raise FormatError(f"at 16 bits its colour space {photometric} is not read; convert to RGB")
    if compression not in (_NONE, *_DEFLATE, *_LIBTIFF) or predictor not in (1, _HORIZONTAL):
        raise FormatError(
            f"its compression {compression} with predictor {predictor} is not read at 16 bits; "
            "save it with LZW or deflate"
        )
    if main.integer(Tag.FILL_ORDER, 1) != 1:
        raise FormatError("its bits are stored in reverse; save it again with fill order 1")
    samples = main.integer(Tag.SAMPLES_PER_PIXEL, 1)
    extra = next(iter(main.integers(Tag.EXTRA_SAMPLES, (_STRAIGHT,))), _STRAIGHT)
    width, height = main.integer(Tag.IMAGE_WIDTH, 0), main.integer(Tag.IMAGE_LENGTH, 0)
    tiled = Tag.TILE_OFFSETS in main.fields
    rows, columns = min(main.integer(Tag.ROWS_PER_STRIP, height), height), width
    if tiled:
        rows, columns = main.integer(Tag.TILE_LENGTH, 0), main.integer(Tag.TILE_WIDTH, 0)
    offsets, counts = segments_of(main)
    layout = Layout(
        width=width,
        height=height,
        samples=samples,
        channels=colours + (samples > colours and extra in (_PREMULTIPLIED, _STRAIGHT)),
        planes=samples if main.integer(Tag.PLANAR_CONFIGURATION, 1) == 2 else 1,
        rows=rows,
        columns=columns,
        tiled=tiled,
        compression=compression,
        differences=predictor == _HORIZONTAL,
        inverted=photometric == _WHITE_IS_ZERO,
        premultiplied=samples > colours and extra == _PREMULTIPLIED,
        order=main.order,
        offsets=offsets,
        counts=counts,
    )
    _require_consistent(layout, colours)
    return layout


def decode_16bit(stream: Readable, layout: Layout) -> Pixels:
    """The stored pixels, (h, w, c) uint16, alpha straight.

    Raises:
        FormatError: A segment is shorter than its pixels.
    """
    pixels = np.empty((layout.height, layout.width, layout.channels), np.uint16)
    segments = zip(layout.offsets, layout.counts, strict=True)
    for plane in range(layout.planes):
        for top in range(0, layout.height, layout.rows):
            for left in range(0, layout.width, layout.columns):
                offset, count = next(segments)
                if plane >= layout.channels:
                    continue
                stream.seek(offset)
                block = _block(stream.read(count), layout, layout.height - top)
                channels = slice(plane, plane + 1) if layout.planes > 1 else slice(None)
                target = pixels[top : top + layout.rows, left : left + layout.columns, channels]
                target[...] = block[: target.shape[0], : target.shape[1], : target.shape[2]]
    if layout.inverted:
        np.subtract(_FULL, pixels[..., 0], out=pixels[..., 0])
    if layout.premultiplied:
        _divide_by_alpha(pixels)
    return pixels


def _divide_by_alpha(pixels: NDArray[np.uint16]) -> None:
    """Make premultiplied colour straight in place, rounded, a row at a time."""
    for row in pixels:
        alpha = row[:, -1:].astype(np.uint32)
        colour = (row[:, :-1] * np.uint32(_FULL) + alpha // 2) // np.maximum(alpha, 1)
        row[:, :-1] = np.minimum(colour, _FULL)


def _require_consistent(layout: Layout, colours: int) -> None:
    if min(layout.width, layout.height, layout.rows, layout.columns) < 1:
        raise FormatError("its directory lacks the image's size or that of its strips")
    if layout.rows * layout.columns > layout.width * layout.height + _TILE_PIXELS:
        raise FormatError(
            f"its tiles of {layout.columns}x{layout.rows} are far larger than the image"
        )
    across, down = -(-layout.width // layout.columns), -(-layout.height // layout.rows)
    expected = across * down * layout.planes
    samples_fit = colours <= layout.samples <= _MAX_SAMPLES
    if not samples_fit or not len(layout.offsets) == len(layout.counts) == expected:
        raise FormatError(
            f"its {layout.samples} samples a pixel in {len(layout.offsets)} pieces do not fit "
            f"an image of {layout.width}x{layout.height}"
        )


def _block(segment: bytes, layout: Layout, rows_left: int) -> NDArray[np.uint16]:
    """One strip or tile, (rows, columns, samples) in native byte order."""
    rows = layout.rows if layout.tiled else min(layout.rows, rows_left)
    samples = layout.samples // layout.planes
    data = _inflated(segment, layout.compression, rows, layout.columns * samples * 2)
    if len(data) < rows * layout.columns * samples * 2:
        raise FormatError(f"it is cut short: {len(data)} bytes where {rows} rows should be")
    block = np.frombuffer(data, layout.order + "u2", rows * layout.columns * samples)
    block = block.reshape(rows, layout.columns, samples).astype(np.uint16, copy=False)
    return np.add.accumulate(block, axis=1, dtype=np.uint16) if layout.differences else block


def _inflated(segment: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    """The bytes of a segment before compression; at most those of its rows."""
    if compression == _NONE:
        return segment
    if compression in _DEFLATE:
        return zlib.decompressobj().decompress(segment, rows * row_bytes)
    at = 8 + len(segment) + len(segment) % 2
    fields: dict[int, Field] = {
        Tag.IMAGE_WIDTH: pack_integers(LONG, "<", row_bytes),
        Tag.IMAGE_LENGTH: pack_integers(LONG, "<", rows),
        Tag.BITS_PER_SAMPLE: pack_integers(SHORT, "<", 8),
        Tag.COMPRESSION: pack_integers(SHORT, "<", compression),
        Tag.PHOTOMETRIC: pack_integers(SHORT, "<", _BLACK_IS_ZERO),
        Tag.STRIP_OFFSETS: pack_integers(LONG, "<", 8),
        Tag.SAMPLES_PER_PIXEL: pack_integers(SHORT, "<", 1),
        Tag.ROWS_PER_STRIP: pack_integers(LONG, "<", rows),
        Tag.STRIP_BYTE_COUNTS: pack_integers(LONG, "<", len(segment)),
    }
    header = b"II*\0" + at.to_bytes(4, "little")
    file = header + segment.ljust(at - 8, b"\0") + pack_directory(fields, "<", at)
    return TiffImagePlugin.TiffImageFile(io.BytesIO(file)).tobytes()
