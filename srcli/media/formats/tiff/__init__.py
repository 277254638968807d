"""TIFF: gray or RGB, with or without alpha, 8 or 16 bits, all metadata, any number of pages.

Pillow reads what is plain; `samples` the rest.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from PIL import TiffImagePlugin, TiffTags

from srcli.media.exif import DESCRIBED, extracted_exif
from srcli.media.format import DiskRate, Format, FormatError, Paged, Readable
from srcli.media.formats.tiff.colours import has_ink_profile, samples_to_rgb
from srcli.media.formats.tiff.encode import TiffPages, encode_tiff
from srcli.media.formats.tiff.kinds import Colours
from srcli.media.formats.tiff.layout import Layout, is_for_pillow, layout_of, segments_of
from srcli.media.formats.tiff.samples import decode_samples
from srcli.media.ifd import MAGICS, Directory, directories, page_directory
from srcli.media.image import DecodedImage, ImageInfo, Metadata
from srcli.media.orientation import apply_orientation, orientation_of
from srcli.media.pillow_errors import DECODER_ERRORS
from srcli.media.pillow_image import channels_of, dpi_of_ratio, pixels_of, to_rgb
from srcli.media.tiff_tags import Tag
from srcli.media.xmp import reset_xmp_orientation

__all__ = ["FORMAT"]

_SHOWN = 8
# What a reader needs in order to make sense of the pixels, besides what `Tag` names: threshold,
# cells, free bytes, gray response, fax options, transfer and white and primaries, palette and
# halftones, fax errors, inks, JPEG's tables and streams, YCbCr, padding.
_ABOUT_PIXELS = frozenset(
    (
        *(263, 264, 265, 280, 281, 288, 289, 290, 291, 292, 293, 301, 318, 319, 320, 321),
        *(326, 327, 328, 333, 336, 337, 340, 341, 342, 347),
        *(512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 59932),
    )
)


def dropped_tags(page: Directory) -> tuple[str, ...]:
    """A line that names the fields of a page that are not taken over; none if there are none."""
    known = DESCRIBED | _ABOUT_PIXELS | {int(tag) for tag in Tag} - {int(Tag.SUB_IFDS)}
    names = [f"{TiffTags.lookup(tag).name} ({tag})" for tag in page.fields if tag not in known]
    if not names:
        return ()
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (f"TIFF tags dropped: {', '.join(names[:_SHOWN])}{more}",)


_CENTIMETRES, _INCHES = 3, 2
_REDUCED = 2
_ALPHA_KINDS = (1, 2)
_FULL_BYTE = 255
_DESCRIPTION_START = 400
_SIZED = (
    (b"openmicroscopy.org/Schemas/OME", "OME"),
    (b"<OME", "OME"),
    (b"ImageJ=", "ImageJ"),
    (b'{"shape":', "tifffile's"),
)
_CR2 = b"\x10\0\0\0CR\2\0"  # behind the four bytes of every TIFF


def _inspect(stream: Readable) -> ImageInfo:
    """Headers of the pages; the first one tells how many follow."""
    pages: list[ImageInfo] = []
    image: TiffImagePlugin.TiffImageFile | None = None
    for number, main in enumerate(directories(stream)):
        reduced = _is_reduced(main)
        if number == 0:
            _require_developed(stream, main)
        try:
            if is_for_pillow(main):
                image = image or _opened(stream)
                image.seek(number)
            pages.append(_info(stream, main, image))
        except (FormatError, *DECODER_ERRORS) as error:
            if number == 0:
                raise
            if not reduced:
                raise FormatError(f"page {number + 1}: {error}") from error
            pages.append(replace(pages[0], width=1, height=1))  # it is left out in its turn
            image = None
        pages[-1] = replace(pages[-1], reduced=reduced)
    return replace(pages[0], later_pages=tuple(pages[1:]))


def _info(
    stream: Readable, main: Directory, image: TiffImagePlugin.TiffImageFile | None
) -> ImageInfo:
    width, height = main.integer(Tag.IMAGE_WIDTH, 0), main.integer(Tag.IMAGE_LENGTH, 0)
    metadata = _metadata(stream, main)
    size = orientation_of(metadata).size(width, height)
    if not is_for_pillow(main):
        layout = layout_of(main)
        shallow = has_ink_profile(layout.colours, metadata.icc)
        bits = 8 if shallow else layout.result_bits
        return ImageInfo("tiff", *size, layout.channels, bits=bits)
    assert image is not None
    return ImageInfo("tiff", *size, channels_of(image), bits=8)


def _decode(stream: Readable, page: int = 0) -> DecodedImage:
    """Decode one page; extra channels that are not alpha are left out."""
    main = page_directory(stream, page)
    _require_all_data(stream, main)
    main, line = _without_sizes(main)
    metadata = _metadata(stream, main)
    dropped = (*dropped_tags(main), *line)
    if not is_for_pillow(main):
        layout = layout_of(main)
        return apply_orientation(_decoded(stream, layout, metadata, dropped))
    with _through_libtiff(main.integer(Tag.PHOTOMETRIC, 0) == Colours.YCBCR):
        image = _opened(stream)
        image.seek(page)
    image.load()
    _widen_palette(image, main)
    rgb, metadata, line = to_rgb(image, metadata)
    dropped = (*dropped, *_left_out_channels(main), *([line] if line else []))
    return apply_orientation(
        DecodedImage(pixels_of(rgb), "tiff", metadata, dropped=dropped), turned=True
    )


def _decoded(
    stream: Readable, layout: Layout, metadata: Metadata, dropped: tuple[str, ...]
) -> DecodedImage:
    """A page that Pillow does not read right, as stored, not yet turned."""
    samples = decode_samples(stream, layout)
    pixels, metadata, lines = samples_to_rgb(samples, layout.colours, metadata)
    left_out = _left_out(layout.samples - len(layout.read_samples))
    dropped = (*dropped, *left_out, *layout.lost_depth, *lines)
    precision = layout.bits if 8 < layout.bits < pixels.itemsize * 8 else None
    return DecodedImage(pixels, "tiff", metadata, dropped=dropped, precision=precision)


def _widen_palette(image: TiffImagePlugin.TiffImageFile, main: Directory) -> None:
    """Set a palette that was written with 8 bits a colour instead of 16, as some programs do.

    Pillow, which takes the upper 8 of 16, would show black.
    """
    colours = main.integers(Tag.COLOR_MAP)
    if image.mode in ("P", "PA") and colours and max(colours) <= _FULL_BYTE:
        count = len(colours) // 3
        image.putpalette([colours[at + n * count] for at in range(count) for n in range(3)])


def _without_sizes(main: Directory) -> tuple[Directory, tuple[str, ...]]:
    """The directory without a description that states the size or the scale of its pixels."""
    text = main.raw(Tag.IMAGE_DESCRIPTION) or b""
    kind = next((name for start, name in _SIZED if start in text[:_DESCRIPTION_START]), None)
    if kind is None:
        return main, ()
    fields = {tag: field for tag, field in main.fields.items() if tag != Tag.IMAGE_DESCRIPTION}
    line = f"{kind} description left out, {len(text)} bytes: its sizes are not those of the result"
    return replace(main, fields=fields), (line,)


def _left_out_channels(main: Directory) -> tuple[str, ...]:
    """A line for samples of a page read by Pillow that are neither colours nor alpha."""
    colours = Colours(main.integer(Tag.PHOTOMETRIC, Colours.BLACK_IS_ZERO)).samples
    samples = main.integer(Tag.SAMPLES_PER_PIXEL, 1)
    extra = main.integers(Tag.EXTRA_SAMPLES)[: max(0, samples - colours)]
    return _left_out(sum(kind not in _ALPHA_KINDS for kind in extra))


def _left_out(count: int) -> tuple[str, ...]:
    """A line for further samples of a pixel: spot inks, masks, a second alpha."""
    many = "s" * (count > 1)
    return (f"{count} channel{many} left out: neither colour nor alpha",) if count else ()


def _opened(stream: Readable) -> TiffImagePlugin.TiffImageFile:
    stream.seek(0)
    return TiffImagePlugin.TiffImageFile(stream)


@contextmanager
def _through_libtiff(wanted: bool) -> Generator[None]:
    """Let libtiff read pages opened in the block: Pillow itself knows no subsampled chroma.

    It is a setting of the whole process, in which `pillow_errors_as_ours` lets one thread decode.
    """
    before, TiffImagePlugin.READ_LIBTIFF = TiffImagePlugin.READ_LIBTIFF, wanted
    try:
        yield
    finally:
        TiffImagePlugin.READ_LIBTIFF = before


def _require_developed(stream: Readable, main: Directory) -> None:
    """Check that the first page is an image, not the preview of what a camera's sensor saw.

    Raises:
        FormatError: It is a DNG, a CR2, or a small copy of what lies in directories below it.
    """
    stream.seek(4)
    canon = stream.read(8) == _CR2
    preview = _is_reduced(main) and Tag.SUB_IFDS in main.fields
    if canon or preview or Tag.DNG_VERSION in main.fields:
        raise FormatError("camera raw is not read; develop it first, to TIFF or PNG")


def _is_reduced(main: Directory) -> bool:
    """Tell if the page says that it is a smaller copy of another."""
    old_way = main.integer(Tag.SUBFILE_TYPE, 1)
    return bool(main.integer(Tag.NEW_SUBFILE_TYPE, 0) & 1) or old_way == _REDUCED


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
    """Metadata as stored; the EXIF block is put together from the file's fields."""
    unit = main.integer(Tag.RESOLUTION_UNIT, _INCHES)
    ratios = main.ratio(Tag.X_RESOLUTION), main.ratio(Tag.Y_RESOLUTION)
    factor = {_INCHES: 1.0, _CENTIMETRES: 2.54}.get(unit)
    dpi = (ratios[0] * factor, ratios[1] * factor) if factor else dpi_of_ratio(*ratios)
    xmp = main.raw(Tag.XMP)
    if xmp and Tag.ORIENTATION in main.fields:
        xmp = reset_xmp_orientation(
            xmp
        )  # it has no say beside the field, which EXIF omits where it is 1
    return Metadata(
        icc=main.raw(Tag.ICC_PROFILE),
        exif=extracted_exif(stream, main),
        xmp=xmp,
        dpi=dpi if dpi and all(dpi) else None,
        iptc=main.raw(Tag.IPTC),
    )


FORMAT = Format(
    name="tiff",
    option="tiff",
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
    keeps=frozenset({"icc", "exif", "xmp", "dpi", "iptc"}),
    disk_rate=DiskRate(0.55, 0.43),
    paged=Paged(decode=_decode, begin=TiffPages),
)
