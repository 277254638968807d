"""Read a clip once before the work: its clock, its end, and what changes midway."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.codec.context import Flags, ThreadType
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from srcli.errors import UnreadableVideo
from srcli.media.video.colour import HLG, PQ
from srcli.media.video.container import AnyPacket, opened, reason_of
from srcli.media.video.coverage import Coverage
from srcli.media.video.packets import Clock, may_jump
from srcli.media.video.side_data import SideData, left_out_note

__all__ = [
    "Change",
    "Look",
    "Scan",
    "chosen_stream",
    "place_of",
    "scan",
    "seconds_text",
    "without_times",
]

_STILL = 0x400 | 0x800  # attached_pic, timed_thumbnails


@dataclass(frozen=True)
class Look:
    """Properties of frames that must not change within a result.

    Args:
        width: Of a stored frame, px.
        height: Likewise.
        interlaced: Frames are marked as interlaced.
        hdr: The transfer is PQ or HLG.
        aspect: Width of a pixel to its height, as the stream says; 1 if it does not.
        turned: Degrees by which it is to be turned.
    """

    width: int
    height: int
    interlaced: bool
    hdr: bool
    aspect: Fraction
    turned: int

    @classmethod
    def of(cls, frame: av.VideoFrame, aspect: Fraction | None) -> "Look":
        """Of a frame; pixel aspect 1 where the stream does not say it."""
        return cls(
            frame.width,
            frame.height,
            frame.interlaced_frame,
            frame.color_trc in (PQ, HLG),
            aspect or Fraction(1),
            frame.rotation,
        )


@dataclass(frozen=True)
class Change:
    """A key frame that looks unlike those before it.

    Args:
        moment: Seconds after the clip's beginning.
        look: From there on.
    """

    moment: Fraction
    look: Look


@dataclass(frozen=True)
class Scan:
    """A clip, read from end to end.

    Args:
        begins: When it begins on its own clock, seconds.
        packets: Of the video.
        end: When the last packet of any stream ends, on the clip's clock, seconds.
        stopped: Why reading ended before the end; empty if it did not.
        jumps: When and by how much the clock jumps, seconds after the beginning and seconds.
        looks: The first look, and every change.
        seekable: Frames can be found by their times.
        left_out: What key frames carry beside their samples that no result keeps.
        holes: When there is neither image nor sound, seconds after the beginning.
        flawed: Packets that are cut off or follow a gap in the file, of the video and of others.
    """

    begins: Fraction
    packets: int
    end: Fraction
    stopped: str
    jumps: tuple[tuple[Fraction, Fraction], ...]
    looks: tuple[Change, ...]
    seekable: bool
    left_out: tuple[str, ...] = ()
    holes: tuple[tuple[Fraction, Fraction], ...] = ()
    flawed: tuple[int, int] = (0, 0)

    def look_at(self, moment: Fraction) -> Change | None:
        """The look at a moment, seconds after the beginning."""
        before = [change for change in self.looks if change.moment <= moment]
        return before[-1] if before else next(iter(self.looks), None)

    def breaks(self, time_base: Fraction) -> frozenset[int]:
        """Times of the frames that begin a change, in ticks of the clip's clock."""
        return frozenset(round((self.begins + c.moment) / time_base) for c in self.looks[1:])

    def changes(self, start: Fraction, stop: Fraction | None) -> list[Change]:
        """Changes within a part, from and to seconds after the beginning."""
        later = [change for change in self.looks[1:] if change.moment > start]
        return [change for change in later if stop is None or change.moment < stop]

    def notes(self, path: Path) -> list[str]:
        """One line each about jumps of the clock, holes, and what is left out of frames."""
        lines: list[str] = []
        if self.jumps:
            moment, by = self.jumps[0]
            lines.append(
                f"{path}: its clock jumps by {seconds_text(by)} s at {seconds_text(moment)} s"
                f"{_more(self.jumps)}; the times continue without a gap"
            )
        if self.holes:
            gone, back = self.holes[0]
            lines.append(
                f"{path}: neither image nor sound from {seconds_text(gone)} to "
                f"{seconds_text(back)} s{_more(self.holes)}; is a part of the file missing?"
            )
        return [*lines, *left_out_note(path, self.left_out)]


def _more(found: Sequence[object]) -> str:
    return f", and {len(found) - 1} times more" if len(found) > 1 else ""


def chosen_stream(path: Path, container: InputContainer) -> VideoStream:
    """The stream that is upscaled: the best that is no cover image."""
    moving = [s for s in container.streams.video if not s.disposition & _STILL]
    best = container.streams.best("video")
    for stream in (best, *moving):
        if stream in moving and isinstance(stream, VideoStream):
            if stream.codec_context is None:  # pyright: ignore[reportUnnecessaryComparison]
                raise UnreadableVideo(
                    f"{path}: its codec is not known here; hint: convert it first"
                )
            # or the left and upper part of a crop would fall to what is quick to address
            stream.codec_context.flags |= Flags.unaligned
            # frame by frame: with several under way, one that is damaged takes good ones along
            stream.codec_context.thread_type = ThreadType.SLICE
            if stream.codec_context.name == "libdav1d":
                stream.codec_context.options = {"max_frame_delay": "1"}
            return stream
    raise UnreadableVideo(f"{path}: there is no video in it")


