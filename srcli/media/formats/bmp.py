"""BMP: 8 bits, a colour profile, the resolution; written without alpha.

Pillow reads palettes, runs and whole bytes; what is packed by masks is taken apart here.
"""

import struct
from dataclasses import dataclass, replace
from io import BufferedWriter, BytesIO

import numpy as np
from PIL import BmpImagePlugin

from srcli.media.format import Format, FormatError, Readable
from srcli.media.formats import jpeg, png
from srcli.media.icc import Colours, matrix_profile
from srcli.media.image import DecodedImage, ImageInfo, Pixels
from srcli.media.orientation import apply_orientation
from srcli.media.pillow_image import as_image, channels_of, dpi_of, metadata_of, pixels_of

__all__ = ["FORMAT"]

_FILE_HEADER, _V4, _V5 = 14, 108, 124
_HEADERS = (12, 40, 52, 56, 64, _V4, _V5)
_RAW, _MASKS, _JPEG, _PNG, _ALPHA_MASKS = 0, 3, 4, 5, 6
_OS2 = 64
_PLAIN_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
_CALIBRATED, _EMBEDDED, _LINKED = 0, 0x4D424544, 0x4C494E4B
_BAND_PIXELS = 1 << 20
_FIXED_XYZ = 1 << 30  # of endpoints: 2 bits before the point
_NEAR_ZERO = 1e-3


@dataclass(frozen=True)
class _Layout:
    """The headers of a BMP.

    Attributes:
        header: Bytes of the second header, which name its version.
        width: px.
        height: px.
        top_down: Whether the first row is the top one.
        bits: Of a pixel.
        compression: As numbered in the file.
        masks: Bits of red, green, blue, alpha in a pixel; all 0 where there are none.
        pixels_at: Offset of the pixels.
        details: The second header, whole.
    """

    header: int
    width: int
    height: int
    top_down: bool
    bits: int
    compression: int
    masks: tuple[int, int, int, int]
    pixels_at: int
    details: bytes

    @property
    def packed(self) -> bool:
        """True if pixels are numbers whose bits are split between channels."""
        return self.bits in (16, 32) and self.compression in (_RAW, _MASKS, _ALPHA_MASKS)

    @property
    def embedded(self) -> Format | None:
        """The format of a file that stands in place of pixels."""
        if self.header == _OS2:
            return None
        return {_JPEG: jpeg.FORMAT, _PNG: png.FORMAT}.get(self.compression)


def _layout(stream: Readable) -> _Layout:
    stream.seek(0)
    head = stream.read(_FILE_HEADER + _V5)
    if len(head) < _FILE_HEADER + 12:
        raise FormatError(f"it is cut short: {len(head)} bytes of its header")
    pixels_at, size = struct.unpack_from("<II", head, 10)
    if size not in _HEADERS:
        raise _not_read(f"a header of {size} bytes")
    details = head[_FILE_HEADER : _FILE_HEADER + size]
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", details, 4)
        return _Layout(size, width, height, False, bits, _RAW, (0, 0, 0, 0), pixels_at, details)
    if len(details) < size:
        raise FormatError(f"it is cut short: {len(head)} bytes of its header")
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", details, 4)
    masks = _PLAIN_MASKS.get(bits, (0, 0, 0, 0))
    if compression in (_MASKS, _ALPHA_MASKS) and size != _OS2:
        count = 4 if size >= 56 or compression == _ALPHA_MASKS else 3  # then they follow the header
        found = struct.unpack_from(f"<{count}I", head.ljust(_FILE_HEADER + 56, b"\0"), 54)
        masks = (found[0], found[1], found[2], found[3] if count == 4 else 0)
    return _Layout(
        size, width, abs(height), height < 0, bits, compression, masks, pixels_at, details
    )


def _not_read(kind: str) -> FormatError:
    return FormatError(
        f"a kind of BMP ({kind}) that srcli does not read: convert it to PNG with another program"
    )


def _inspect(stream: Readable) -> ImageInfo:
    layout = _layout(stream)
    if layout.embedded:
        return replace(layout.embedded.inspect(_embedded(stream, layout)), format="bmp")
    if layout.packed:
        channels = 4 if layout.masks[3] else 3
    elif layout.bits == 2 and layout.compression == _RAW:
        channels = 3
    else:
        channels = channels_of(_opened(stream, layout))
        icc, _ = _profile(stream, layout)
        if icc is not None and icc[16:20] == b"RGB ":  # see `_of_space`
            channels = 3
    return ImageInfo("bmp", layout.width, layout.height, channels, bits=8)


def _decode(stream: Readable) -> DecodedImage:
    layout = _layout(stream)
    if layout.embedded:
        inner = layout.embedded.decode(_embedded(stream, layout))
        return replace(inner, format="bmp")
    dropped: tuple[str, ...] = ()
    most = max(mask.bit_count() for mask in layout.masks)
    if layout.packed:
        pixels = _unpacked(stream, layout)
        dropped = (f"{most} bits read as 8",) if most > 8 else ()
    elif layout.bits == 2 and layout.compression == _RAW:
        pixels = _of_two_bits(stream, layout)
    else:
        pixels = pixels_of(_opened(stream, layout))
    stream.seek(0)
    metadata = metadata_of(BmpImagePlugin.BmpImageFile(_header_only(layout)))
    icc, line = _profile(stream, layout)
    image = DecodedImage(
        pixels, "bmp", replace(metadata, icc=icc), dropped=(*dropped, *([line] if line else []))
    )
    return apply_orientation(_of_space(image))


