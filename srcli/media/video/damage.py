"""Read past what is broken in a clip, and keep count of it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from srcli.media.video.container import AnyPacket
from srcli.media.video.packets import Clock
from srcli.media.video.scan import Scan, without_times

__all__ = ["Loss", "loss_notes", "part_notes", "surviving_frames"]

_SHORTFALL = Fraction(1, 2)  # seconds by which a sound file may end before its header says


@dataclass
class Loss:
    """Count of what could not be decoded.

    Args:
        undecodable: Packets that gave nothing.
        damaged: Frames that a decoder marked as damaged.
    """

    undecodable: int = 0
    damaged: int = 0

    def __bool__(self) -> bool:
        """True if anything was lost."""
        return bool(self.undecodable or self.damaged)


def loss_notes(
    path: Path, container: InputContainer, stream: VideoStream, found: Scan, loss: Loss
) -> list[str]:
    """One line each for what is missing and what is damaged, of a clip read to its end.

    Args:
        path: The clip's.
        container: The clip.
        stream: Of it.
        found: Its packets.
        loss: What of them did not decode.
    """
    missing, exact = _missing_frames(container, stream, found)
    notes: list[str] = []
    lost = missing + loss.undecodable
    if lost or found.stopped:
        why = f" ({found.stopped})" if found.stopped else ""
        count = f"{lost} frames lost" if exact else f"about {lost} frames lost"
        if not lost:
            count = "it is not known how many frames are lost"
        notes.append(f"{path}: damaged{why}, {count}; the rest is kept")
    flawed, others = found.flawed
    told = lost or loss.damaged
    for count, what in ((0 if told else flawed, "its image"), (others, "sound and such")):
        if count:
            notes.append(
                f"{path}: damaged, {count} packets of {what} are cut off or follow a gap; kept as "
                "they decode"
            )
    return [*notes, *_damage_notes(path, loss)]


def _damage_notes(path: Path, loss: Loss) -> list[str]:
    """One line if frames came out damaged."""
    if not loss.damaged:
        return []
    return [f"{path}: {loss.damaged} frames are damaged, kept as they decode"]


def part_notes(path: Path, loss: Loss) -> list[str]:
    """Lines as of `loss_notes`, for a part that ends before the clip does."""
    lost = loss.undecodable
    notes = [f"{path}: damaged, {lost} frames lost; the rest is kept"] if lost else []
    return [*notes, *_damage_notes(path, loss)]


def _missing_frames(
    container: InputContainer, stream: VideoStream, found: Scan
) -> tuple[int, bool]:
    """Frames that the header promises beyond those there; and True if they are counted exactly."""
    counted, rate = stream.frames, stream.average_rate or stream.guessed_rate or 25
    length = Fraction(container.duration or 0, av.time_base)
    if counted and container.format.name == "avi":
        # chunks without anything in them, too, which show the last frame for as long again
        counted, length = 0, Fraction(counted / rate)
    if counted:
        return max(counted - found.packets, 0), True
    if found.jumps:  # the length follows from the clock
        return 0, False
    # Some files count their length from 0 though they begin later (Matroska), some do not.
    short = length - max(found.end, found.end - found.begins)
    return (round(short * rate), False) if found.packets and short > _SHORTFALL else (0, False)


def surviving_frames(
    container: InputContainer,
    stream: VideoStream,
    loss: Loss,
    *,
    from_key: bool = False,
    breaks: Collection[int] = (),
) -> Iterator[av.VideoFrame]:
    """All frames of a stream that decode, while `loss` counts those that do not.

    Args:
        container: The clip.
        stream: Of it.
        loss: Keeps count.
        from_key: Leave out what comes before a key frame, as it may after a seek: some decoders
            make grey of it.
        breaks: Times of packets before which the decoder has to give all it holds: MPEG-2's drops
            a frame where the sequence changes.
    """
    order = _DecodingOrder() if without_times(container, stream) else None
    for packet in _whole_packets(container, stream):
        if from_key and packet is not None and not packet.is_keyframe:
            continue
        from_key = False
        if packet is not None and packet.pts in breaks:
            yield from _frames(stream, None, loss, order)
            stream.codec_context.flush_buffers()
        if packet is not None and order is not None:
            order.add(packet)
        yield from _frames(stream, packet, loss, order)


def _frames(
    stream: VideoStream, packet: AnyPacket | None, loss: Loss, order: "_DecodingOrder | None"
) -> Iterator[av.VideoFrame]:
    """Decode a packet to frames; None drains the decoder."""
    try:
        frames = stream.codec_context.decode(packet)
    except EOFError:
        return
    except FFmpegError:
        loss.undecodable += 1
        return
    for frame in frames:
        loss.damaged += frame.is_corrupt
        if frame.time_base is None:
            frame.time_base = stream.time_base
        if order is not None:
            order.time(frame)
        yield frame


class _DecodingOrder:
    """Times for frames whose container holds none: the nth that is shown is at the nth place."""

    def __init__(self) -> None:
        self._places: list[int] = []

    def add(self, packet: AnyPacket) -> None:
        """Take note of a packet's place; decoders hand it on with its frame."""
        packet.pts = packet.dts
        if packet.dts is not None:
            heappush(self._places, packet.dts)

    def time(self, frame: av.VideoFrame) -> None:
        """Give a frame the earliest place that is left."""
        own = frame.pts
        while frame.key_frame and own is not None and self._places and self._places[0] < own:
            heappop(self._places)  # of frames that were lost: none before a key frame comes later
        if self._places:
            frame.pts = heappop(self._places)


def _whole_packets(container: InputContainer, stream: VideoStream) -> Iterator[AnyPacket | None]:
    """The packets of a stream, on a clock that does not jump; then None, which ends decoding."""
    packets = Clock(container).steady(iter(container.demux()))
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            packet = None  # `Scan.stopped` tells why
        if packet is None:
            yield None
            return
        if packet.stream is stream:
            yield packet
