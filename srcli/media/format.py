"""What every picture format promises: how it is recognised, read and written, what it can hold."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedReader, BufferedWriter, BytesIO
from typing import Protocol

from srcli.media.picture import Picture, PictureInfo

__all__ = ["Format", "FormatError", "PageWriter", "Paged", "Readable"]

Readable = BufferedReader | BytesIO


class FormatError(Exception):
    """What a format cannot read or write; the message says why and, where it can, what to do.

    It never leaves `srcli.media`: the reader makes it `UnreadableImage`, the writer
    `UnwritableImage`, each with the file's name before it.
    """


class PageWriter(Protocol):
    """Writes a file of several pages."""

    def add(self, picture: Picture) -> None:
        """Write the next page."""
        ...

    def finish(self) -> None:
        """Write what belongs to all pages."""
        ...


@dataclass(frozen=True)
class Paged:
    """How a format holds several pictures, each whole and with metadata of its own.

    Attributes:
        decode: Decodes a page by its number from 0, as `Format.decode` does the first.
        begin: Begins a file in an empty stream.
    """

    decode: Callable[[Readable, int], Picture]
    begin: Callable[[BufferedWriter], PageWriter]


@dataclass(frozen=True)
class Format:
    """One picture format; each lives in the file of its name.

    Attributes:
        name: As in `Picture.format`.
        suffixes: Lower-case file suffixes with their dot, the canonical one first.
        recognises: Whether a file that begins with these 16 bytes is of this format.
        inspect: Reads the header alone, from the stream's beginning.
        decode: Decodes the whole file from the stream's beginning, upright. It raises
            `FormatError`, or whatever its library raises, for a file that is not whole.
        encode: Writes a picture that this format can hold, at a quality of 1 to 100.
        max_side: Greatest width or height in pixels.
        max_block: Greatest length of the EXIF, of the XMP and of each other block in bytes.
        gray: Whether gray pictures stay gray; otherwise they are stored as RGB.
        gray_alpha: Whether gray ones with alpha do.
        alpha: Whether it holds alpha.
        deep: Whether it holds 16 bits a sample.
        keeps: The fields of `Metadata` it holds.
        paged: How it holds several pages; None if it holds one. Then `inspect` tells of all.
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    inspect: Callable[[Readable], PictureInfo]
    decode: Callable[[Readable], Picture]
    encode: Callable[[Picture, BufferedWriter, int], None]
    max_side: int
    max_block: int
    gray: bool
    alpha: bool
    deep: bool
    keeps: frozenset[str]
    paged: Paged | None = None
    gray_alpha: bool = True
