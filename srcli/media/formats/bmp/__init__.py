"""BMP: 8 bits, a colour profile, the resolution; written without alpha.

Pillow reads palettes, runs and whole bytes; what is packed by masks is taken apart here.
"""

import struct
from dataclasses import replace
from io import BufferedWriter, BytesIO

import numpy as np
from PIL import BmpImagePlugin

from srcli.media.format import Format, FormatError, Readable
from srcli.media.formats.bmp.layout import FILE_HEADER, Layout, end_of, layout_of, not_read
from srcli.media.formats.bmp.profile import profile_of, with_profile
from srcli.media.image import DecodedImage, ImageInfo, Pixels
from srcli.media.orientation import apply_orientation
from srcli.media.pillow_image import as_image, channels_of, dpi_of, metadata_of, pixels_of
from srcli.media.trailers import name_behind

__all__ = ["FORMAT"]

_CORE = 12  # bytes of the oldest header, whose palette has three bytes a colour
_PLAIN_HEADER = 40
_RUN_MOVES = 2
_BAND_PIXELS = 1 << 20


def _inspect(stream: Readable) -> ImageInfo:
    layout = layout_of(stream)
    if layout.embedded:
        return replace(layout.embedded.inspect(_embedded(stream, layout)), format="bmp")
    if layout.packed:
        channels = 4 if layout.masks[3] else 3
    elif layout.two_bits or layout.runs:
        channels = 3
    else:
        channels = channels_of(_opened(stream, layout))
        icc, _ = profile_of(stream, layout)
        if icc is not None and icc[16:20] == b"RGB ":  # see `_of_space`
            channels = 3
    return ImageInfo("bmp", layout.width, layout.height, channels, bits=8)


def _decode(stream: Readable) -> DecodedImage:
    layout = layout_of(stream)
    if layout.embedded:
        inner = layout.embedded.decode(_embedded(stream, layout))
        return replace(inner, format="bmp")
    dropped: tuple[str, ...] = ()
    most = max(mask.bit_count() for mask in layout.masks)
    if layout.packed:
        pixels = _unpacked(stream, layout)
        dropped = (f"{most} bits read as 8",) if most > 8 else ()
    elif layout.two_bits:
        pixels = _of_two_bits(stream, layout)
    elif layout.runs:
        pixels = _of_runs(stream, layout)
    else:
        pixels = pixels_of(_opened(stream, layout))
    stream.seek(0)
    metadata = metadata_of(BmpImagePlugin.BmpImageFile(_header_only(layout)))
    icc, line = profile_of(stream, layout)
    behind = name_behind(stream, end_of(stream, layout))
    metadata = replace(metadata, icc=icc, iptc=behind.iptc)
    dropped = (*dropped, *([line] if line else []), *behind.lines)
    image = DecodedImage(pixels, "bmp", metadata, dropped=dropped)
    return apply_orientation(_of_space(image))


def _of_space(image: DecodedImage) -> DecodedImage:
    """Gray as RGB where the profile is for RGB, for in a BMP gray is a palette of colours."""
    icc = image.metadata.icc
    if icc is None or icc[16:20] != b"RGB " or image.channels > 1:
        return image
    return replace(image, pixels=image.pixels.repeat(3, axis=2))


def _opened(stream: Readable, layout: Layout) -> BmpImagePlugin.BmpImageFile:
    """The image as Pillow reads it; OS/2's header becomes one that Pillow knows."""
    stream.seek(0)
    file = stream
    if layout.of_os2:
        head = stream.read(10) + struct.pack("<I", layout.pixels_at + _PLAIN_HEADER - layout.header)
        plain = struct.pack("<I", _PLAIN_HEADER) + layout.details[4:_PLAIN_HEADER]
        stream.seek(FILE_HEADER + layout.header)
        file = BytesIO(head + plain + stream.read())
    try:
        return BmpImagePlugin.BmpImageFile(file)
    except OSError as error:
        raise not_read(f"{layout.bits} bits, compression {layout.compression}") from error


def _header_only(layout: Layout) -> BytesIO:
    """The resolution in a plain header, for Pillow to read it."""
    ppm = layout.details[24:32] if layout.header != _CORE else bytes(8)
    header = struct.pack("<IiiHHII", 40, 1, 1, 1, 24, 0, 4) + ppm + bytes(8)
    return BytesIO(b"BM" + struct.pack("<IHHI", 58, 0, 0, 54) + header + bytes(4))


def _embedded(stream: Readable, layout: Layout) -> BytesIO:
    length = int.from_bytes(layout.details[20:24], "little")
    stream.seek(layout.pixels_at)
    return BytesIO(stream.read(length or -1))


