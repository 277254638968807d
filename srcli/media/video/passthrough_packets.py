"""The packets of all that is beside the image, moved along with it."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.format import Flags
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

from srcli.media.video.audio import AudioTranscoder
from srcli.media.video.container import AnyPacket, Part
from srcli.media.video.packets import packets_of
from srcli.media.video.probe import DecodeOptions
from srcli.media.video.subtitles import Cue, converted_packets, read_cues
from srcli.media.video.tags import is_cover

__all__ = ["Passthrough", "Timed", "other_packets"]

_IN_TIME = ("audio", "video")  # what follows its own beat; the rest may be cut at any moment

Timed = tuple[Fraction, AnyPacket]
"""A packet and its moment, seconds."""


@dataclass(frozen=True)
class Passthrough:
    """A wanted part of the source, and its place in the result.

    Args:
        source: The file.
        container: The same, opened.
        copies: The result's stream for each of the source's, by its index.
        texts: Those of them that are text to be put in other words.
        sounds: Those of them that are sound to be re-encoded.
        reading: Which part of the source is taken.
        shift: Added to all times, seconds.
        length: How much of that is wanted, seconds; None takes all.
        losses: Takes one line for each thing that is lost on the way.
    """

    source: Path
    container: InputContainer
    copies: Mapping[int, Stream]
    texts: frozenset[int]
    sounds: frozenset[int]
    reading: DecodeOptions
    shift: Fraction
    length: Fraction | None = None
    losses: list[str] = field(default_factory=list[str])

    @property
    def start(self) -> Fraction:
        """Where the part begins, on the source's clock, seconds."""
        if self.shift:
            return -self.shift
        return Fraction(self.container.start_time or 0, av.time_base) + self.reading.start

    @property
    def stop(self) -> Fraction | None:
        """Where it ends; None for all."""
        length = self.reading.duration
        return None if length is None else self.start + length

    @property
    def part(self) -> Part | None:
        """The range to read if only a part of the file is requested."""
        return None if self.length is None else (self.start, self.start + self.length)


def other_packets(passthrough: Passthrough) -> Iterator[Timed]:
    """Packets of all other streams, each with its moment in seconds."""
    read = read_cues(
        passthrough.source, passthrough.texts, passthrough.part, passthrough.losses.append
    )
    moving = (_text_packets(passthrough, index, read[index]) for index in sorted(read))
    return heapq.merge(_copied(passthrough), *moving, key=lambda timed: timed[0])


def _copied(passthrough: Passthrough) -> Iterator[Timed]:
    wanted = [index for index in passthrough.copies if index not in passthrough.texts]
    packets = packets_of(passthrough.container, wanted, passthrough.part)
    tracks = {index: _track(index, passthrough) for index in wanted}
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            packet = None  # what is damaged in the source has been told while its frames were read
        if packet is None:
            break
        if packet.size:
            yield from tracks[packet.stream.index].take(packet)
    for track in tracks.values():
        yield from track.end()


def _track(index: int, passthrough: Passthrough) -> "_Track | _Sound":
    kind = _Sound if index in passthrough.sounds else _Track
    return kind(passthrough.container.streams[index], passthrough)


class _Sound:
    """Re-encodes one sound.

    Args:
        stream: Of the source.
        beside: The requested part of it.
    """

    def __init__(self, stream: Stream, passthrough: Passthrough) -> None:
        target = passthrough.copies[stream.index]
        assert isinstance(stream, AudioStream)
        assert isinstance(target, AudioStream)
        begin, length = passthrough.start, passthrough.reading.duration
        if passthrough.reading.start:
            begin = -passthrough.shift  # with the image, to its tick
        self._sound = AudioTranscoder(
            stream,
            target,
            start=begin if passthrough.reading.start else None,
            stop=None if length is None else begin + length,
            shift=passthrough.shift,
        )

    def take(self, packet: AnyPacket) -> Iterator[Timed]:
        """Convert a packet."""
        return map(_timed, self._sound.take(packet))

    def end(self) -> Iterator[Timed]:
        """Flush: the packets left at the end."""
        return map(_timed, self._sound.end())


