"""PNG with 16 bits a sample, which Pillow would cut to 8 without a word.

FFmpeg decodes them, exactly, but takes a short file for a whole one, so that the length is checked
first. They are encoded here: the rows are filtered by Up, which numpy does as fast as any library.
"""

import zlib
from collections.abc import Sequence
from io import BufferedWriter

import numpy as np
from numpy.typing import NDArray

from srcli.media.format import FormatError, Readable
from srcli.media.formats.png.chunks import (
    SIGNATURE,
    Chunk,
    Header,
    alone,
    chunk_bytes,
    metadata_chunks,
    require_all_rows,
)
from srcli.media.image import DecodedImage, Pixels

__all__ = ["decode_16bit", "encode_16bit"]

_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # colour type by channels
_UP = 2
_LEVEL = 1  # of zlib: 16-bit samples are mostly noise, and higher levels gain next to nothing
_BAND_BYTES = 1 << 20


def decode_16bit(stream: Readable, chunks: Sequence[Chunk], header: Header) -> Pixels:
    """The pixels, (h, w, c) uint16; a key colour becomes alpha.

    Raises:
        FormatError: The pixels are fewer than the header says.
    """
    import av  # FFmpeg is loaded for those few files that need it
    from av.error import FFmpegError

    require_all_rows(stream, chunks, header)
    context = av.VideoCodecContext.create("png", "r")
    packet = av.Packet(alone(stream, chunks, pixels=True).getvalue())  # pyright: ignore[reportUnknownVariableType]
    try:
        frames = context.decode(packet)  # pyright: ignore[reportUnknownMemberType]
    except FFmpegError as error:
        raise FormatError(f"FFmpeg cannot decode it ({error})") from error
    if not frames:
        raise FormatError("FFmpeg finds no video in it")
    plane = frames[0].planes[0]
    rows = np.frombuffer(memoryview(plane), ">u2").reshape(header.height, plane.line_size // 2)
    pixels = rows[:, : header.width * header.channels].astype(np.uint16)
    return pixels.reshape(header.height, header.width, header.channels)


def encode_16bit(image: DecodedImage, stream: BufferedWriter) -> None:
    """Write an image of 16 bits a sample, band by band."""
    height, width, channels = image.pixels.shape
    sizes = np.array([width, height], ">u4").tobytes()
    stream.write(SIGNATURE)
    stream.write(chunk_bytes(b"IHDR", sizes + bytes([16, _COLOURS[channels], 0, 0, 0])))
    stream.write(metadata_chunks(image.metadata))
    deflate = zlib.compressobj(_LEVEL, strategy=zlib.Z_FILTERED)
    above = np.zeros(width * channels * 2, np.uint8)
    rows = max(1, _BAND_BYTES // above.size)
    for top in range(0, height, rows):
        band = np.ascontiguousarray(image.pixels[top : top + rows], ">u2")
        band = band.view(np.uint8).reshape(-1, above.size)
        stream.write(chunk_bytes(b"IDAT", deflate.compress(_filtered(band, above).data)))
        above = band[-1]
    stream.write(chunk_bytes(b"IDAT", deflate.flush()))
    stream.write(chunk_bytes(b"IEND", b""))


def _filtered(band: NDArray[np.uint8], above: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each row less the one above it, behind the byte that says so: (h, 1 + bytes a row)."""
    result = np.empty((band.shape[0], 1 + band.shape[1]), np.uint8)
    result[:, 0] = _UP
    np.subtract(band[0], above, out=result[0, 1:])
    np.subtract(band[1:], band[:-1], out=result[1:, 1:])
    return result