def _of_space(image: DecodedImage) -> DecodedImage:
    """Gray as RGB where the profile is for RGB, for in a BMP gray is a palette of colours."""
    icc = image.metadata.icc
    if icc is None or icc[16:20] != b"RGB " or image.channels > 1:
        return image
    return replace(image, pixels=image.pixels.repeat(3, axis=2))


def _opened(stream: Readable, layout: _Layout) -> BmpImagePlugin.BmpImageFile:
    stream.seek(0)
    try:
        return BmpImagePlugin.BmpImageFile(stream)
    except OSError as error:
        raise _not_read(f"{layout.bits} bits, compression {layout.compression}") from error


def _header_only(layout: _Layout) -> BytesIO:
    """The resolution in a plain header, for Pillow to read it."""
    ppm = layout.details[24:32] if layout.header != 12 else bytes(8)
    header = struct.pack("<IiiHHII", 40, 1, 1, 1, 24, 0, 4) + ppm + bytes(8)
    return BytesIO(b"BM" + struct.pack("<IHHI", 58, 0, 0, 54) + header + bytes(4))


def _embedded(stream: Readable, layout: _Layout) -> BytesIO:
    stream.seek(layout.pixels_at)
    return BytesIO(stream.read())


def _rows(stream: Readable, layout: _Layout) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """The rows as bytes (h, bytes a row), the top one first."""
    row = (layout.width * layout.bits + 31) // 32 * 4
    stream.seek(layout.pixels_at)
    data = stream.read(row * layout.height)
    if len(data) < row * layout.height:
        raise FormatError(f"it is cut short: {len(data)} of {row * layout.height} bytes of pixels")
    rows = np.frombuffer(data, np.uint8).reshape(layout.height, row)
    return rows if layout.top_down else rows[::-1]


def _unpacked(stream: Readable, layout: _Layout) -> Pixels:
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


def _of_two_bits(stream: Readable, layout: _Layout) -> Pixels:
    """Pixels of a palette of four colours, which Pillow does not read."""
    rows = _rows(stream, layout)
    indices = np.stack([rows >> shift & 3 for shift in (6, 4, 2, 0)], axis=2)
    indices = indices.reshape(layout.height, -1)[:, : layout.width]
    size = 3 if layout.header == 12 else 4
    stream.seek(_FILE_HEADER + layout.header)
    palette = np.frombuffer(stream.read(4 * size).ljust(4 * size, b"\0"), np.uint8)
    return palette.reshape(4, size)[:, 2::-1][indices]


def _profile(stream: Readable, layout: _Layout) -> tuple[bytes | None, str]:
    """The profile that the header holds, names or describes; and a line if it cannot be had."""
    details = layout.details
    if layout.header < _V4:
        return None, ""
    (space,) = struct.unpack_from("<I", details, 56)
    if space == _CALIBRATED:
        return _calibrated(details), ""
    if layout.header < _V5 or space not in (_EMBEDDED, _LINKED):
        return None, ""
    at, length = struct.unpack_from("<II", details, 112)
    stream.seek(_FILE_HEADER + at)
    data = stream.read(length)
    if space == _LINKED:
        name = data.partition(b"\0")[0].decode("cp1252", "replace").replace("\\", "/")
        return None, f"colour profile not read: it is another file, {name.rpartition('/')[2]}"
    if len(data) < length or length < 128:
        return None, "ICC profile dropped: damaged"
    return data, ""


def _calibrated(details: bytes) -> bytes | None:
    """A profile of the end points and gammas of a calibrated header; None if they say nothing."""
    xyz = np.array(struct.unpack_from("<9i", details, 60)).reshape(3, 3) / _FIXED_XYZ
    gammas = np.array(struct.unpack_from("<3I", details, 96)) / 65536
    sums = xyz.sum(axis=1)
    if (sums <= _NEAR_ZERO).any() or (gammas <= _NEAR_ZERO).any():
        return None
    red, green, blue = ((float(x), float(y)) for x, y in xyz[:, :2] / sums[:, None])
    colours = Colours((red, green, blue), curve=(float(gammas.mean()),))
    if not np.allclose(sums, 1, atol=0.01):  # not chromaticities but colours, which add up to white
        white = xyz.sum(axis=0)
        x, y = white[:2] / white.sum()
        colours = replace(colours, white=(float(x), float(y)))
    return matrix_profile(colours)


def _encode(image: DecodedImage, stream: BufferedWriter, _quality: int) -> None:
    if image.metadata.icc is None:
        as_image(image.pixels).save(stream, "BMP", dpi=dpi_of(image))
        return
    file = BytesIO()
    as_image(image.pixels).save(file, "BMP", dpi=dpi_of(image))
    stream.write(_with_profile(file.getvalue(), image.metadata.icc))


def _with_profile(file: bytes, icc: bytes) -> bytes:
    """A file of Pillow's with a header of version 5 and a profile behind the pixels."""
    (pixels_at,) = struct.unpack_from("<I", file, 10)
    old, body = file[_FILE_HEADER : _FILE_HEADER + 40], file[_FILE_HEADER + 40 :]
    fields = struct.pack("<I36x12xIIII", _EMBEDDED, 4, _V5 + len(body), len(icc), 0)
    header = struct.pack("<I", _V5) + old[4:] + bytes(16) + fields
    head = struct.pack(
        "<2sIHHI", b"BM", _FILE_HEADER + _V5 + len(body) + len(icc), 0, 0, pixels_at + _V5 - 40
    )
    return head + header + body + icc


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
