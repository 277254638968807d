"""Open and write containers through FFmpeg; its errors become srcli's.

A clip is opened as a file and as nothing else.
"""

import stat
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BufferedWriter
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream

from srcli.errors import UnreadableVideo

__all__ = ["AnyPacket", "Part", "Sink", "opened", "packets_of", "reason_of"]

if TYPE_CHECKING:  # generic to a type checker and not at run time
    AnyPacket = Packet[Stream]
else:
    AnyPacket = Packet

Part = tuple[Fraction, Fraction]
"""From when to when on a clip's own clock, seconds."""


def packets_of(
    container: InputContainer, indices: Collection[int], part: Part | None
) -> Iterator[AnyPacket]:
    """Read the packets of some streams, in the order of the file.

    Args:
        container: The clip, from which nothing has been read yet.
        indices: Of the streams.
        part: What to read, from somewhat before its begin to the first packet of any stream after
            its end; None for all.
    """
    if not indices:
        return
    if part is None:
        yield from container.demux(*(container.streams[index] for index in indices))
        return
    begin, end = part
    if begin > Fraction(container.start_time or 0, av.time_base):
        container.seek(int(begin * av.time_base))
    for packet in container.demux():
        if packet.pts is not None and packet.pts * packet.time_base > end:
            return
        if packet.stream.index in indices:
            yield packet


# Demuxers that read the one file they are given. None of playlists (hls, dash, concat, ...), of
# devices, of network protocols or of images that name other files.
_FORMATS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "mxf", "nut", "ogg"),
    *("h264", "hevc", "obu", "ivf", "yuv4mpegpipe", "m4v", "dv", "gif", "apng"),
)
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(_FORMATS),
    "max_streams": "200",
}


@contextmanager
def opened(path: Path) -> Generator[InputContainer]:
    """Open a regular file's streams, by content; names and what is inside lead nowhere else.

    Raises:
        UnreadableVideo: It is no clip, or damaged beyond finding its streams.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UnreadableVideo(f"{path}: {error.strerror or error}") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
        raise UnreadableVideo(f"{path}: {kind}, only regular files are read")
    if not path.stat().st_size:
        raise UnreadableVideo(f"{path}: empty (0 bytes); restore it from its source")
    try:
        container = av.open(
            f"file:{path.resolve()}",
            "r",
            container_options=_OPTIONS,
            metadata_errors="replace",
        )
    except (FFmpegError, OSError) as error:
        raise UnreadableVideo(
            f"{path}: no clip that srcli reads ({reason_of(error)}); "
            "playlists are not followed, and a damaged file has to come from its source again"
        ) from error
    with container:
        yield container


def reason_of(error: Exception) -> str:
    """FFmpeg's own words for an error, without its file names."""
    return str(getattr(error, "strerror", None) or error)


class Sink:
    """Passes on what is written; after a failure it takes everything and keeps nothing.

    PyAV prints a traceback for every failure after the first, and closing a container writes.

    Args:
        stream: The file.
    """

    def __init__(self, stream: BufferedWriter) -> None:
        self._stream = stream
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write, or pretend to."""
        if self._error is None:
            try:
                return self._stream.write(data)
            except OSError as error:
                self._error = error
                raise
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place in the file."""
        return 0 if self._error else self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Where the file is."""
        return 0 if self._error else self._stream.tell()

    def check(self) -> None:
        """Raise what went wrong, if anything did: then the file is not whole."""
        if self._error is not None:
            raise self._error
