"""A clip's frames, from the file to RGB, with their times."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.codec.context import ThreadType
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from srcli.errors import UnreadableVideo
from srcli.media.image import Pixels
from srcli.media.video.colour import HLG, PQ, RGB, Conversion, Samples, full_scale
from srcli.media.video.container import opened
from srcli.media.video.damage import Loss, surviving_frames
from srcli.media.video.frames import ClipInfo, Frame
from srcli.media.video.probe import DecodeOptions, chosen_stream, inspect, turn

__all__ = ["ClipReader"]

_LEAP = 1  # seconds by which times may run back without being those of another clip
_RUN_UP = 2  # seconds decoded before the frame that is wanted after a seek


class ClipReader:
    """Reads one clip; see `FrameSource`.

    Args:
        path: The file; its name is not trusted.
        reading: How to read it.

    Raises:
        UnreadableVideo: It cannot be read, or not without being told how.
    """

    def __init__(self, path: Path, reading: DecodeOptions) -> None:
        self.path = path
        self._reading = reading
        with opened(path) as container:
            inspected = inspect(path, container, reading)
        self._stored, self._turned = inspected.stored, inspected.turned
        self._info = inspected.info
        self._notes: list[str] = []
        self._left_out: list[str] = []
        start = self._begin(inspected.info.time_base)
        self._first = start
        length = reading.duration
        self._end = None if length is None else start + round(length / inspected.info.time_base)

    @property
    def info(self) -> ClipInfo:
        """See `FrameSource`."""
        return self._info

    @property
    def notes(self) -> list[str]:
        """See `FrameSource`."""
        return self._notes

    def frames(self, done: int, last: int | None) -> Iterator[Frame]:
        """See `FrameSource`."""
        if done and last is not None:
            resumed = self._frames_after(last)
            first = next(resumed, None)
            if first is not None:
                yield first
                yield from resumed
                return
        for index, frame in enumerate(self._part()):
            if index >= done:
                yield frame

    def _begin(self, time_base: Fraction) -> int:
        """The time of the first frame wanted."""
        with opened(self.path) as container:
            begins = Fraction(container.start_time or 0, av.time_base)
        return round((begins + self._reading.start) / time_base)

    def _part(self) -> Iterator[Frame]:
        """All that is wanted; a seek leads there, or else everything before it is decoded."""
        sought = self._sought(self._first) if self._reading.start else None
        yield from self._run(None) if sought is None else sought

    def _sought(self, near: int) -> Iterator[Frame] | None:
        """Frames that `_run` gives after a seek; None where that does not lead to before `near`."""
        frames = self._run(near)
        try:
            first = next(frames, None)
        except _InvalidDataError:
            return None
        return chain(() if first is None else (first,), frames)

    def _frames_after(self, last: int) -> Iterator[Frame]:
        """Frames after the frame at `last`; none if a seek does not lead to just before it."""
        reached = False
        for frame in self._sought(last) or ():
            if reached:
                yield frame
            elif frame.pts > last:
                return
            reached = reached or frame.pts == last

    def _run(self, near: int | None) -> Iterator[Frame]:
        """Decode from the start, or from a little before `near`; only the part that is wanted."""
        before = None
        leap = round(_LEAP / self._info.time_base)
        left_out, ran_back = 0, False
        for frame in self._decoded(near):
            pts = self._time_of(frame, before)
            if before is not None and pts < before + (1 if ran_back else -leap):
                ran_back = True
                left_out += 1
                self._tell(left_out)
                continue
            ran_back = False
            if before is not None and pts <= before:
                pts = before + 1  # times that stand still or run back cannot be stored
            before = pts
            if self._reading.start and pts < self._first:
                continue
            if self._end is not None and pts >= self._end:
                return
            pixels = cast("Pixels", frame.to_ndarray())
            if pixels.dtype == np.uint16:
                pixels = full_scale(pixels, self._info.pixel_format, self._stored)
            length = round((frame.duration or 0) * self._tick_of(frame))
            yield Frame(pts, length, turn(pixels, self._turned))

    def _tick_of(self, frame: av.VideoFrame) -> Fraction:
        """Convert a tick of a frame's clock to the clip's; deinterlacing has a clock of its own."""
        return (frame.time_base or self._info.time_base) / self._info.time_base

    def _time_of(self, frame: av.VideoFrame, before: int | None) -> int:
        stated = frame.pts if frame.pts is not None else frame.dts
        return self._guess(before) if stated is None else round(stated * self._tick_of(frame))

    def _tell(self, left_out: int) -> None:
        self._left_out = [
            f"{self.path}: {left_out} frames left out, whose times run back: parts that were "
            "joined? Split it there"
        ]

    def _guess(self, before: int | None) -> int:
        step = round(1 / (self._info.rate * self._info.time_base))
        return 0 if before is None else before + max(step, 1)

    def _decoded(self, near: int | None) -> Iterator[av.VideoFrame]:
        """RGB frames.

        Raises:
            _InvalidDataError: A seek does not lead to a key frame at `near` or before.
        """
        with opened(self.path) as container:
            stream = chosen_stream(self.path, container)
            stream.codec_context.thread_type = ThreadType.AUTO
            loss = Loss(self.path)
            decoded = surviving_frames(container, stream, loss, from_key=near is not None)
            if near is not None:
                self._seek(container, stream, near)
                decoded = _beginning_by(near, decoded)
            convert: Conversion | None = None
            stored_as = ""
            for frame in decoded:
                if frame.format.name != stored_as:
                    if convert is not None:
                        yield from convert(None)
                    stored_as = frame.format.name
                    convert = self._conversion(frame)
                self._refuse_change(frame)
                assert convert is not None
                yield from convert(frame)
            if convert is not None:
                yield from convert(None)
            if near is None:
                self._notes[:] = loss.notes(container, stream) + self._left_out
            elif loss.undecodable or loss.stopped:
                damaged = f"{self.path}: damaged, some frames are lost; the rest is kept"
                self._notes[:] = [damaged, *self._left_out]

    def _seek(self, container: InputContainer, stream: VideoStream, near: int) -> None:
        target = near - round(_RUN_UP / self._info.time_base)
        try:
            container.seek(max(target, 0), stream=stream)
        except FFmpegError as error:  # and the demuxer may now stand anywhere
            raise _InvalidDataError from error

    def _conversion(self, frame: av.VideoFrame) -> Conversion:
        """From the samples in the file to RGB."""
        name = "rgb" if not self._info.has_alpha else "rgba"
        depth = {"rgb": ("rgb24", "rgb48le"), "rgba": ("rgba", "rgba64le")}[name]
        scaling, stored = "", self._stored
        if stored.hdr and self._reading.hdr == "tonemap":
            transfer = {PQ: "smpte2084", HLG: "arib-std-b67"}[stored.transfer]
            scaling = (
                f":in_transfer={transfer}:in_primaries=bt2020"
                ":out_transfer=bt709:out_primaries=bt709:intent=perceptual"
            )
        before = (
            (("bwdif", "mode=send_frame:deint=interlaced"),) if self._reading.deinterlace else ()
        )
        return Conversion(
            Samples(frame.width, frame.height, frame.format.name, stored, self._info.time_base),
            target=depth[self._info.depth > 8],
            becomes=RGB,
            before=before,
            scaling=scaling,
        )

    def _refuse_change(self, frame: av.VideoFrame) -> None:
        width, height = self._info.width, self._info.height
        if self._turned[0] % 2:
            width, height = height, width
        if (frame.width, frame.height) != (width, height):
            raise UnreadableVideo(
                f"{self.path}: its frames change from {width}x{height} to "
                f"{frame.width}x{frame.height} at {frame.time or 0:.2f} s: split it there, or "
                "take a part with --start and --duration"
            )
        if frame.interlaced_frame and not self._reading.deinterlace:
            raise UnreadableVideo(
                f"{self.path}: becomes interlaced at {frame.time:.1f} s: use --deinterlace"
            )


class _InvalidDataError(Exception):
    """A seek did not lead to where it should, as where there is no index."""


def _beginning_by(near: int, frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Pass frames on, if there are any and the first is at `near` or before."""
    first = next(frames, None)
    stated = None if first is None else first.dts if first.pts is None else first.pts
    if first is None or stated is None or stated > near:
        raise _InvalidDataError
    yield from chain((first,), frames)