def without_times(container: InputContainer, stream: VideoStream) -> bool:
    """Tell if the container holds no display times, only the order of decoding.

    That is AVI, and what Matroska holds in AVI's way.
    """
    name = container.format.name
    fourcc = stream.codec_tag.strip("\0")
    return name == "avi" or ("matroska" in name and bool(fourcc) and fourcc.isascii())


def scan(path: Path) -> Scan:
    """Read all packets and decode the key frames.

    Raises:
        UnreadableVideo: It cannot be read, or there is no video in it.
    """
    with opened(path) as container:
        stream = chosen_stream(path, container)
        reordered = bool(stream.codec_context.has_b_frames) and without_times(container, stream)
        reader = _Reader(container, stream)
        looks = list(reader.looks())
        begins = Fraction(container.start_time or 0, av.time_base)
        if reader.clock.jumps and reader.first is not None:
            begins = reader.first
        changes = [
            Change(moment - begins, look)
            for number, (moment, look) in enumerate(looks)
            if not number or look != looks[number - 1][1]
        ]
        return Scan(
            begins=begins,
            packets=reader.packets,
            end=reader.end,
            stopped=reader.stopped,
            jumps=tuple((moment - begins, by) for moment, by in reader.clock.jumps),
            looks=tuple(changes),
            seekable=not reader.clock.jumps and not reordered,
            holes=tuple(
                (Fraction(gone) - begins, Fraction(back) - begins)
                for gone, back in reader.coverage.holes()
            ),
            flawed=(reader.flawed, reader.flawed_others),
            left_out=reader.side_data.names(
                hdr=any(look.hdr for _, look in looks), stereo="stereo_mode" in stream.metadata
            ),
        )


class _Reader:
    """Goes through all packets of a clip."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container, self._stream = container, stream
        self.clock = Clock(container)
        self.packets = 0
        self.first: Fraction | None = None
        self.end = Fraction(0)
        self.stopped = ""
        self.side_data = SideData()
        self.coverage = Coverage()
        self.flawed = self.flawed_others = 0
        self._joined = may_jump(container)  # parts may be joined, which looks like a gap

    def looks(self) -> Iterator[tuple[Fraction, Look]]:
        """Time and look of every key frame that decodes."""
        context = self._stream.codec_context
        aspects: dict[int | None, Fraction | None] = {}  # frames come later than what is read
        for packet in self._whole():
            try:
                frames = context.decode(packet)
            except (FFmpegError, EOFError):
                continue
            if packet is not None:
                aspects[packet.pts] = context.sample_aspect_ratio
            for frame in frames:
                self.side_data.add(frame)
                base = frame.time_base or self._stream.time_base
                aspect = aspects.pop(frame.pts, context.sample_aspect_ratio)
                if frame.pts is not None and base is not None:
                    yield frame.pts * base, Look.of(frame, aspect)

    def _whole(self) -> Iterator[AnyPacket | None]:
        packets = self.clock.steady(iter(self._container.demux()))
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                self.stopped = reason_of(error)
                packet = None
            if packet is None:
                yield None
                return
            self._measure(packet)
            if packet.stream is self._stream:
                self.flawed += packet.is_corrupt and not self._joined
                if packet.pts is None and packet.dts is None:
                    packet.pts = place_of(self.packets, self._stream)
                self.packets += 1
                if packet.is_keyframe:
                    yield packet
            else:
                self.flawed_others += packet.is_corrupt and not self._joined

    def _measure(self, packet: AnyPacket) -> None:
        if packet.pts is None:
            return
        time = packet.pts * packet.time_base
        length = (packet.duration or 0) * packet.time_base
        if packet.stream.type in ("video", "audio"):
            self.first = time if self.first is None else min(self.first, time)
            self.coverage.add(packet.stream.index, float(time), float(length))
        self.end = max(self.end, time + length)


def place_of(number: int, stream: VideoStream) -> int:
    """When a frame is shown whose container holds no times at all, in the stream's ticks."""
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    return round(number / (rate * (stream.time_base or Fraction(1, 1000))))


def seconds_text(seconds: Fraction) -> str:
    """Seconds, cut to the ms, as `--start` and `--duration` take them.

    >>> seconds_text(Fraction(2)), seconds_text(Fraction(10, 3))
    ('2', '3.333')
    """
    thousandths = int(seconds * 1000)
    return f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".")