class _Track:
    """Moves the packets of one stream, and leaves out what must not be heard or seen.

    Args:
        stream: Of the source.
        beside: The requested part of it.
    """

    def __init__(self, stream: Stream, passthrough: Passthrough) -> None:
        self._start = passthrough.start if passthrough.reading.start else None
        self._stop = passthrough.stop
        self._target = passthrough.copies[stream.index]
        self._shift = passthrough.shift
        self._cover = is_cover(stream)
        self._beats = stream.type in _IN_TIME
        # Matroska counts in ms, and packets of TrueHD and MLP are shorter
        strict = not self._target.container.format.flags & Flags.ts_nonstrict.value
        self._step = int(self._beats and strict)
        self._before: AnyPacket | None = None
        self._last: int | None = None

    def take(self, packet: AnyPacket) -> Iterator[Timed]:
        """Convert a packet: to nothing, itself, or with the one that led up to it."""
        if self._cover:
            packet.pts = packet.dts = 0
            yield self._moved(packet)
            return
        if not self._wanted(packet):
            return
        if packet.is_discard and self._target.type == "audio":
            self._before = packet  # an edit list hides it, but the next is decoded from it
            return
        if not self._beats:
            self._shorten(packet)
        if self._before is not None and self._last is None:
            yield from self._in_order(self._before)
        self._before = None
        yield from self._in_order(packet)

    def end(self) -> Iterator[Timed]:
        """Flush: nothing is left at the end."""
        return iter(())

    def _wanted(self, packet: AnyPacket) -> bool:
        if packet.pts is None:
            return True
        end = (packet.pts + (packet.duration or 0)) * packet.time_base
        if self._start is not None and end <= self._start:
            return False
        return self._stop is None or packet.pts * packet.time_base < self._stop

    def _shorten(self, packet: AnyPacket) -> None:
        """End with the part what lasts beyond it, as subtitles do."""
        if self._stop is None or packet.pts is None or not packet.duration:
            return
        left = round(self._stop / packet.time_base) - packet.pts
        packet.duration = min(packet.duration, max(left, 0))

    def _in_order(self, packet: AnyPacket) -> Iterator[Timed]:
        """Leave out what would run back, as sound does where two edits meet."""
        moved = round(self._shift / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + moved
        packet.dts = None if packet.dts is None else packet.dts + moved
        if not self._beats:
            _from_zero(packet)
        time = packet.dts
        earliest = None if self._last is None else self._last + self._step
        if time is not None and earliest is not None and time < earliest:
            return
        self._last = time if time is not None else self._last
        yield self._moved(packet)

    def _moved(self, packet: AnyPacket) -> Timed:
        packet.stream = self._target
        return _timed(packet)


def _timed(packet: AnyPacket) -> Timed:
    moment = packet.dts if packet.dts is not None else packet.pts or 0
    return moment * packet.time_base, packet


def _from_zero(packet: AnyPacket) -> None:
    """Begin with the clip what began before it; or else everything would have to move."""
    if packet.pts is not None and packet.pts < 0:
        packet.duration = max((packet.duration or 0) + packet.pts, 0)
        packet.pts = 0
    if packet.dts is not None and packet.dts < 0:
        packet.dts = 0


def _text_packets(passthrough: Passthrough, index: int, read: Sequence[Cue]) -> Iterator[Timed]:
    target = passthrough.copies[index]
    assert isinstance(target, SubtitleStream)
    stop = passthrough.stop
    cues: list[Cue] = []
    for cue in read:
        end = cue.end if stop is None else min(cue.end, stop)
        start, end = max(cue.start + passthrough.shift, Fraction(0)), end + passthrough.shift
        if end > start:
            cues.append(Cue(start, end, cue.style, cue.text))
    for packet in converted_packets(cues, target):
        assert packet.pts is not None
        yield packet.pts * packet.time_base, packet
