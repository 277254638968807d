"""Interface of every image format: how it is recognised, read and written; limits, disk rate."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedReader, BufferedWriter, BytesIO
from typing import Protocol

from srcli.media.image import DecodedImage, ImageInfo

__all__ = ["DiskRate", "Format", "FormatError", "PageWriter", "Paged", "Readable"]

Readable = BufferedReader | BytesIO


class FormatError(Exception):
    """A format cannot read or write this; the message says why and, where possible, the remedy.

    It never leaves `srcli.media`: the reader makes it `UnreadableImage`, the writer
    `UnwritableImage`, each with the file's name before it.
    """


class PageWriter(Protocol):
    """Writes a file of several pages."""

    def add(self, image: DecodedImage) -> None:
        """Write the next page."""
        ...

    def finish(self) -> None:
        """Write what belongs to all pages."""
        ...


@dataclass(frozen=True)
class Paged:
    """Interface of a format that holds several images, each whole and with its own metadata.

    Attributes:
        decode: Decodes a page by its number from 0, as `Format.decode` does the first.
        begin: Begins a file in an empty stream.
    """

    decode: Callable[[Readable, int], DecodedImage]
    begin: Callable[[BufferedWriter], PageWriter]


@dataclass(frozen=True)
class DiskRate:
    """Bytes that photographs take in a format, for each 8-bit sample.

    Measured: `docs/measure/disk_rates.py`.

    Attributes:
        photograph: Of an input, as cameras and editors write it (lossy formats: quality 90).
        result: Of a ×4 result at the default quality.
        lossless: Of both, where a lossy format holds exact pixels (`ImageInfo.lossless`).
    """

    photograph: float
    result: float
    lossless: float | None = None


@dataclass(frozen=True)
class Format:
    """One image format; each lives in the file of its name, which `formats/` finds.

    Attributes:
        name: As in `DecodedImage.format`.
        option: Its name for `--format`; None if results are written in it only where the input is.
        suffixes: Lower-case file suffixes with their dot, the canonical one first.
        recognises: Whether a file that begins with these 16 bytes is of this format.
        inspect: Reads the header alone, from the stream's beginning.
        decode: Decodes the whole file from the stream's beginning, upright. It raises
            `FormatError`, or whatever its library raises, for a file that is not whole.
        encode: Writes an image that this format can hold, at a quality of 1 to 100.
        max_side: Greatest width or height in pixels.
        max_block: Greatest length of the EXIF, of the XMP and of each other block in bytes.
        gray: Whether gray images stay gray; otherwise they are stored as RGB.
        gray_alpha: Whether gray ones with alpha do.
        gray_profile: Whether gray ones may have a profile for gray; otherwise it must be for RGB.
        alpha: Whether it holds alpha.
        deep: Whether it holds more than 8 bits a sample.
        most_bits: How many at most, if it does.
        keeps: The fields of `Metadata` it holds.
        disk_rate: For the estimate of a result's size; None if it does not pack: a byte a sample.
        codec: Name of its lossy compression; "" if all its files are lossless.
        paged: How it holds several pages; None if it holds one. Then `inspect` tells of all.
    """

    name: str
    option: str | None
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    inspect: Callable[[Readable], ImageInfo]
    decode: Callable[[Readable], DecodedImage]
    encode: Callable[[DecodedImage, BufferedWriter, int], None]
    max_side: int
    max_block: int
    gray: bool
    alpha: bool
    deep: bool
    keeps: frozenset[str]
    disk_rate: DiskRate | None
    codec: str = ""
    paged: Paged | None = None
    gray_alpha: bool = True
    gray_profile: bool = True
    most_bits: int = 16
