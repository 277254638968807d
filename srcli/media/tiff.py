"""TIFF: gray or RGB, with or without alpha, 8 or 16 bits, and all metadata."""

import os

from PIL import TiffImagePlugin

from srcli.media.colour import channels_of, left_out, pixels_of, to_rgb
from srcli.media.exif import extracted_exif
from srcli.media.format import Format, FormatError, Readable
from srcli.media.ifd import MAGICS, Directory, first_directory
from srcli.media.picture import Metadata, Picture, PictureInfo
from srcli.media.tiff_deep import decode_deep, layout_of, segments_of
from srcli.media.tiff_encode import encode_tiff
from srcli.media.tiff_tags import Tag
from srcli.media.upright import turn_of, uprighted

__all__ = ["TIFF"]

_UNSIGNED = 1
_CENTIMETRES, _INCHES = 3, 2


def _inspect(stream: Readable) -> PictureInfo:
    main = first_directory(stream, lenient=False)
    width, height = main.integer(Tag.IMAGE_WIDTH, 0), main.integer(Tag.IMAGE_LENGTH, 0)
    size = turn_of(_metadata(stream, main)).size(width, height)
    if _is_deep(main):
        return PictureInfo("tiff", *size, layout_of(main).channels, bits=16)
    stream.seek(0)
    return PictureInfo("tiff", *size, channels_of(TiffImagePlugin.TiffImageFile(stream)), bits=8)


def _decode(stream: Readable) -> Picture:
    """Decode the first page; extra channels that are not alpha are left out."""
    main = first_directory(stream, lenient=False)
    _require_all_data(stream, main)
    metadata = _metadata(stream, main)
    if _is_deep(main):
        pixels = decode_deep(stream, layout_of(main))
        more = 1 if main.following else 0  # at least
        return uprighted(Picture(pixels, "tiff", metadata, left_out=more))
    stream.seek(0)
    image = TiffImagePlugin.TiffImageFile(stream)
    more = left_out(image) if main.following else 0
    image.load()
    rgb, metadata = to_rgb(image, metadata)
    return uprighted(Picture(pixels_of(rgb), "tiff", metadata, left_out=more), turned=True)


def _is_deep(main: Directory) -> bool:
    """Whether the samples have 16 bits.

    Raises:
        FormatError: They are no whole numbers of at most 8 or of 16 bits.
    """
    bits = set(main.integers(Tag.BITS_PER_SAMPLE, (1,)))
    kinds = set(main.integers(Tag.SAMPLE_FORMAT, (_UNSIGNED,)))
    if kinds != {_UNSIGNED} or (bits != {16} and max(bits, default=0) > 8):
        raise FormatError(
            f"its samples have {max(bits, default=0)} bits, format {max(kinds, default=0)}; "
            "only whole numbers of 8 or 16 bits are read: convert it to 16 bits"
        )
    return bits == {16}


def _require_all_data(stream: Readable, main: Directory) -> None:
    """Check that every strip or tile lies inside the file.

    Raises:
        FormatError: One does not.
    """
    end = stream.seek(0, os.SEEK_END)
    offsets, counts = segments_of(main)
    for offset, count in zip(offsets, counts, strict=False):
        if offset + count > end:
            raise FormatError(f"it is cut short: {end} bytes of at least {offset + count}")


def _metadata(stream: Readable, main: Directory) -> Metadata:
    """What is stored beside the pixels; the EXIF block is put together from the file's fields."""
    unit = main.integer(Tag.RESOLUTION_UNIT, _INCHES)
    factor = {_INCHES: 1.0, _CENTIMETRES: 2.54}.get(unit, 0.0)
    dpi = (main.ratio(Tag.X_RESOLUTION) * factor, main.ratio(Tag.Y_RESOLUTION) * factor)
    return Metadata(
        icc=main.raw(Tag.ICC_PROFILE),
        exif=extracted_exif(stream, main),
        xmp=main.raw(Tag.XMP),
        dpi=dpi if all(dpi) else None,
    )


TIFF = Format(
    name="tiff",
    suffixes=(".tif", ".tiff"),
    recognises=lambda head: head[:4] in MAGICS,
    inspect=_inspect,
    decode=_decode,
    encode=encode_tiff,
    max_side=2**31 - 1,
    max_block=2**31 - 1,
    gray=True,
    alpha=True,
    deep=True,
    keeps=frozenset({"icc", "exif", "xmp", "dpi"}),
)
