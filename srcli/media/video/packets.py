"""The packets of a clip's streams, on one clock, which some formats let jump."""

from collections import deque
from collections.abc import Collection, Iterator
from fractions import Fraction
from itertools import islice

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.format import Flags

from srcli.media.video.container import AnyPacket, Part

__all__ = ["Clock", "may_jump", "packets_of"]

_BACK = Fraction(1, 10)  # seconds that times may run back, and
_AHEAD = Fraction(10)  # leave out, before that is a jump; FFmpeg's own limits
_TIMED = ("video", "audio")
_MOST_HELD = 1000  # packets
_SAME = Fraction(1)  # seconds within which a packet continues on a clock that is known


def may_jump(container: InputContainer) -> bool:
    """Tell if the format allows its clock to jump (MPEG-TS, MPEG-PS, Ogg)."""
    return bool(container.format.flags & Flags.ts_discont.value)


class Clock:
    """Puts the packets of a clip on one clock; it has to see them all, from the first.

    Like FFmpeg's handling of discontinuities: a packet that leads more than 10 s away from where
    its stream was, or back, continues where the clip was, and so do all after it. One that fits a
    clock known from earlier continues on that. One alone moves nothing but itself.

    Args:
        container: The clip, from which nothing has been read yet.
    """

    def __init__(self, container: InputContainer) -> None:
        self._may_jump = may_jump(container)
        self._offsets = [Fraction(0)]  # that bring each clock to the first; seconds
        self._offset = self._offsets[0]
        self._last: dict[int, Fraction] = {}
        self._next: dict[int, Fraction] = {}
        self._newest: Fraction | None = None
        self.jumps: list[tuple[Fraction, Fraction]] = []
        """When times jump that fit no clock so far, and by how much; seconds."""

    def steady(self, packets: Iterator[AnyPacket]) -> Iterator[AnyPacket]:
        """Correct the times of packets, in place; the demuxer's empty ones are left out."""
        held: deque[AnyPacket] = deque()  # the first one fits nowhere, the others wait for it
        failure: FFmpegError | None = None
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                failure, packet = error, None
            if packet is not None and packet.size:
                held.append(packet)
            while held and (packet is None or not self._waits(held)):
                self._correct(held[0], held)
                yield held.popleft()
            if failure is not None:
                raise failure
            if packet is None:
                return

    def _waits(self, held: deque[AnyPacket]) -> bool:
        """Tell if the next packet of its stream has to be seen before the first is placed."""
        if self._fitting(held[0]) is not None or len(held) > _MOST_HELD:
            return False
        return not any(p.stream.index == held[0].stream.index for p in islice(held, 1, None))

    def _correct(self, packet: AnyPacket, held: deque[AnyPacket]) -> None:
        offset = self._fitting(packet)
        time = _stated(packet)
        if time is None:
            return
        if offset is None:
            offset = self._placed(packet, time, held)
        elif packet.stream.type in _TIMED:
            self._offset = offset
        moved = round(offset / packet.time_base)
        if packet.dts is not None and packet.pts is not None:
            ahead = (packet.pts - packet.dts) * packet.time_base
            if not -_AHEAD <= ahead <= _AHEAD:
                packet.pts = None if packet.stream.type == "video" else packet.dts
        packet.dts = None if packet.dts is None else packet.dts + moved
        packet.pts = None if packet.pts is None else packet.pts + moved
        if packet.stream.type in _TIMED:
            self._remember(packet, time + offset)

    def _remember(self, packet: AnyPacket, time: Fraction) -> None:
        index = packet.stream.index
        length = (packet.duration or 0) * packet.time_base
        if not length:  # as long as the one before it
            length = min(max(time - self._last.get(index, time), Fraction(0)), _SAME)
        self._last[index] = self._newest = time
        self._next[index] = time + length

    def _fitting(self, packet: AnyPacket) -> Fraction | None:
        """The offset of the clock that a packet is on; None if it fits none that is known."""
        time = _stated(packet)
        if not self._may_jump or time is None or self._newest is None:
            return self._offset
        if packet.stream.type not in _TIMED:  # these pause, so they tell no jump
            newest = self._newest
            return min(self._offsets, key=lambda offset: abs(time + offset - newest))
        expected = self._next.get(packet.stream.index, self._newest)
        earliest = self._last.get(packet.stream.index, expected - _AHEAD) - _BACK
        off = time + self._offset - expected
        forward = time + self._offset >= earliest
        if forward and abs(off) <= _SAME:
            return self._offset
        known = min(self._offsets, key=lambda offset: abs(time + offset - expected))
        if time + known >= earliest and abs(time + known - expected) <= _SAME:
            return known
        return self._offset if forward and abs(off) <= _AHEAD else None

    def _placed(self, packet: AnyPacket, time: Fraction, held: deque[AnyPacket]) -> Fraction:
        """The offset of a packet that fits no clock; of a new one if the next fits none."""
        index = packet.stream.index
        expected = self._next.get(index, self._newest or Fraction(0))
        self.jumps.append((expected, time + self._offset - expected))
        after = next((p for p in islice(held, 1, None) if p.stream.index == index), None)
        if after is None or self._fitting(after) is not None:
            return expected - time
        # after the end of all streams, so that none has to run back
        self._offset = max(self._next.values(), default=expected) - time
        self._offsets.append(self._offset)
        return self._offset


def _stated(packet: AnyPacket) -> Fraction | None:
    stated = packet.dts if packet.dts is not None else packet.pts
    return None if stated is None else stated * packet.time_base


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
    jumps = may_jump(container)
    if part is None and not jumps:
        yield from container.demux(*(container.streams[index] for index in indices))
        return
    begin, end = part or (None, None)
    origin = Fraction(container.start_time or 0, av.time_base)
    if begin is not None and begin > origin and not jumps:
        container.seek(int(begin * av.time_base))
    clock = Clock(container)
    for packet in clock.steady(iter(container.demux())):
        if end is not None and packet.pts is not None and packet.pts * packet.time_base > end:
            return
        if packet.stream.index in indices:
            yield packet
