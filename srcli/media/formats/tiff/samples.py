"""TIFF samples that Pillow cuts to 8 bits, misreads or refuses: 16 bits, planes, floats, inks.

Strips and tiles are laid out here. Their compression is undone by zlib, or, for LZW and the rarer
ones, by libtiff: a segment on its own, called a gray image of 8 bits, comes back as raw bytes.
"""

import io
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin, WebPImagePlugin

from srcli.media.format import FormatError, Readable
from srcli.media.formats.tiff.kinds import Colours, Compression
from srcli.media.formats.tiff.layout import Layout
from srcli.media.ifd import LONG, SHORT, Field, pack_directory, pack_integers
from srcli.media.image import Pixels
from srcli.media.tiff_tags import Tag

__all__ = ["decode_samples", "empty_pixels"]

_DEFLATE = (Compression.DEFLATE, Compression.OLD_DEFLATE)
_HORIZONTAL, _FLOATING = 2, 3
_FULL = 65535
_BAND_SAMPLES = 1 << 20
_BEYOND = 1 / 512  # how far floats may leave 0 to 1 by rounding
_REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)[:, ::-1])


def decode_samples(stream: Readable, layout: Layout) -> Pixels:
    """The samples that are read, (h, w, c), uint8 or uint16 of full range, alpha straight.

    Gray is black at 0; c is 1, 3 or 4 colours, then alpha. Lab keeps its encoding.

    Raises:
        FormatError: A segment is shorter than its pixels, or floats are not of 0 to 1.
    """
    wanted = layout.read_samples
    pixels = empty_pixels((layout.height, layout.width, len(wanted)), layout.result_bits)
    picked = slice(None) if len(wanted) == layout.samples else wanted
    segments = zip(layout.offsets, layout.counts, strict=True)
    for plane in range(layout.planes):
        for top in range(0, layout.height, layout.rows):
            for left in range(0, layout.width, layout.columns):
                offset, count = next(segments)
                if layout.planes > 1 and plane not in wanted:
                    continue
                stream.seek(offset)
                block = _block(stream.read(count), layout, layout.height - top)
                target = pixels[top : top + layout.rows, left : left + layout.columns]
                block = block[: target.shape[0], : target.shape[1]]
                if layout.planes > 1:
                    target[..., wanted.index(plane)] = _full_range(block[..., 0], layout)
                else:
                    target[...] = _full_range(block[..., picked], layout)
    if layout.premultiplied:
        _divide_by_alpha(pixels)
    if layout.colours is Colours.WHITE_IS_ZERO:
        np.invert(pixels[..., 0], out=pixels[..., 0])
    return pixels


def empty_pixels(shape: tuple[int, ...], bits: int) -> Pixels:
    """Pixels of 8 or 16 bits, without values yet."""
    return np.empty(shape, np.uint8) if bits == 8 else np.empty(shape, np.uint16)


