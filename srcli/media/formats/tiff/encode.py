"""Write TIFF: strips of deflate with horizontal differences, lossless, at 8 and 16 bits.

The file begins with the EXIF block, itself a small TIFF, whose fields the image's directory then
adopts, as far as they are not about pixels. So every offset in the block stays true, even those in
maker notes.
"""

import io
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from io import BufferedWriter

from srcli.media.exif import kept_fields, separated
from srcli.media.format import FormatError
from srcli.media.ifd import (
    BYTE,
    LONG,
    LONG8,
    RATIONAL,
    SHORT,
    UNDEFINED,
    Field,
    Order,
    first_directory,
    in_order,
    pack_directory,
    pack_integers,
    pointer_at,
)
from srcli.media.image import DecodedImage, Metadata, Pixels
from srcli.media.tiff_tags import Tag

__all__ = ["Strips", "TiffPages", "aligned", "encode_tiff", "image_fields", "write_strips"]

_DEFLATE, _HORIZONTAL = 8, 2
_BLACK_IS_ZERO, _RGB = 1, 2
_STRAIGHT = 2
_INCHES = 2
_LEVEL = 1  # of zlib: differences are mostly noise, and higher levels gain a twentieth
_STRIP_BYTES = 1 << 20
_MAX_BYTES = 2**32 - 2**24  # leaves room for the directory


def encode_tiff(image: DecodedImage, stream: BufferedWriter, _quality: int) -> None:
    """Write the image, strip by strip.

    Raises:
        FormatError: The file would exceed the 4 GiB of a classic TIFF.
    """
    stream.write(image.metadata.exif or b"II*\0" + bytes(4))
    adopted = kept_fields(image.metadata.exif) if image.metadata.exif else None
    order: Order = adopted.order if adopted else "<"
    fields = dict(adopted.fields) if adopted else {}
    fields |= image_fields(image, order)
    strips = write_strips(image.pixels, stream, order)
    if stream.tell() > _MAX_BYTES:
        raise FormatError("it exceeds 4 GiB, the limit of TIFF; hint: use --format png")
    fields |= strips.fields(LONG, order)
    at = aligned(stream)
    stream.write(pack_directory(fields, order, at))
    stream.seek(4)
    stream.write(pack_integers(LONG, order, at).data)


@dataclass(frozen=True)
class Strips:
    """Where the strips of an image were written: rows a strip, offsets and lengths in bytes."""

    rows: int
    offsets: tuple[int, ...]
    counts: tuple[int, ...]

    def fields(self, kind: int, order: Order) -> dict[int, Field]:
        """The fields that say so; offsets as LONG or LONG8."""
        return {
            Tag.STRIP_OFFSETS: pack_integers(kind, order, *self.offsets),
            Tag.ROWS_PER_STRIP: pack_integers(LONG, order, self.rows),
            Tag.STRIP_BYTE_COUNTS: pack_integers(LONG, order, *self.counts),
        }


def image_fields(image: DecodedImage, order: Order) -> dict[int, Field]:
    """The fields about an image's pixels and metadata, but for EXIF and where its strips are."""
    return _metadata_fields(image.metadata, order) | _pixel_fields(image.pixels, order)


def _metadata_fields(metadata: Metadata, order: Order) -> dict[int, Field]:
    fields: dict[int, Field] = {Tag.ORIENTATION: pack_integers(SHORT, order, 1)}
    if metadata.icc:
        fields[Tag.ICC_PROFILE] = Field(UNDEFINED, metadata.icc)
    if metadata.xmp:
        fields[Tag.XMP] = Field(BYTE, metadata.xmp)
    if metadata.iptc:
        fields[Tag.IPTC] = Field(UNDEFINED, metadata.iptc)
    if metadata.dpi:
        fields[Tag.X_RESOLUTION] = _ratio(metadata.dpi[0], order)
        fields[Tag.Y_RESOLUTION] = _ratio(metadata.dpi[1], order)
        fields[Tag.RESOLUTION_UNIT] = pack_integers(SHORT, order, _INCHES)
    return fields


