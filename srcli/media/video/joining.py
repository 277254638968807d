"""Join segments into the result, with everything else of the source beside them."""

import math
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

from srcli.atomic import atomic_file
from srcli.errors import UnwritableVideo
from srcli.media.policy import MetadataPolicy
from srcli.media.video.frames import ClipInfo
from srcli.media.video.names import WRITABLE
from srcli.media.video.opening import opened, reason_of
from srcli.media.video.packets import AnyPacket
from srcli.media.video.probing import Reading, chosen_stream
from srcli.media.video.segments import Segment
from srcli.media.video.streams import (
    Copied,
    add_copied,
    choose_copied,
    container_tags,
    copy_chapters,
    stream_tags,
)

__all__ = ["join", "what_is_copied"]

_MOST_TICKS = 2**31 - 1  # a second of an MP4's clock


def what_is_copied(
    source: Path | None, target: Path, policy: MetadataPolicy | None = None
) -> Copied:
    """Which of the source's other streams the result will hold, and which it cannot."""
    if source is None:
        return Copied((), ())
    with opened(source) as container:
        video = chosen_stream(source, container)
        format = WRITABLE[target.suffix.lower()]
        return choose_copied(container, video, format, target, policy or MetadataPolicy())


def join(
    segments: Sequence[Segment],
    info: ClipInfo,
    target: Path,
    source: Path | None,
    reading: Reading,
    policy: MetadataPolicy | None = None,
) -> None:
    """Write the result under its name, all at once.

    Args:
        segments: Its frames.
        info: Of the result.
        target: Its name; the suffix says which container.
        source: Where everything else is; None if there is nothing else.
        reading: Which part of the source is taken.
        policy: Which tags are kept; None for all.

    Raises:
        UnwritableVideo: The container does not take the video, or the disk refuses it.
    """
    format = WRITABLE[target.suffix.lower()]
    try:
        with ExitStack() as stack:
            container = stack.enter_context(opened(source)) if source else None
            stream = stack.enter_context(atomic_file(target))
            options = _muxer_options(format, container, info)
            rest = _Rest(source, container, target, reading, policy or MetadataPolicy())
            with av.open(stream, "w", format=format, container_options=options) as output:
                _join_into(output, segments, info, rest)
    except (FFmpegError, ValueError) as error:
        reason = reason_of(error)
        raise UnwritableVideo(
            f"{target}: {reason}; {target.suffix} may not hold what it is to hold, "
            "-o NAME.mkv holds most"
        ) from error


@dataclass(frozen=True)
class _Rest:
    """Everything of the source that is not the picture."""

    source: Path | None
    container: InputContainer | None
    target: Path
    reading: Reading
    policy: MetadataPolicy


def _join_into(
    output: OutputContainer, segments: Sequence[Segment], info: ClipInfo, rest: _Rest
) -> None:
    shift = info.shift * info.time_base
    copies: dict[int, Stream] = {}
    with opened(segments[0].path) as first:
        template, video, tags = first.streams.video[0], None, dict[str, str]()
        if rest.container is None or rest.source is None:
            video = _add_video(output, template, info)
        else:
            chosen = chosen_stream(rest.source, rest.container)
            tags = stream_tags(chosen, rest.policy)
            copied = choose_copied(
                rest.container, chosen, output.format.name, rest.target, rest.policy
            )
            for stream in rest.container.streams:  # in their order
                if stream is chosen:
                    video = _add_video(output, template, info)
                    video.disposition = chosen.disposition
                elif stream.index in copied.indices:
                    copies[stream.index] = add_copied(output, stream, rest.policy)
            output.metadata.update(container_tags(rest.container, rest.policy))
            copy_chapters(rest.container, output, shift, rest.reading.duration)
        assert video is not None
        video.metadata.update(tags)
        output.start_encoding()
    beside = _other_packets(rest, copies, shift)
    waiting = next(beside, None)
    for packet in _video_packets(segments, info, video):
        moment = (packet.dts or 0) * info.time_base
        while waiting is not None and waiting[0] <= moment:
            output.mux_one(waiting[1])
            waiting = next(beside, None)
        output.mux_one(packet)
    while waiting is not None:
        output.mux_one(waiting[1])
        waiting = next(beside, None)