def _divide_by_alpha(pixels: Pixels) -> None:
    """Make premultiplied colour straight in place, rounded, a row at a time."""
    full = np.uint32(np.iinfo(pixels.dtype).max)
    for row in pixels:
        alpha = row[:, -1:].astype(np.uint32)
        colour = (row[:, :-1] * full + alpha // 2) // np.maximum(alpha, 1)
        row[:, :-1] = np.minimum(colour, full)


def _full_range(values: NDArray[np.generic], layout: Layout) -> Pixels:
    """Stored samples of any depth as 8 or 16 bits, rounded."""
    if not layout.floating and layout.bits in (8, 16):
        return values  # pyright: ignore[reportReturnType] of that many bits
    full = 255 if layout.result_bits == 8 else _FULL
    result = empty_pixels(values.shape, layout.result_bits)
    if not layout.floating:
        for row, stored in zip(result, values, strict=True):
            row[...] = np.rint(stored.astype(np.float64) * (full / (2**layout.bits - 1)))
        return result
    low, high = float(values.min()), float(values.max())
    if not -_BEYOND <= low <= high <= 1 + _BEYOND:  # false for what is no number, too
        raise FormatError(
            f"its floating-point samples reach from {low:.4g} to {high:.4g}, and only 0 to 1 is "
            "read: map it to that range, or convert it to 16 bits, with another program"
        )
    for row, stored in zip(result, values, strict=True):
        row[...] = np.rint(stored.astype(np.float64).clip(0, 1) * full)
    return result


def _block(segment: bytes, layout: Layout, rows_left: int) -> NDArray[np.generic]:
    """One strip or tile, (rows, columns, samples) in native byte order."""
    rows = layout.rows if layout.tiled else min(layout.rows, rows_left)
    samples = layout.samples // layout.planes
    row_bytes = (layout.columns * samples * layout.bits + 7) // 8
    if layout.compression == Compression.WEBP:
        data = _of_webp(segment, (layout.columns, rows), samples)
    else:
        data = _inflated(segment, layout.compression, rows, row_bytes)
    if len(data) < rows * row_bytes:
        raise FormatError(f"it is cut short: {len(data)} bytes where {rows} rows should be")
    raw = np.frombuffer(data, np.uint8, rows * row_bytes).reshape(rows, row_bytes)
    if layout.reversed_bits:
        raw = _REVERSED[raw]
    shape = rows, layout.columns, samples
    if layout.bits not in (8, 16, 32, 64):
        return _unpacked(raw, layout.bits, shape)
    size = layout.bits // 8
    if layout.predictor == _FLOATING:  # bytes by their weight, each less that of a pixel before
        summed = np.add.accumulate(raw.reshape(rows, -1, samples), axis=1, dtype=np.uint8)
        weights = summed.reshape(rows, size, -1).transpose(0, 2, 1)
        return np.ascontiguousarray(weights).view(f">f{size}").astype(f"=f{size}").reshape(shape)
    block = raw.view(f"{layout.order}u{size}").astype(f"=u{size}", copy=False).reshape(shape)
    if layout.predictor == _HORIZONTAL:
        block = np.add.accumulate(block, axis=1, dtype=block.dtype)
    return block.view(f"=f{size}") if layout.floating else block


def _unpacked(raw: NDArray[np.uint8], bits: int, shape: tuple[int, int, int]) -> NDArray[np.uint16]:
    """Samples that do not fill bytes, the highest bit first; every row begins with a byte."""
    rows, columns, samples = shape
    result = np.zeros((rows, columns * samples), np.uint16)
    many = max(1, _BAND_SAMPLES // (columns * samples))
    for top in range(0, rows, many):
        band = np.unpackbits(raw[top : top + many], axis=1)[:, : columns * samples * bits]
        band = band.reshape(len(band), -1, bits)
        for bit in range(bits):
            result[top : top + many] |= band[..., bit].astype(np.uint16) << (bits - 1 - bit)
    return result.reshape(shape)


def _of_webp(segment: bytes, size: tuple[int, int], samples: int) -> bytes:
    """The samples of a segment that is a WebP file of this size, of 3 or 4 samples a pixel."""
    image = WebPImagePlugin.WebPImageFile(io.BytesIO(segment))
    if image.size != size:
        raise FormatError(
            f"damaged: a piece of {size} has {image.size}; hint: restore it from its source"
        )
    return image.convert("RGB" if samples == 3 else "RGBA").tobytes()


def _inflated(segment: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    """The bytes of a segment before compression; at most those of its rows."""
    if compression == Compression.NONE:
        return segment
    if compression in _DEFLATE:
        return zlib.decompressobj().decompress(segment, rows * row_bytes)
    at = 8 + len(segment) + len(segment) % 2
    fields: dict[int, Field] = {
        Tag.IMAGE_WIDTH: pack_integers(LONG, "<", row_bytes),
        Tag.IMAGE_LENGTH: pack_integers(LONG, "<", rows),
        Tag.BITS_PER_SAMPLE: pack_integers(SHORT, "<", 8),
        Tag.COMPRESSION: pack_integers(SHORT, "<", compression),
        Tag.PHOTOMETRIC: pack_integers(SHORT, "<", Colours.BLACK_IS_ZERO),
        Tag.STRIP_OFFSETS: pack_integers(LONG, "<", 8),
        Tag.SAMPLES_PER_PIXEL: pack_integers(SHORT, "<", 1),
        Tag.ROWS_PER_STRIP: pack_integers(LONG, "<", rows),
        Tag.STRIP_BYTE_COUNTS: pack_integers(LONG, "<", len(segment)),
    }
    header = b"II*\0" + at.to_bytes(4, "little")
    file = header + segment.ljust(at - 8, b"\0") + pack_directory(fields, "<", at)
    return TiffImagePlugin.TiffImageFile(io.BytesIO(file)).tobytes()