def _pixel_fields(pixels: Pixels, order: Order) -> dict[int, Field]:
    height, width, channels = pixels.shape
    fields: dict[int, Field] = {
        Tag.IMAGE_WIDTH: pack_integers(LONG, order, width),
        Tag.IMAGE_LENGTH: pack_integers(LONG, order, height),
        Tag.BITS_PER_SAMPLE: pack_integers(SHORT, order, *[pixels.itemsize * 8] * channels),
        Tag.COMPRESSION: pack_integers(SHORT, order, _DEFLATE),
        Tag.PHOTOMETRIC: pack_integers(SHORT, order, _RGB if channels > 2 else _BLACK_IS_ZERO),
        Tag.SAMPLES_PER_PIXEL: pack_integers(SHORT, order, channels),
        Tag.PLANAR_CONFIGURATION: pack_integers(SHORT, order, 1),
        Tag.PREDICTOR: pack_integers(SHORT, order, _HORIZONTAL),
    }
    if channels in (2, 4):
        fields[Tag.EXTRA_SAMPLES] = pack_integers(SHORT, order, _STRAIGHT)
    return fields


def write_strips(pixels: Pixels, stream: BufferedWriter, order: Order) -> Strips:
    """Write the pixels; return their offsets."""
    rows = max(1, _STRIP_BYTES // pixels[0].nbytes)
    offsets: list[int] = []
    counts: list[int] = []
    for top in range(0, len(pixels), rows):
        strip = pixels[top : top + rows].copy()  # (rows, w, c)
        strip[:, 1:] -= pixels[top : top + rows, :-1]
        offsets.append(aligned(stream))
        data = zlib.compress(strip.astype(order + strip.dtype.str[1:], copy=False).data, _LEVEL)
        counts.append(stream.write(data))
    return Strips(rows, tuple(offsets), tuple(counts))


def aligned(stream: BufferedWriter, to: int = 2) -> int:
    """Where the next even offset is, or multiple of `to`, after writing up to it."""
    stream.write(bytes(-stream.tell() % to))
    return stream.tell()


def _ratio(value: float, order: Order) -> Field:
    ratio = Fraction(value).limit_denominator(1 << 16)
    return Field(RATIONAL, pack_integers(LONG, order, ratio.numerator, ratio.denominator).data)


_CLASSIC_BYTES = 2**32 - 1
_ORDER: Order = "<"  # Pillow reads no BigTIFF of the other
_HEADER = 16  # bytes, of a BigTIFF; a classic one leaves half of them empty


@dataclass(frozen=True)
class _Page:
    """Bytes of a page's directory, and of the directories EXIF and GPS that it points to."""

    fields: Mapping[int, Field]
    parts: Mapping[int, Mapping[int, Field]]
    strips: Strips

    @property
    def room(self) -> int:
        """Bytes that all of it takes at most."""
        groups = (self.fields, *self.parts.values())
        entries = sum(64 + sum(24 + len(f.data) for f in group.values()) for group in groups)
        return entries + 16 * len(self.strips.offsets)


class TiffPages:
    """See `PageWriter`.

    Args:
        stream: An empty file.
    """

    def __init__(self, stream: BufferedWriter) -> None:
        self._stream = stream
        self._pages: list[_Page] = []
        stream.write(bytes(_HEADER))

    def add(self, image: DecodedImage) -> None:
        """Write a page's pixels, and keep the rest in mind."""
        block = image.metadata.exif
        stream = io.BytesIO(block or b"II*\0" + struct.pack("<IHI", 8, 0, 0))
        main = first_directory(stream, lenient=True)
        fields, parts = separated(stream, main)
        self._pages.append(
            _Page(
                _turned(fields, main.order) | image_fields(image, _ORDER),
                {tag: _turned(part, main.order) for tag, part in parts.items()},
                write_strips(image.pixels, self._stream, _ORDER),
            )
        )

    def finish(self) -> None:
        """Write the directories, each of which points to the next, and the header."""
        stream = self._stream
        big = stream.tell() + sum(page.room for page in self._pages) > _CLASSIC_BYTES
        kind, code = (LONG8, "Q") if big else (LONG, "I")
        pointer = 8 if big else 4  # where the offset of the next directory belongs
        for page in self._pages:
            fields = {**page.fields, **page.strips.fields(kind, _ORDER)}
            for tag, part in page.parts.items():
                at = aligned(stream, 8)
                stream.write(pack_directory(part, _ORDER, at, big=big))
                fields[tag] = pack_integers(kind, _ORDER, at)
            at = aligned(stream, 8)
            stream.write(pack_directory(fields, _ORDER, at, big=big))
            end = stream.tell()
            stream.seek(pointer)
            stream.write(struct.pack(_ORDER + code, at))
            stream.seek(end)
            pointer = at + pointer_at(len(fields), big=big)
        stream.seek(0)
        stream.write(b"II+\0\x08\0\0\0" if big else b"II*\0")


def _turned(fields: Mapping[int, Field], order: Order) -> dict[int, Field]:
    return {tag: in_order(field, order, _ORDER) for tag, field in fields.items()}