def _add_video(output: OutputContainer, template: Stream, info: ClipInfo) -> Stream:
    video = output.add_stream_from_template(template, opaque=True)
    video.time_base = info.time_base
    context = video.codec_context
    assert isinstance(context, VideoCodecContext)
    context.sample_aspect_ratio = info.aspect
    context.framerate = info.rate
    return video


def _video_packets(
    segments: Sequence[Segment], info: ClipInfo, video: Stream
) -> Iterator[AnyPacket]:
    """The frames' packets with their real times; decode times follow from these alone."""
    times = array("q", (t + info.shift for segment in segments for t in segment.pts))
    step = max(1, (times[-1] - times[0]) // len(times))
    delay = max(_reordering(segment) for segment in segments)
    number = 0
    for segment in segments:
        base = number
        with opened(segment.path) as container:
            packets: Iterator[AnyPacket] = iter(container.demux(container.streams[0]))
            for packet in packets:
                if not packet.size or packet.pts is None:
                    continue
                index = packet.pts
                earlier = number - delay
                packet.dts = times[earlier] if earlier >= 0 else times[0] + earlier * step
                packet.pts = times[base + index]
                packet.duration = _duration(times, base + index, segment.durations[index])
                packet.time_base = info.time_base
                packet.stream = video
                number += 1
                yield packet


def _duration(times: Sequence[int], number: int, stated: int) -> int:
    """Until the next frame; of the last, what the source says."""
    if number + 1 < len(times):
        return times[number + 1] - times[number]
    return stated or (times[number] - times[number - 1] if number else 0)


def _reordering(segment: Segment) -> int:
    """By how many frames at most a packet comes before it is shown."""
    with opened(segment.path) as container:
        packets = container.demux(container.streams.video[0])
        shown = [packet.pts for packet in packets if packet.size and packet.pts is not None]
    return max((place - number for place, number in enumerate(shown)), default=0)


def _other_packets(
    rest: _Rest, copies: dict[int, Stream], shift: Fraction
) -> Iterator[tuple[Fraction, AnyPacket]]:
    """Packets of all other streams, moved along, each with its moment in seconds."""
    if rest.container is None or not copies:
        return
    streams = [rest.container.streams[index] for index in copies]
    begins = Fraction(rest.container.start_time or 0, av.time_base)
    start = begins + rest.reading.start
    stop = None if rest.reading.duration is None else start + rest.reading.duration
    packets = rest.container.demux(*streams)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            return  # what is damaged in the source has been told while its frames were read
        if packet is None:
            return
        if not packet.size:
            continue
        base = packet.time_base
        if packet.pts is not None and not packet.stream.disposition & 0x400:
            if rest.reading.start and (packet.pts + (packet.duration or 0)) * base <= start:
                continue
            if stop is not None and packet.pts * base >= stop:
                continue
        moved = round(shift / base)
        packet.pts = None if packet.pts is None else packet.pts + moved
        packet.dts = None if packet.dts is None else packet.dts + moved
        packet.stream = copies[packet.stream.index]
        moment = (packet.dts if packet.dts is not None else packet.pts or 0) * base
        yield moment, packet


def _muxer_options(format: str, container: InputContainer | None, info: ClipInfo) -> dict[str, str]:
    """MP4 and QuickTime state start offsets on a clock of their own: make it exact for all."""
    if format not in ("mp4", "mov"):
        return {}
    ticks = info.time_base.denominator
    for stream in container.streams.audio if container else ():
        rate = math.lcm(ticks, stream.codec_context.sample_rate or 1)
        ticks = rate if rate <= _MOST_TICKS else ticks
    return {"movie_timescale": str(max(ticks, 1000))}
