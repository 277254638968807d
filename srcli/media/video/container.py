"""Open and write containers through FFmpeg; its errors become srcli's.

A clip is opened as a file and as nothing else.
"""

import errno
import io
import stat
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from io import BufferedRandom, BufferedReader, BufferedWriter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream

from srcli.errors import UnreadableVideo

__all__ = [
    "MOST_STREAMS",
    "AnyPacket",
    "Part",
    "SeekFailed",
    "Sink",
    "beginning_by",
    "opened",
    "reason_of",
]

if TYPE_CHECKING:  # generic to a type checker and not at run time
    AnyPacket = Packet[Stream]
else:
    AnyPacket = Packet

Part = tuple[Fraction, Fraction]
"""From when to when on a clip's own clock, seconds."""

# Demuxers that read the one file they are given. None of playlists (hls, dash, concat, ...), of
# devices, of network protocols or of images that name other files.
_FORMATS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "mxf", "nut", "ogg"),
    *("h264", "hevc", "obu", "ivf", "yuv4mpegpipe", "m4v", "dv", "gif", "apng"),
)
MOST_STREAMS = 1000
"""Streams that a clip may have, attachments among them; further ones are not seen."""
_OPTIONS = {
    "protocol_whitelist": "none",  # what is read is handed over; nothing else is opened
    "format_whitelist": ",".join(_FORMATS),
    "max_streams": str(MOST_STREAMS),
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
        raise UnreadableVideo(f"{path}: empty (0 bytes); hint: restore it from its source")
    with ExitStack() as stack:
        file = None
        try:
            file = stack.enter_context(_ClipFile(path))
            container = av.open(file, "r", container_options=_OPTIONS, metadata_errors="replace")
        except (FFmpegError, OSError) as error:
            if file is not None:
                file.check()
            raise UnreadableVideo(
                f"{path}: not a supported video ({reason_of(error)}); "
                "playlists are not followed, and a damaged file has to come from its source again"
            ) from error
        stack.enter_context(container)
        try:
            yield container
        finally:
            file.check()


class _ClipFile(io.FileIO):
    """A file that remembers a failed read: most of FFmpeg's demuxers take one for the end."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.resolve(), "rb")
        self._path = path
        self._error: OSError | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to `size` bytes; after a failure there is nothing more."""
        if self._error is not None:
            return b""  # PyAV prints every error but the first that it has to hand on
        try:
            return self._read(size) or b""
        except OSError as error:
            self._error = error
            raise

    def _read(self, size: int | None) -> bytes | None:
        return super().read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place; one before the beginning, as damage asks for, is an error to FFmpeg alone.

        Returns:
            The place; negative where there is none, as FFmpeg has it.
        """
        try:
            return super().seek(offset, whence)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return -errno.EINVAL
            self._error = error
            raise

    def check(self) -> None:
        """Raise what went wrong while reading, if anything did.

        Raises:
            UnreadableVideo: The disk or the network failed; the content is not known.
        """
        if self._error is not None:
            raise UnreadableVideo(
                f"{self._path}: reading failed ({self._error.strerror or self._error}); what is "
                "done is kept. hint: check the disk or the network, then run the same command again"
            ) from self._error


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

    def reopened(self, url: str, flags: int, options: dict[str, str]) -> BufferedReader:
        """Open the file for reading, for a muxer that moves what it has written."""
        del url, flags, options
        self._stream.flush()
        return Path(self._stream.name).open("rb")

    def to_change(self) -> BufferedRandom:
        """Open the file for changing what has been written."""
        self._stream.flush()
        return Path(self._stream.name).open("r+b")

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


class SeekFailed(Exception):
    """A seek did not lead to where it should, as where there is no index."""


def beginning_by(near: int, frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Pass frames on, if there are any and the first is at `near` or before.

    Raises:
        SeekFailed: The first is later, or there is none.
    """
    first = next(frames, None)
    stated = None if first is None else first.dts if first.pts is None else first.pts
    if first is None or stated is None or stated > near:
        raise SeekFailed
    yield from chain((first,), frames)
