"""The chunks of a PNG file: walk, check and write them."""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

from srcli.media.format import FormatError, Readable
from srcli.media.image import Metadata

__all__ = [
    "SIGNATURE",
    "Chunk",
    "Header",
    "alone",
    "check_chunks",
    "chunk_bytes",
    "cut_short",
    "end_of",
    "has_end",
    "list_chunks",
    "metadata_chunks",
    "payload",
    "read_header",
    "require_all_rows",
    "split_chunks",
]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_ABOUT_PIXELS = (b"IHDR", b"PLTE", b"tRNS")
_PIECE = 1 << 20
_ADAM7 = (  # first row, first column, row step, column step
    *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2)),
    *((0, 1, 2, 2), (1, 0, 2, 1)),
)


@dataclass(frozen=True)
class Chunk:
    """One chunk: its type and where its payload lies."""

    kind: bytes
    at: int
    length: int


@dataclass(frozen=True)
class Header:
    """Read IHDR, and whether a key colour adds alpha."""

    width: int
    height: int
    bits: int
    colour: int
    interlaced: bool
    keyed: bool

    @property
    def stored_channels(self) -> int:
        """Samples a pixel in the file."""
        return _CHANNELS[self.colour]

    @property
    def channels(self) -> int:
        """Samples a pixel once the key colour has become alpha."""
        return self.stored_channels + self.keyed


def list_chunks(stream: Readable) -> list[Chunk]:
    """Every whole chunk up to IEND, without reading the payloads.

    IEND alone may be missing, or be there in part: whether all pixels are, decoding them tells.

    Raises:
        FormatError: The file ends before that.
    """
    end = stream.seek(0, os.SEEK_END)
    at = len(SIGNATURE)
    chunks: list[Chunk] = []
    while at + 12 <= end:
        stream.seek(at)
        length, kind = struct.unpack(">I4s", stream.read(8))
        at += 12 + length
        if at > end:
            raise cut_short(stream)
        chunks.append(Chunk(kind, at - 4 - length, length))
        if kind == b"IEND":
            return chunks
    if not any(chunk.kind == b"IDAT" for chunk in chunks):
        raise cut_short(stream)
    return chunks


def has_end(chunks: Sequence[Chunk]) -> bool:
    """Tell if the file's end is marked."""
    return chunks[-1].kind == b"IEND"


def end_of(chunks: Sequence[Chunk]) -> int:
    """Offset in the file behind the last chunk."""
    return chunks[-1].at + chunks[-1].length + 4


def cut_short(stream: Readable) -> FormatError:
    """The error for a file of which pixels are missing."""
    return FormatError(f"it is cut short: no IEND in {stream.seek(0, os.SEEK_END)} bytes")


def read_header(stream: Readable, chunks: Sequence[Chunk]) -> Header:
    """The header from IHDR, which must be first and valid."""
    if chunks[0].kind != b"IHDR" or chunks[0].length != 13:
        raise FormatError("it does not begin with IHDR")
    width, height, bits, colour, _, _, interlace = struct.unpack(
        ">IIBBBBB", payload(stream, chunks[0])
    )
    if colour not in _CHANNELS or bits not in (1, 2, 4, 8, 16):
        raise FormatError(f"it has colour type {colour} with {bits} bits, which PNG does not know")
    keyed = colour in (0, 2) and any(chunk.kind == b"tRNS" for chunk in chunks)
    return Header(width, height, bits, colour, interlaced=bool(interlace), keyed=keyed)


def check_chunks(stream: Readable, chunks: Sequence[Chunk]) -> None:
    """Check every chunk's checksum.

    Raises:
        FormatError: One does not fit.
    """
    for chunk in chunks:
        checksum = zlib.crc32(chunk.kind)
        for piece in _pieces(stream, chunk):
            checksum = zlib.crc32(piece, checksum)
        if stream.read(4) != struct.pack(">I", checksum):
            raise FormatError(f"its {chunk.kind!r} at byte {chunk.at} fails the checksum")


def require_all_rows(stream: Readable, chunks: Sequence[Chunk], header: Header) -> None:
    """Inflate the pixels once without keeping them, to count them and to test their checksum.

    Decoders take a short image for a whole one.

    Raises:
        FormatError: Rows are missing.
        zlib.error: The checksum does not fit.
    """
    inflate = zlib.decompressobj()
    length = 0
    for chunk in chunks:
        data = payload(stream, chunk) if chunk.kind == b"IDAT" else b""
        while data and not inflate.eof:
            length += len(inflate.decompress(data, _PIECE))
            data = inflate.unconsumed_tail
    if length < _length(header):
        raise FormatError(f"its pixels end after {length} of {_length(header)} bytes")


def _length(header: Header) -> int:
    """Number of bytes the pixels inflate to, with one filter byte a row."""
    passes = _ADAM7 if header.interlaced else ((0, 0, 1, 1),)
    length = 0
    for first_row, first_column, row_step, column_step in passes:
        rows = -(-(header.height - first_row) // row_step)
        columns = -(-(header.width - first_column) // column_step)
        if rows > 0 and columns > 0:
            length += rows * (1 + (columns * header.stored_channels * header.bits + 7) // 8)
    return length


def payload(stream: Readable, chunk: Chunk) -> bytes:
    """The payload of a chunk."""
    stream.seek(chunk.at)
    return stream.read(chunk.length)


def alone(stream: Readable, chunks: Sequence[Chunk], *, pixels: bool) -> BytesIO:
    """A PNG with nothing beside the image, so that Pillow cannot stumble over it.

    Args:
        stream: The file.
        chunks: Its chunks.
        pixels: With them; otherwise there is an empty chunk in their place.
    """
    result = BytesIO(SIGNATURE)
    result.seek(0, os.SEEK_END)
    for chunk in chunks:
        if chunk.kind in _ABOUT_PIXELS or (pixels and chunk.kind == b"IDAT"):
            stream.seek(chunk.at - 8)
            result.write(stream.read(chunk.length + 12))
    result.write(b"" if pixels else chunk_bytes(b"IDAT", b""))
    result.write(chunk_bytes(b"IEND", b""))
    result.seek(0)
    return result


def chunk_bytes(kind: bytes, data: bytes) -> bytes:
    """A chunk as it stands in the file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def split_chunks(chunks: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    """Type and payload of chunks that stand one behind the other, as `chunk_bytes` makes them."""
    at = 0
    while chunks and at < len(chunks):
        length, kind = struct.unpack_from(">I4s", chunks, at)
        yield kind, chunks[at + 8 : at + 8 + length]
        at += 12 + length


def metadata_chunks(metadata: Metadata) -> bytes:
    """The chunks that hold the metadata; they belong between IHDR and the pixels."""
    chunks = metadata.colour or b""
    if metadata.cicp:
        chunks += chunk_bytes(b"cICP", metadata.cicp)
    if metadata.icc:
        chunks += chunk_bytes(b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc))
    if metadata.dpi:
        across, down = (round(value / 0.0254) for value in metadata.dpi)
        chunks += chunk_bytes(b"pHYs", struct.pack(">IIB", across, down, 1))
    if metadata.exif:
        chunks += chunk_bytes(b"eXIf", metadata.exif)
    if metadata.xmp:
        chunks += chunk_bytes(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp)
    return chunks + (metadata.texts or b"")


def _pieces(stream: Readable, chunk: Chunk) -> Iterator[bytes]:
    stream.seek(chunk.at)
    for start in range(0, chunk.length, _PIECE):
        yield stream.read(min(_PIECE, chunk.length - start))
