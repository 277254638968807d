"""AVIF of 10 and 12 bits, which Pillow would cut to 8: FFmpeg's dav1d, and colours in floats.

Chroma that has fewer samples than luma is brought to its size as libavif does it, which Pillow asks
for the same: bilinear, its samples in the middle of those of luma.
"""

from io import SEEK_END
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from srcli.media.bmff import HeifFile, Item
from srcli.media.format import FormatError, Readable
from srcli.media.image import Pixels

if TYPE_CHECKING:
    import av

__all__ = ["decode_deep", "is_deep"]

_IDENTITY, _UNSAID, _BT601 = 0, 2, 6
_WEIGHTS = {  # of red and blue in luma, by H.273's number of the matrix
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
_LAYERED = (b"lsel", b"a1op", b"a1lx")  # properties of images of which a part is asked for
_FULL_RANGE = 2  # of FFmpeg
_WHITE = 65535
_BAND_ROWS = 256

Stored = NDArray[Any]  # uint8 or uint16
Plane = NDArray[np.float32]


def is_deep(file: HeifFile) -> bool:
    """Tell if the main image has more than 8 bits, and is stored in a way that is read here."""
    main = file.main
    if main is None or main.bits == 8 or not _is_read(main):
        return False
    numbers = main.nclx
    known = numbers is None or numbers.matrix in (_IDENTITY, _UNSAID, *_WEIGHTS)
    return known and (file.alpha is None or _is_read(file.alpha))


def _is_read(item: Item) -> bool:
    layered = any(kind in item.properties for kind in _LAYERED)
    return item.kind == b"av01" and item.extents is not None and not layered


def decode_deep(stream: Readable, file: HeifFile) -> Pixels:
    """The pixels as stored, (h, w, 3 or 4) uint16, full range RGB, alpha straight.

    Raises:
        FormatError: The file is not whole, or its colours are of a kind that is not read.
    """
    assert file.main is not None
    frame = _frame(stream, file.main)
    planes = _planes(frame)
    luma = planes[0]
    coded = _frame(stream, file.alpha) if file.alpha else None
    alpha = _planes(coded)[0] if coded else None
    if alpha is not None and alpha.shape != luma.shape:
        raise FormatError(f"its alpha is {alpha.shape[::-1]}, its colours {luma.shape[::-1]}")
    pixels = np.empty((*luma.shape, 3 + (alpha is not None)), np.uint16)
    for top in range(0, len(luma), _BAND_ROWS):
        rows = slice(top, min(top + _BAND_ROWS, len(luma)))
        band = _rgb(frame, planes, file.main, rows)
        if alpha is not None and coded is not None:
            bits = coded.format.components[0].bits
            opacity = _scaled(alpha[rows], bits, _is_full(coded), luma=True)[..., None]
            if file.main.premultiplied:
                band = np.divide(band, opacity, out=np.zeros_like(band), where=opacity > 0)
            band = np.concatenate([band, opacity], axis=2)
        pixels[rows] = np.rint(np.clip(band, 0, 1) * _WHITE)
    return pixels


def _frame(stream: Readable, item: Item) -> "av.VideoFrame":
    import av  # FFmpeg is loaded for those few files that need it
    from av.error import FFmpegError

    end = stream.seek(0, SEEK_END)
    data = b""
    for at, length in item.extents or ():
        stream.seek(at)
        length = length or end - at
        part = stream.read(length)
        if len(part) < length:
            raise FormatError(f"it is cut short: {end} of at least {at + length} bytes")
        data += part
    try:
        context = av.VideoCodecContext.create("libdav1d", "r")
        context.thread_count = 1
        packet = av.Packet(data)  # pyright: ignore[reportUnknownVariableType]
        frames: list[av.VideoFrame] = [
            *context.decode(packet),  # pyright: ignore
            *context.decode(None),  # pyright: ignore
        ]
    except (FFmpegError, ValueError) as error:
        raise FormatError(f"damaged ({error}); hint: restore it from its source") from error
    if not frames:
        raise FormatError("damaged (it holds no image); hint: restore it from its source")
    return frames[0]


def _planes(frame: "av.VideoFrame") -> list[Stored]:
    """Luma and chroma, or green, blue and red; luma alone where it is gray."""
    planes: list[Stored] = []
    wide = frame.format.components[0].bits > 8
    for plane in frame.planes:
        flat = np.frombuffer(memoryview(plane), np.dtype("<u2") if wide else np.dtype("u1"))
        rows = flat.reshape(plane.height, plane.line_size // flat.itemsize)
        planes.append(rows[:, : plane.width])
    return planes


def _is_full(frame: "av.VideoFrame") -> bool:
    """True if the bitstream states that its samples use all values."""
    return frame.color_range == _FULL_RANGE


def _scaled(values: NDArray[Any], bits: int, full: bool, *, luma: bool) -> Plane:
    """Samples as 0 to 1, or chroma around 0."""
    low, span = 0.0, float((1 << bits) - 1)
    if not full:
        low, span = 16.0 * (1 << bits - 8), (219.0 if luma else 224.0) * (1 << bits - 8)
    if not luma:
        low = float(1 << bits - 1)
    return (values.astype(np.float32) - np.float32(low)) / np.float32(span)


def _rgb(
    frame: "av.VideoFrame",
    planes: list[Stored],
    item: Item,
    rows: slice,
) -> Plane:
    """Some rows as RGB (h, w, 3), about 0 to 1."""
    numbers, bits = item.nclx, frame.format.components[0].bits
    full = numbers.full if numbers else _is_full(frame)
    matrix = numbers.matrix if numbers else int(frame.colorspace)
    luma = _scaled(planes[0][rows], bits, full, luma=True)
    if len(planes) == 1:
        return np.repeat(luma[..., None], 3, axis=2)
    if matrix == _IDENTITY:
        blue, red = (_scaled(plane[rows], bits, full, luma=True) for plane in planes[1:])
        return np.stack([red, luma, blue], axis=2)
    if matrix not in (_UNSAID, *_WEIGHTS):
        raise FormatError(f"its colours of matrix {matrix} are not read; hint: convert it to PNG")
    of_red, of_blue = _WEIGHTS[_BT601 if matrix == _UNSAID else matrix]
    cb, cr = (
        _scaled(_enlarged(plane, planes[0].shape, rows), bits, full, luma=False)
        for plane in planes[1:]
    )
    red, blue = luma + 2 * (1 - of_red) * cr, luma + 2 * (1 - of_blue) * cb
    green = (luma - of_red * red - of_blue * blue) / (1 - of_red - of_blue)
    return np.stack([red, green, blue], axis=2).astype(np.float32)


def _enlarged(plane: Stored, size: tuple[int, int], rows: slice) -> NDArray[Any]:
    """Some rows of chroma at the size of luma."""
    across = 2 if plane.shape[1] < size[1] else 1
    down = 2 if plane.shape[0] < size[0] else 1
    if across == down == 1:
        return plane[rows]
    result = plane.astype(np.float32)
    result = _interpolated(result, range(rows.start, rows.stop)) if down > 1 else result[rows]
    return _interpolated(result.T, range(size[1])).T if across > 1 else result


def _interpolated(samples: Plane, wanted: range) -> Plane:
    """Rows between rows: a quarter of the farther one and three of the nearer."""
    places = np.arange(wanted.start, wanted.stop)
    near = places // 2
    far = np.clip(near + np.where(places % 2, 1, -1), 0, len(samples) - 1)
    between = samples[near] * np.float32(0.75) + samples[far] * np.float32(0.25)
    return between.astype(np.float32, copy=False)