def _rows(stream: Readable, layout: Layout) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """The rows as bytes (h, bytes a row), the top one first."""
    row = (layout.width * layout.bits + 31) // 32 * 4
    stream.seek(layout.pixels_at)
    data = stream.read(row * layout.height)
    if len(data) < row * layout.height:
        raise FormatError(f"it is cut short: {len(data)} of {row * layout.height} bytes of pixels")
    rows = np.frombuffer(data, np.uint8).reshape(layout.height, row)
    return rows if layout.top_down else rows[::-1]


def _unpacked(stream: Readable, layout: Layout) -> Pixels:
    """Pixels whose channels are picked by masks, each brought to 0 to 255."""
    rows = _rows(stream, layout)
    masks = layout.masks if layout.masks[3] else layout.masks[:3]
    result = np.zeros((layout.height, layout.width, len(masks)), np.uint8)
    many = max(1, _BAND_PIXELS // layout.width)
    for top in range(0, layout.height, many):
        band = np.ascontiguousarray(rows[top : top + many])
        words = band.view("<u2" if layout.bits == 16 else "<u4")[:, : layout.width]
        for channel, mask in enumerate(masks):
            if mask:
                low = (mask & -mask).bit_length() - 1
                value = ((words & np.uint32(mask)) >> np.uint32(low)).astype(np.float64)
                result[top : top + many, :, channel] = np.rint(value * (255 / (mask >> low)))
    if len(masks) == 4 and not result[..., 3].any():  # written by programs that know of no alpha
        result[..., 3] = 255
    return result


def _of_runs(stream: Readable, layout: Layout) -> Pixels:
    """Pixels of OS/2's runs of 24-bit colours; black where they leave some out."""
    stream.seek(layout.pixels_at)
    data = stream.read(layout.stored_bytes or -1)
    rows = np.zeros((layout.height, layout.width * 3), np.uint8)
    at = x = y = 0
    while at + 2 <= len(data):
        count, code = data[at], data[at + 1]
        if count:
            x = _put(rows, (x, y), data[at + 1 : at + 4] * count)
            at += 4
        elif code == 0:
            at, x, y = at + 2, 0, y + 1
        elif code == 1:
            break
        elif code == _RUN_MOVES:
            x, y, at = x + data[at + 2], y + data[at + 3], at + 4
        else:
            x = _put(rows, (x, y), data[at + 2 : at + 2 + 3 * code])
            at += 2 + 3 * code + code % 2
    else:
        raise FormatError("it is cut short: its runs have no end")
    upright = rows if layout.top_down else rows[::-1]
    return upright.reshape(layout.height, layout.width, 3)[..., ::-1].copy()


def _put(rows: Pixels, place: tuple[int, int], pixels: bytes) -> int:
    """Set pixels of a row, as far as it reaches; tell the column behind them."""
    x, y = place
    if y < len(rows):
        room = rows[y, 3 * x : 3 * x + len(pixels)]
        room[:] = np.frombuffer(pixels, np.uint8)[: len(room)]
    return x + len(pixels) // 3


def _of_two_bits(stream: Readable, layout: Layout) -> Pixels:
    """Pixels of a palette of four colours, which Pillow does not read."""
    rows = _rows(stream, layout)
    indices = np.stack([rows >> shift & 3 for shift in (6, 4, 2, 0)], axis=2)
    indices = indices.reshape(layout.height, -1)[:, : layout.width]
    size = 3 if layout.header == _CORE else 4
    stream.seek(FILE_HEADER + layout.header)
    palette = np.frombuffer(stream.read(4 * size).ljust(4 * size, b"\0"), np.uint8)
    return palette.reshape(4, size)[:, 2::-1][indices]


def _encode(image: DecodedImage, stream: BufferedWriter, _quality: int) -> None:
    if image.metadata.icc is None:
        as_image(image.pixels).save(stream, "BMP", dpi=dpi_of(image))
        return
    file = BytesIO()
    as_image(image.pixels).save(file, "BMP", dpi=dpi_of(image))
    stream.write(with_profile(file.getvalue(), image.metadata.icc))


FORMAT = Format(
    name="bmp",
    option=None,
    suffixes=(".bmp", ".dib"),
    recognises=lambda head: head.startswith(b"BM"),
    inspect=_inspect,
    decode=_decode,
    encode=_encode,
    max_side=2**31 - 1,
    max_block=2**31 - 1,
    gray=True,
    gray_profile=False,
    alpha=False,
    deep=False,
    keeps=frozenset({"icc", "dpi"}),
    disk_rate=None,
)
