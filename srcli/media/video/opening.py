"""Open a clip as a file and as nothing else, and turn what FFmpeg says into our errors."""

import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError

from srcli.errors import UnreadableVideo

__all__ = ["opened", "reason_of"]

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
