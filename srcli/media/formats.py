"""The formats srcli reads and writes, and the file names that go with them."""

from pathlib import Path

from srcli.media.avif import AVIF
from srcli.media.bmp import BMP
from srcli.media.format import Format, FormatError
from srcli.media.heic import HEIC
from srcli.media.jpeg import JPEG
from srcli.media.jxl import JXL
from srcli.media.png import PNG
from srcli.media.tiff import TIFF
from srcli.media.webp import WEBP

__all__ = ["FORMATS", "format_of_name", "holds_pages", "is_image_name", "recognise", "suffix_of"]

_ALL = (PNG, JPEG, WEBP, TIFF, BMP, AVIF, HEIC, JXL)
FORMATS: dict[str, Format] = {format.name: format for format in _ALL}


def format_of_name(path: Path) -> str | None:
    """The format that a file's suffix stands for, None if it is no image's.

    >>> format_of_name(Path("holiday.JPG"))
    'jpeg'
    """
    suffix = path.suffix.lower()
    return next((f.name for f in FORMATS.values() if suffix in f.suffixes), None)


def holds_pages(format: str) -> bool:
    """Tell if a file of a format can hold several images, each with its own metadata."""
    return FORMATS[format].paged is not None


def is_image_name(path: Path) -> bool:
    """Tell if the suffix is one of an image that srcli reads.

    >>> is_image_name(Path("holiday.JPG")), is_image_name(Path("notes.txt"))
    (True, False)
    """
    return format_of_name(path) is not None


def suffix_of(format: str) -> str:
    """The usual suffix of a format.

    >>> suffix_of("jpeg")
    '.jpg'
    """
    return FORMATS[format].suffixes[0]


def recognise(head: bytes) -> Format:
    """The format of a file from its first 16 bytes; its name is not asked.

    Raises:
        FormatError: No format begins so.
    """
    for format in FORMATS.values():
        if format.recognises(head):
            return format
    names = ", ".join(FORMATS)
    raise FormatError(
        f"begins with {head[:8]!r}, which is no image format that srcli reads ({names})"
    )
