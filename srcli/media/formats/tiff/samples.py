"""Samples of a TIFF of the kinds that Pillow does not read, or would change without a word.

These are samples of more than 8 bits, of floats, packed ones, those with further channels, and
those in planes. Strips and tiles are laid out here.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srcli.media.format import FormatError, Readable
from srcli.media.formats.tiff.compression import (
    PLAIN,
    UNPACKED,
    WEBP,
    decoded_webp,
    inflated,
    name_of,
)
from srcli.media.ifd import Directory, Order
from srcli.media.tiff_tags import Tag

__all__ = [
    "FLOAT",
    "UNSIGNED",
    "Layout",
    "Samples",
    "decode_samples",
    "layout_of",
    "segments_of",
    "unread_kind",
]

Samples = NDArray[Any]  # uint8, uint16 or float32

UNSIGNED, FLOAT, _UNDEFINED = 1, 3, 4  # of SampleFormat; the last is read as the first
_WHOLE_BYTES, _FLOAT_BITS, _MOST_BITS = (8, 16, 32), (16, 32, 64), 32
_PLAIN, _HORIZONTAL, _FLOATING = 1, 2, 3
_MAX_SAMPLES = 64
_TILE_PIXELS = 1 << 22  # what a tile may hold beyond a small image
_BAND_SAMPLES = 1 << 20
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def unread_kind(kind: str) -> FormatError:
    """The error of a sound file of a kind that is not read."""
    return FormatError(
        f"a kind of TIFF ({kind}) that srcli does not read: "
        "convert it to RGB of 8 or 16 bits with another program"
    )


@dataclass(frozen=True)
class Layout:
    """Memory layout of the samples of a TIFF.

    Attributes:
        width: Stored width in pixels.
        height: Stored height in pixels.
        samples: Samples a pixel in the file.
        planes: 1, or `samples` where each has strips of its own.
        rows: Height of a strip or tile.
        columns: Width of a strip or tile.
        tiled: Tiles are stored whole even where they overlap the edge.
        compression: The TIFF number.
        predictor: 1 none, 2 differences of left neighbours, 3 those of the bytes of floats.
        reversed_bits: Whether the bits of each byte stand in reverse.
        bits: Of a sample.
        floats: Whether samples are floats; otherwise whole numbers from 0.
        order: Byte order of the samples.
        offsets: Where each segment begins in the file, plane after plane.
        counts: The length of each in bytes.
    """

    width: int
    height: int
    samples: int
    planes: int
    rows: int
    columns: int
    tiled: bool
    compression: int
    predictor: int
    reversed_bits: bool
    bits: int
    floats: bool
    order: Order
    offsets: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples as `decode_samples` gives them."""
        if self.floats:
            return np.dtype(np.float32)
        return np.dtype(np.uint8) if self.bits <= 8 else np.dtype(np.uint16)


