"""Encode frames into segments: whole files, each of which begins with a key frame.

A segment is a Matroska file whose times are frame numbers, and beside it a list of the real times;
it counts once the list is there. Joined, segments give one stream without encoding again.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from srcli.atomic import atomic_file
from srcli.errors import UnwritableVideo
from srcli.media.image import Pixels
from srcli.media.video.choose_encoding import Encoding
from srcli.media.video.colour import RGB, Colour, Conversion, Samples, swscale_white
from srcli.media.video.container import AnyPacket, Sink, reason_of
from srcli.media.video.encoders import device_of, repeatable_options
from srcli.media.video.frames import ClipInfo

__all__ = ["Segment", "SegmentWriter", "all_segments", "find_segments", "segment_at"]

_DELAY = 64  # frames by which an encoder may reorder; what decode times are set back by
_FASTEST = Fraction(240)  # frames a second, what encoders are told at most; times are times
_TICK = Fraction(1, 1000)  # Matroska's; one for each frame


@dataclass(frozen=True)
class Segment:
    """One finished segment.

    Args:
        path: The file.
        pts: When each frame is shown, ascending.
        durations: For how long.
    """

    path: Path
    pts: Sequence[int]
    durations: Sequence[int]


def find_segments(folder: Path) -> list[Segment]:
    """The finished segments in a folder, in order, up to the first that is missing."""
    found: list[Segment] = []
    while segment := segment_at(folder / f"{len(found):06}.mkv"):
        found.append(segment)
    return found


def all_segments(folder: Path) -> list[Segment]:
    """The finished segments in a folder, in order, whichever are missing between them."""
    return [found for path in sorted(folder.glob("*.mkv")) if (found := segment_at(path))]


def segment_at(path: Path) -> Segment | None:
    """The finished segment of that name, if there is one."""
    try:
        times: dict[str, list[int]] = json.loads(path.with_suffix(".json").read_text())
    except (OSError, ValueError):
        return None
    return Segment(path, times["pts"], times["durations"]) if path.is_file() else None


class SegmentWriter:
    """Writes one segment; nothing of it stays unless `finish` is reached.

    Args:
        path: Where to.
        encoding: How.
        info: Of the result's frames.
    """

    def __init__(self, path: Path, encoding: Encoding, info: ClipInfo) -> None:
        self._path = path
        self._info = info
        self._colour = _stored(encoding, info.colour)
        self._pts: list[int] = []
        self._durations: list[int] = []
        self._numbers: dict[int, int] = {}
        self._packets = 0
        self._convert: Conversion | None = None
        self._encoding = encoding
        with ExitStack() as opened:
            self._open(opened)
            self._opened = opened.pop_all()

    def __len__(self) -> int:
        """Frames so far."""
        return len(self._pts)

    def _open(self, opened: ExitStack) -> None:
        """Open file and encoder; what is open is closed, and the file removed, by `opened`."""
        self._sink = Sink(opened.enter_context(atomic_file(self._path)))
        self._container = av.open(self._sink, "w", format="matroska")
        rate = min(self._info.rate, _FASTEST)
        self._stream = self._container.add_stream(
            self._encoding.encoder,
            rate=rate,
            options=repeatable_options(self._encoding.encoder, self._encoding.options),
            hwaccel=device_of(self._encoding.encoder),
        )
        context = self._stream.codec_context
        assert isinstance(context, VideoCodecContext)
        even = _evened(self._info, self._encoding.pixel_format)
        context.width, context.height = even
        context.pix_fmt = self._encoding.pixel_format
        context.time_base = self._info.time_base
        context.framerate = rate
        context.sample_aspect_ratio = self._info.aspect
        context.color_range = self._colour.range_code
        context.colorspace = self._colour.matrix
        context.color_primaries = self._colour.primaries
        context.color_trc = self._colour.transfer
        self._context = context

    def add(self, pts: int, duration: int, pixels: Pixels) -> None:
        """Encode one frame (h, w, 3 or 4), uint8 or uint16."""
        frame = self._to_stored(pts, pixels)
        self._numbers[pts] = len(self._pts)
        self._pts.append(pts)
        self._durations.append(duration)
        self._mux(frame)

    def finish(self) -> Segment:
        """Complete the file on disk, and then its list of times."""
        self._mux(None)
        self._container.close()
        self._sink.check()
        self._opened.close()
        with atomic_file(self._path.with_suffix(".json")) as stream:
            stream.write(json.dumps({"pts": self._pts, "durations": self._durations}).encode())
        return Segment(self._path, self._pts, self._durations)

    def _to_stored(self, pts: int, pixels: Pixels) -> av.VideoFrame:
        names = {(3, 1): "rgb24", (3, 2): "rgb48le", (4, 1): "rgba", (4, 2): "rgba64le"}
        name = names[pixels.shape[2], pixels.itemsize]
        width, height = _evened(self._info, self._encoding.pixel_format)
        if pixels.dtype == np.uint16:
            pixels = swscale_white(pixels, self._encoding.pixel_format, self._colour)
        right, below = width - pixels.shape[1], height - pixels.shape[0]
        if right or below:
            pixels = cast("Pixels", np.pad(pixels, ((0, below), (0, right), (0, 0)), "edge"))
        whole = cast("NDArray[np.uint8]", np.ascontiguousarray(pixels))  # or of uint16
        frame = av.VideoFrame.from_ndarray(whole, name)
        frame.pts, frame.time_base = pts, self._info.time_base
        if self._convert is None:
            self._convert = Conversion(
                Samples(width, height, name, RGB, self._info.time_base),
                target=self._encoding.pixel_format,
                becomes=self._colour,
            )
        (stored,) = self._convert(frame)
        stored.pts, stored.time_base = pts, self._info.time_base
        stored.colorspace, stored.color_range = self._colour.matrix, self._colour.range_code
        stored.color_primaries = self._colour.primaries
        stored.color_trc = self._colour.transfer
        return stored

    def _mux(self, frame: av.VideoFrame | None) -> None:
        try:
            packets: list[AnyPacket] = [*self._context.encode(frame)]
            for packet in packets:
                assert packet.pts is not None
                packet.pts = self._numbers[packet.pts]
                packet.dts = self._packets - _DELAY
                packet.duration = 1
                packet.time_base = _TICK
                packet.stream = self._stream
                self._packets += 1
                self._container.mux(packet)
        except FFmpegError as error:
            self._sink.check()
            raise UnwritableVideo(
                f"{self._encoding.encoder} refuses {self._encoding.pixel_format} frames of "
                f"{self._context.width}x{self._context.height} ({reason_of(error)}); "
                "try another --codec or --pix-fmt"
            ) from error

    def discard(self) -> None:
        """Leave nothing behind."""
        with suppress(FFmpegError, OSError):
            self._container.close()
        abandoned = _AbandonedError()
        with suppress(_AbandonedError):
            self._opened.__exit__(_AbandonedError, abandoned, None)


class _AbandonedError(Exception):
    """Tells `atomic_file` that what was written shall not stay."""


def _evened(info: ClipInfo, pixel_format: str) -> tuple[int, int]:
    """Width and height, to which subsampled chroma may need another column and row."""
    shape = av.VideoFormat(pixel_format)
    across, down = 2 // shape.chroma_width(2), 2 // shape.chroma_height(2)
    return info.width + -info.width % across, info.height + -info.height % down


def _stored(encoding: Encoding, colour: Colour) -> Colour:
    shape = av.VideoFormat(encoding.pixel_format)
    if shape.is_rgb:
        return RGB
    stored = colour.for_yuv()
    prores = encoding.encoder.startswith("prores")  # whose frames cannot say that they are full
    return replace(stored, full=False) if prores else stored
