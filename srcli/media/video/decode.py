"""A clip's frames, from the file to RGB, with their times."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from srcli.media.image import Pixels
from srcli.media.video.changes import changed, refuse_changes
from srcli.media.video.colour import HLG, PQ, RGB, Colour, Conversion, Samples, full_scale
from srcli.media.video.colour_tags import stored_colour
from srcli.media.video.container import SeekFailed, beginning_by, opened
from srcli.media.video.damage import Loss, loss_notes, part_notes, surviving_frames
from srcli.media.video.frames import ClipInfo, Frame
from srcli.media.video.probe import (
    DecodeOptions,
    inspect,
    turn,
)
from srcli.media.video.scan import chosen_stream, scan

__all__ = ["ClipReader"]

_LEAP = 1  # seconds by which times may run back without being those of another clip
_RUN_UP = 2  # seconds decoded before the requested frame after a seek
_BLACK = np.zeros((1, 1, 3), np.uint8)


class ClipReader:
    """Reads one clip; see `FrameSource`.

    Args:
        path: The file; its name is not trusted.
        reading: How to read it.

    Raises:
        UnreadableVideo: It cannot be read, or not without further options.
    """

    def __init__(self, path: Path, reading: DecodeOptions) -> None:
        self.path = path
        self._reading = reading
        self._scan = scan(path)
        with opened(path) as container:
            self._found = inspect(path, container, reading, self._scan)
        changes = refuse_changes(path, reading, self._scan)
        self._known = [*self._scan.notes(path), *changes]
        self._info, self._notes = self._found.info, list(self._known)
        self._loss = Loss()
        self._left_out: list[str] = []
        self._first = round((self._scan.begins + reading.start) / self._info.time_base)
        stop = None if reading.duration is None else reading.duration / self._info.time_base
        self._end = None if stop is None else self._first + round(stop)

    @property
    def info(self) -> ClipInfo:
        """See `FrameSource`."""
        return self._info

    @property
    def notes(self) -> list[str]:
        """See `FrameSource`."""
        return self._notes

    @property
    def lossy(self) -> bool:
        """See `FrameSource`."""
        return bool(self._loss or self._left_out)

    def recount(self) -> None:
        """See `FrameSource`: decode all of the part, as an undisturbed run does."""
        deque(self._run(None, convert=False), maxlen=0)

    def times(self) -> list[int] | None:
        """See `SeekableSource`."""
        if not self._scan.seekable:
            return None
        return [frame.pts for frame in self._run(None, convert=False)]

    def frames(self, done: int, last: int | None, most: int | None = None) -> Iterator[Frame]:
        """See `SeekableSource`."""
        return islice(self._frames(done, last), most)

    def _frames(self, done: int, last: int | None) -> Iterator[Frame]:
        if done and last is not None and self._scan.seekable:
            resumed = self._frames_after(last)
            first = next(resumed, None)
            if first is not None:
                yield first
                yield from resumed
                return
        for index, frame in enumerate(self._part()):
            if index >= done:
                yield frame

    def _part(self) -> Iterator[Frame]:
        """All requested frames; a seek leads there, or else everything before it is decoded."""
        seeks = self._reading.start and self._scan.seekable
        sought = self._sought(self._first) if seeks else None
        yield from self._run(None) if sought is None else sought

    def _sought(self, near: int) -> Iterator[Frame] | None:
        """Frames that `_run` gives after a seek; None where that does not lead to before `near`."""
        frames = self._run(near)
        try:
            first = next(frames, None)
        except SeekFailed:
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

    def _run(self, near: int | None, *, convert: bool = True) -> Iterator[Frame]:
        """Decode from the start, or from a little before `near`; only the requested part.

        Without `convert` all frames are black.
        """
        before = None
        leap = round(_LEAP / self._info.time_base)
        ran_back = False
        self._loss, self._left_out = Loss(), []
        left_out = 0
        for frame, colour in self._decoded(near, convert=convert):
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
                self._notes[:] = [*self._known, *part_notes(self.path, self._loss), *self._left_out]
                return
            pixels = _BLACK
            if convert:
                pixels = cast("Pixels", frame.to_ndarray())
                if pixels.dtype == np.uint16:
                    pixels = full_scale(pixels, self._info.pixel_format, colour)
            length = round((frame.duration or 0) * self._tick_of(frame))
            yield Frame(pts, length, turn(self._shown(pixels), self._found.turned))

    def _shown(self, pixels: Pixels) -> Pixels:
        """Cut off the rest of what is not shown, where a row or column is left of it."""
        crop = self._found.crop
        if not crop or pixels is _BLACK:
            return pixels
        height, width = pixels.shape[:2]
        rows = slice(crop.top % 2, height - crop.bottom % 2)
        return pixels[rows, crop.left % 2 : width - crop.right % 2]

    def _tick_of(self, frame: av.VideoFrame) -> Fraction:
        """Convert a tick of a frame's clock to the clip's; deinterlacing has a clock of its own."""
        return (frame.time_base or self._info.time_base) / self._info.time_base

    def _time_of(self, frame: av.VideoFrame, before: int | None) -> int:
        stated = frame.pts if frame.pts is not None or before is not None else frame.dts
        return self._guess(before) if stated is None else round(stated * self._tick_of(frame))

    def _tell(self, left_out: int) -> None:
        self._left_out = [
            f"{self.path}: {left_out} frames left out, whose times run back: parts that were "
            "joined? Split it there"
        ]

    def _guess(self, before: int | None) -> int:
        step = round(1 / (self._info.rate * self._info.time_base))
        return 0 if before is None else before + max(step, 1)

    def _decoded(
        self, near: int | None, *, convert: bool
    ) -> Iterator[tuple[av.VideoFrame, Colour]]:
        """RGB frames, and what their samples meant before.

        Raises:
            SeekFailed: A seek does not lead to a key frame at `near` or before.
        """
        with opened(self.path) as container:
            stream = chosen_stream(self.path, container)
            loss = self._loss
            decoded = surviving_frames(
                container,
                stream,
                loss,
                from_key=near is not None,
                breaks=self._scan.breaks(self._info.time_base),
            )
            if near is not None:
                self._seek(container, stream, near)
                decoded = beginning_by(near, decoded)
            if convert:
                yield from self._converted(decoded)
            else:
                yield from ((frame, self._found.stored) for frame in decoded)
            notes = loss_notes(self.path, container, stream, self._scan, loss)
            self._notes[:] = [*self._known, *notes, *self._left_out]

    def _converted(
        self, decoded: Iterator[av.VideoFrame]
    ) -> Iterator[tuple[av.VideoFrame, Colour]]:
        """Follow the frames' own sample format and colour, which may change midway."""
        conversion: Conversion | None = None
        before: tuple[str, Colour] | None = None
        for number, frame in enumerate(decoded):
            if not self._is_wanted(frame, number):
                continue
            colour = stored_colour(self.path, frame, self._found.tags)
            if (frame.format.name, colour) != before:
                if conversion is not None and before is not None:
                    yield from ((made, before[1]) for made in conversion(None))
                before = (frame.format.name, colour)
                conversion = self._conversion(frame, colour)
            assert conversion is not None
            yield from ((made, colour) for made in conversion(frame))
        if conversion is not None and before is not None:
            yield from ((made, before[1]) for made in conversion(None))

    def _seek(self, container: InputContainer, stream: VideoStream, near: int) -> None:
        target = near - round(_RUN_UP / self._info.time_base)
        try:
            container.seek(max(target, 0), stream=stream)
        except FFmpegError as error:  # and the demuxer may now stand anywhere
            raise SeekFailed from error

    def _conversion(self, frame: av.VideoFrame, stored: Colour) -> Conversion:
        """From the samples in the file to RGB."""
        targets = ("rgba", "rgba64le") if self._info.has_alpha else ("rgb24", "rgb48le")
        scaling = ""
        if stored.hdr and self._reading.hdr == "tonemap":
            transfer = {PQ: "smpte2084", HLG: "arib-std-b67"}[stored.transfer]
            scaling = (
                f":in_transfer={transfer}:in_primaries=bt2020"
                ":out_transfer=bt709:out_primaries=bt709:intent=perceptual"
            )
        # all frames: many that are interlaced are not marked so
        options = f"mode=send_frame:parity={self._found.fields}:deint=all"
        before = [("bwdif", options)] if self._reading.deinterlace else []
        crop = self._found.crop.even
        if crop:  # before what is cut off colours its neighbours
            size = f"iw-{crop.left + crop.right}:ih-{crop.top + crop.bottom}"
            before.append(("crop", f"{size}:{crop.left}:{crop.top}"))
        return Conversion(
            Samples(frame.width, frame.height, frame.format.name, stored, self._info.time_base),
            target=targets[self._info.depth > 8],
            becomes=RGB,
            before=tuple(before),
            scaling=scaling,
        )

    def _is_wanted(self, frame: av.VideoFrame, number: int) -> bool:
        """Tell if a frame can be converted; one outside the part that cannot is passed over.

        Raises:
            UnreadableVideo: It is in the part, and not as the others are.
        """
        width, height = self._info.width, self._info.height
        if self._found.turned[0] % 2:
            width, height = height, width
        crop = self._found.crop
        width, height = width + crop.left + crop.right, height + crop.top + crop.bottom
        what = ""
        if (frame.width, frame.height) != (width, height):
            what = f"its frames change from {width}x{height} to {frame.width}x{frame.height}"
        elif frame.interlaced_frame and not self._reading.deinterlace:
            what = "becomes interlaced"
        if not what:
            return True
        moment = number / self._info.rate - self._scan.begins
        if frame.pts is not None:
            pts = round(frame.pts * self._tick_of(frame))
            moment = pts * self._info.time_base - self._scan.begins
            if pts < self._first or (self._end is not None and pts >= self._end):
                return False
        raise changed(self.path, what, moment, self._reading)