def segments_of(main: Directory) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Offsets and lengths of the strips or tiles."""
    if Tag.TILE_OFFSETS in main.fields:
        return main.integers(Tag.TILE_OFFSETS), main.integers(Tag.TILE_BYTE_COUNTS)
    return main.integers(Tag.STRIP_OFFSETS), main.integers(Tag.STRIP_BYTE_COUNTS)


def layout_of(main: Directory) -> Layout:
    """The layout of a TIFF's samples.

    Raises:
        FormatError: The file is of a kind that is not read, or contradicts itself.
    """
    compression = main.integer(Tag.COMPRESSION, PLAIN)
    predictor = main.integer(Tag.PREDICTOR, _PLAIN) if compression != WEBP else _PLAIN
    bits, floats = _numbers(main)
    if compression not in UNPACKED:
        raise unread_kind(f"{name_of(compression)}, {bits} bits")
    whole = bits in _WHOLE_BYTES and not floats
    if not {_PLAIN: True, _HORIZONTAL: whole, _FLOATING: floats}.get(predictor, False):
        raise unread_kind(f"predictor {predictor}, {bits} bits")
    samples = main.integer(Tag.SAMPLES_PER_PIXEL, 1)
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
        planes=samples if main.integer(Tag.PLANAR_CONFIGURATION, 1) == 2 else 1,
        rows=rows,
        columns=columns,
        tiled=tiled,
        compression=compression,
        predictor=predictor,
        reversed_bits=main.integer(Tag.FILL_ORDER, 1) == 2,
        bits=bits,
        floats=floats,
        order=main.order,
        offsets=offsets,
        counts=counts,
    )
    _require_consistent(layout)
    return layout


def _numbers(main: Directory) -> tuple[int, bool]:
    """Bits of a sample, and whether they are floats."""
    every = main.integers(Tag.BITS_PER_SAMPLE, (1,))
    kinds = {UNSIGNED if kind == _UNDEFINED else kind for kind in main.integers(Tag.SAMPLE_FORMAT)}
    kind = kinds.pop() if kinds else UNSIGNED
    bits = every[0] if every else 1
    if len(set(every)) > 1:
        raise unread_kind(f"samples of {', '.join(map(str, every))} bits")
    if kinds or kind not in (UNSIGNED, FLOAT):
        named = {2: "signed numbers", 5: "complex numbers", 6: "complex numbers"}
        raise unread_kind(named.get(kind, "samples of several kinds"))
    floats = kind == FLOAT
    if (floats and bits not in _FLOAT_BITS) or not 1 <= bits <= (64 if floats else _MOST_BITS):
        raise unread_kind(f"samples of {bits} bits")
    return bits, floats


def _require_consistent(layout: Layout) -> None:
    if min(layout.width, layout.height, layout.rows, layout.columns) < 1:
        raise FormatError("its directory lacks the image's size or that of its strips")
    if layout.rows * layout.columns > layout.width * layout.height + _TILE_PIXELS:
        raise FormatError(
            f"its tiles of {layout.columns}x{layout.rows} are far larger than the image"
        )
    across, down = -(-layout.width // layout.columns), -(-layout.height // layout.rows)
    expected = across * down * layout.planes
    samples_fit = 1 <= layout.samples <= _MAX_SAMPLES
    if not samples_fit or not len(layout.offsets) == len(layout.counts) == expected:
        raise FormatError(
            f"its {layout.samples} samples a pixel in {len(layout.offsets)} pieces do not fit "
            f"an image of {layout.width}x{layout.height}"
        )


def decode_samples(stream: Readable, layout: Layout, wanted: tuple[int, ...]) -> Samples:
    """The samples that are wanted, (h, w, wanted): whole numbers brought to all of 8 or 16 bits.

    Raises:
        FormatError: A segment is shorter than its pixels.
    """
    result = np.empty((layout.height, layout.width, len(wanted)), layout.dtype)
    segments = zip(layout.offsets, layout.counts, strict=True)
    for plane in range(layout.planes):
        for top in range(0, layout.height, layout.rows):
            for left in range(0, layout.width, layout.columns):
                offset, count = next(segments)
                if layout.planes > 1 and plane not in wanted:
                    continue
                stream.seek(offset)
                block = _block(stream.read(count), layout, layout.height - top)
                area = result[top : top + layout.rows, left : left + layout.columns]
                block = block[: area.shape[0], : area.shape[1]]
                if layout.planes > 1:
                    area[..., wanted.index(plane)] = block[..., 0]
                else:
                    area[...] = block[..., list(wanted)]
    return result


def _block(segment: bytes, layout: Layout, rows_left: int) -> Samples:
    """One strip or tile, (rows, columns, samples)."""
    rows = layout.rows if layout.tiled else min(layout.rows, rows_left)
    samples = layout.samples // layout.planes
    row = layout.columns * samples
    if layout.compression == WEBP:
        return decoded_webp(segment, rows, layout.columns, samples)
    row_bytes = (row * layout.bits + 7) // 8
    if layout.reversed_bits:
        segment = segment.translate(_REVERSED)
    data = inflated(segment, layout.compression, rows, row_bytes)
    if len(data) < rows * row_bytes:
        raise FormatError(f"it is cut short: {len(data)} bytes where {rows} rows should be")
    lines = np.frombuffer(data, np.uint8, rows * row_bytes).reshape(rows, row_bytes)
    block = np.empty((rows, row), layout.dtype)
    many = max(1, _BAND_SAMPLES // row)
    for top in range(0, rows, many):
        block[top : top + many] = _values(lines[top : top + many], layout, samples)
    return block.reshape(rows, layout.columns, samples)


def _values(lines: NDArray[np.uint8], layout: Layout, samples: int) -> Samples:
    """Rows of bytes as samples (rows, samples a row), whole numbers brought to 8 or 16 bits."""
    bits, order = layout.bits, layout.order
    if layout.floats:
        if layout.predictor == _FLOATING:
            lines, order = _undo_floating(lines, samples, bits // 8), ">"
        with np.errstate(over="ignore"):
            return lines.view(f"{order}f{bits // 8}").astype(np.float32)
    if bits not in _WHOLE_BYTES:
        return _scaled(_unpacked(lines, bits, layout.columns * samples), bits)
    values = lines.view(f"{order}u{bits // 8}")
    if layout.predictor == _HORIZONTAL:
        native = values.dtype.newbyteorder("=")
        pixels = values.reshape(len(lines), layout.columns, samples).astype(native)
        values = np.add.accumulate(pixels, axis=1, dtype=native).reshape(len(lines), -1)
    return _scaled(values, bits)


def _unpacked(lines: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.uint32]:
    """Whole numbers whose bits follow each other, the highest first."""
    each = np.unpackbits(lines, axis=1, count=count * bits).reshape(len(lines), count, bits)
    result = np.zeros((len(lines), count), np.uint32)
    for bit in range(bits):
        result <<= 1
        result |= each[..., bit]
    return result


def _scaled(values: NDArray[np.unsignedinteger], bits: int) -> Samples:
    """Whole numbers of some bits as ones of 8 or 16, their greatest as the greatest there."""
    if bits == 8:
        return values.astype(np.uint8)
    if bits >= 16:
        return (values >> np.uint32(bits - 16)).astype(np.uint16)
    full, most = (1 << bits) - 1, 255 if bits < 8 else 65535
    scaled = (values * np.uint32(most) + full // 2) // np.uint32(full)
    return scaled.astype(np.uint8) if bits < 8 else scaled.astype(np.uint16)


def _undo_floating(lines: NDArray[np.uint8], samples: int, size: int) -> NDArray[np.uint8]:
    """Rows of floats, highest byte first, out of the differences of their bytes (predictor 3)."""
    rows, length = lines.shape
    steps = lines.reshape(rows, length // samples, samples)
    whole = np.add.accumulate(steps, axis=1, dtype=np.uint8).reshape(rows, size, length // size)
    return np.ascontiguousarray(whole.swapaxes(1, 2)).reshape(rows, length)
