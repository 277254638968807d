"""Read past what is broken in a clip, and keep count of it."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from srcli.media.video.container import AnyPacket, reason_of

__all__ = ["Loss", "surviving_frames"]

_SHORTFALL = Fraction(1, 2)  # seconds by which a sound file may end before its header says


class Loss:
    """Parts of a clip that could not be decoded.

    Args:
        path: The clip's, for the notes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.packets = 0
        self.undecodable = 0
        self.damaged = 0
        self.stopped = ""
        self.end = Fraction(0)

    def notes(self, container: InputContainer, stream: VideoStream) -> list[str]:
        """One line each for what is missing and what is damaged."""
        counted, rate = stream.frames, stream.average_rate or stream.guessed_rate or 25
        length = Fraction(container.duration or 0, av.time_base)
        if counted and container.format.name == "avi":
            # chunks without anything in them, too, which show the last frame for as long again
            counted, length = 0, Fraction(counted / rate)
        missing = max(counted - self.packets, 0) if counted else 0
        begins = Fraction(container.start_time or 0, av.time_base)
        short = length - (self.end - begins)
        if not counted and self.packets and short > _SHORTFALL:
            missing = round(short * rate)
        notes: list[str] = []
        lost = missing + self.undecodable
        if lost or self.stopped:
            why = f" ({self.stopped})" if self.stopped else ""
            about = "" if counted else "about "
            notes.append(f"{self._path}: damaged{why}, {about}{lost} frames lost; the rest is kept")
        if self.damaged:
            notes.append(f"{self._path}: {self.damaged} frames are damaged, kept as they decode")
        return notes


def surviving_frames(
    container: InputContainer, stream: VideoStream, loss: Loss, *, from_key: bool = False
) -> Iterator[av.VideoFrame]:
    """All frames of a stream that decode, while `loss` counts those that do not.

    Args:
        container: The clip.
        stream: Of it.
        loss: Keeps count.
        from_key: Leave out what comes before a key frame, as it may after a seek: some decoders
            make grey of it.
    """
    for packet in _whole_packets(container, stream, loss):
        if from_key and packet is not None and not packet.is_keyframe:
            continue
        from_key = False
        try:
            frames = stream.codec_context.decode(packet)
        except EOFError:
            continue
        except FFmpegError:
            loss.undecodable += 1
            continue
        for frame in frames:
            loss.damaged += frame.is_corrupt
            if frame.time_base is None:
                frame.time_base = stream.time_base
            yield frame


def _whole_packets(
    container: InputContainer, stream: VideoStream, loss: Loss
) -> Iterator[AnyPacket | None]:
    """The packets of a stream, then None, which ends decoding; those of others are timed."""
    packets = container.demux()
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError as error:
            loss.stopped = reason_of(error)
            packet = None
        if packet is None:
            yield None
            return
        if not packet.size:
            continue  # the demuxer's own way to tell the end
        if packet.pts is not None:
            loss.end = max(loss.end, (packet.pts + (packet.duration or 0)) * packet.time_base)
        if packet.stream is stream:
            loss.packets += 1
            yield packet
