"""Read still images: every file ends as a whole image or as one clear error."""

import os
import re
import stat
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from srcli.errors import ImageTooLarge, UnreadableImage
from srcli.media.compression import measure_blockiness
from srcli.media.format import Format, FormatError, Readable
from srcli.media.formats import recognise
from srcli.media.image import Compression, DecodedImage, ImageInfo
from srcli.media.pillow_errors import DECODER_ERRORS, pillow_errors_as_ours

__all__ = ["MAX_MEGAPIXELS", "probe", "read_image"]

MAX_MEGAPIXELS = 512.0
_UNKNOWN_KIND = re.compile(
    "unsupported|not supported|unknown pixel mode|unknown raw mode|unknown data organization"
    "|cannot identify|not implemented|decoder error -2",
    re.IGNORECASE,
)
_HEAD = 16  # bytes by which the format is recognised


def probe(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> ImageInfo:
    """Read from the header alone what `read_image` would give.

    Args:
        path: The file; its name is not trusted.
        max_megapixels: Greatest size accepted, in millions of pixels.

    Raises:
        UnreadableImage: The file is no image, or its header is damaged.
        ImageTooLarge: The header states more pixels than the limit.
    """
    with _opened(path) as stream:
        return _inspected(path, stream, max_megapixels)[1]


def read_image(
    path: Path,
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
    page: int = 0,
    content: bytes | None = None,
) -> DecodedImage:
    """Decode an image whole, upright, at its own depth.

    The format is that of the content, whatever the name says. 1-bit and low-depth images become
    8 bits, palettes RGB, key colours alpha; CMYK, YCCK, YCbCr and LAB become RGB. What the file
    says about its pixels is checked before they are decoded, so that a hostile header costs
    nothing.

    Args:
        path: The file; a regular one, pipes and devices are refused.
        max_megapixels: Greatest size accepted, in millions of pixels.
        page: Which of the pages, from 0; above 0 only after page 0 was read, whose `later_pages`
            say what there is.
        content: Of the file, if it has been read already.

    Raises:
        UnreadableImage: The file cannot be decoded whole, or is of a kind that is not read.
        ImageTooLarge: The header states more pixels than the limit, or memory does not suffice.
    """
    with _opened(path, page, content) as stream:
        if page:
            format = recognise(stream.read(_HEAD))
            if format.paged is None:
                raise FormatError(f"{format.name} has one page")
            return _measured(format.paged.decode(stream, page))
        format, info = _inspected(path, stream, max_megapixels)
        stream.seek(0)
        image = format.decode(stream)
        known = _compression_of(image, image.compression, format, stream)
        return _measured(replace(image, later_pages=info.later_pages, compression=known))


@contextmanager
def _opened(
    path: Path, page: int = 0, content: bytes | None = None
) -> Generator[Readable, None, None]:
    """Open a regular file; whatever goes wrong while it is decoded becomes one of our errors."""
    named = f"{path}: page {page + 1}" if page else str(path)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
            raise UnreadableImage(f"{path}: {kind}, only regular files are read")
        opened = path.open("rb") if content is None else BytesIO(content)
        with opened as stream, pillow_errors_as_ours():
            yield stream
    except MemoryError:
        raise ImageTooLarge(f"{named}: does not fit in memory; split or shrink it") from None
    except OSError as error:
        raise UnreadableImage(f"{named}: {error.strerror or _in_words(error)}") from error
    except FormatError as error:
        raise UnreadableImage(f"{named}: {error}") from error
    except DECODER_ERRORS as error:
        raise UnreadableImage(f"{named}: {_in_words(error)}") from error


def _in_words(error: Exception) -> str:
    """A library's error: the file is of a kind that it does not read, or damaged."""
    reason = str(error) or type(error).__name__
    if _UNKNOWN_KIND.search(reason):
        return (
            f"of a kind ({reason}) that srcli does not read; hint: convert it to PNG or plain TIFF"
        )
    return f"damaged ({reason}); hint: restore it from its source"


def _inspected(path: Path, stream: Readable, max_megapixels: float) -> tuple[Format, ImageInfo]:
    head = stream.read(_HEAD)
    if not head:
        raise FormatError("empty (0 bytes); hint: restore it from its source")
    try:
        format = recognise(head)
    except FormatError as error:
        from srcli.media.video.names import begins_as_clip  # clips' modules import this one

        if begins_as_clip(path):
            raise FormatError(
                "a video, not an image; hint: srcli upscale takes videos whose names end in .mp4, "
                ".mov, .mkv or another of a video's"
            ) from error
        raise
    stream.seek(0)
    info = format.inspect(stream)
    info = replace(info, compression=_compression_of(info, info.compression, format, stream))
    for number, one in enumerate((info, *info.later_pages)):
        named = f"page {number + 1}: " if number else ""
        size = f"{one.width}x{one.height}"
        if one.width < 1 or one.height < 1:
            raise FormatError(f"{named}its size is {size}; hint: restore it from its source")
        if one.megapixels > max_megapixels:
            raise ImageTooLarge(
                f"{path}: {named}{size} is {one.megapixels:.0f} megapixels, "
                f"limit {max_megapixels:g}; raise the limit or shrink it"
            )
    return format, info


def _compression_of(
    image: DecodedImage | ImageInfo, known: Compression, format: Format, stream: Readable
) -> Compression:
    """Compression of a file's pixels by what its format, its header and its size tell."""
    codec = known.codec or ("" if image.lossless else format.codec)
    area = image.width * image.height
    if not codec or not area:
        return known
    return replace(known, codec=codec, bits_per_pixel=stream.seek(0, os.SEEK_END) * 8 / area)


def _measured(image: DecodedImage) -> DecodedImage:
    """The image with what its pixels tell of compression."""
    blockiness = measure_blockiness(image.pixels)
    return replace(image, compression=replace(image.compression, blockiness=blockiness))
