"""Join segments into the result, with everything else of the source beside them."""

import heapq
import math
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.codeccontext import AudioCodecContext
from av.container import InputContainer, OutputContainer
from av.error import ArgumentError, FFmpegError, InvalidDataError
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

from srcli.atomic import atomic_file
from srcli.errors import UnwritableVideo
from srcli.media.metadata_policy import MetadataPolicy
from srcli.media.video.container import AnyPacket, Sink, opened, reason_of
from srcli.media.video.frames import ClipInfo
from srcli.media.video.names import WRITABLE
from srcli.media.video.passthrough_packets import Passthrough, Timed, other_packets
from srcli.media.video.passthrough_rules import (
    PassthroughStream,
    add_passthrough,
    choose_passthrough,
    copy_chapters,
    timecode_note,
)
from srcli.media.video.probe import DecodeOptions
from srcli.media.video.scan import chosen_stream
from srcli.media.video.segments import Segment
from srcli.media.video.structure import is_fast_start, write_display_size
from srcli.media.video.tags import (
    container_tags,
    has_apples_tags,
    is_cover,
    stream_tags,
    tag_losses,
)

__all__ = ["OtherStreams", "mux_result", "other_streams_of"]

_MOST_TICKS = 2**31 - 1  # a second of an MP4's clock


@dataclass(frozen=True)
class OtherStreams:
    """Everything of a source that is not the image, and what of it goes along.

    Args:
        source: The clip.
        reading: Which part of it is taken.
        policy: Which tags are kept, and whether places are.
        streams: Those that go along.
        notes: What the result cannot hold, one line each.
    """

    source: Path
    reading: DecodeOptions
    policy: MetadataPolicy
    streams: tuple[PassthroughStream, ...]
    notes: tuple[str, ...]


def other_streams_of(
    source: Path, target: Path, info: ClipInfo, reading: DecodeOptions, policy: MetadataPolicy
) -> OtherStreams:
    """Choose what of a clip's other streams and tags goes along into the result."""
    with opened(source) as container:
        video = chosen_stream(source, container)
        format = WRITABLE[target.suffix.lower()]
        copied = choose_passthrough(source, container, video, format, target, policy)
        timecode = timecode_note(video, info.rate, cut=bool(reading.start))
        notes = [*copied.notes, *([f"{target}: {timecode}"] if timecode else [])]
        if "alpha_mode" in map(str.lower, video.metadata) and not info.has_alpha:
            notes.append(f"{source}: the alpha beside its video (VP8, VP9) is not read")
        return OtherStreams(source, reading, policy, copied.streams, tuple(notes))


def mux_result(
    segments: Sequence[Segment],
    info: ClipInfo,
    target: Path,
    rest: OtherStreams | None,
    length: Fraction | None = None,
) -> tuple[str, ...]:
    """Write the result under its name, all at once.

    Args:
        segments: Its frames.
        info: Of the result.
        target: Its name; the suffix says which container.
        rest: Everything else; None if there is nothing else.
        length: Seconds of the other streams to take; None takes all.

    Returns:
        What of the source was too damaged to be copied, and which tags are lost; one line each.

    Raises:
        UnwritableVideo: The container does not take the video, or the disk refuses it.
    """
    format = WRITABLE[target.suffix.lower()]
    sink = None
    try:
        with ExitStack() as stack:
            sink = Sink(stack.enter_context(atomic_file(target)))
            # closed first: where reading it failed, nothing gets its name
            container = stack.enter_context(opened(rest.source)) if rest else None
            options = _muxer_options(format, container, info)
            if rest and is_fast_start(rest.source) and format in ("mp4", "mov"):
                options["movflags"] = options.get("movflags", "") + "+faststart"
            with av.open(
                sink, "w", format=format, container_options=options, io_open=sink.reopened
            ) as output:
                passthrough = None
                if rest is not None and container is not None:
                    passthrough = _Opened(rest, container, length)
                damaged = _join_into(output, segments, info, passthrough)
            sink.check()
            if info.aspect != 1 and format in ("matroska", "webm"):
                with sink.to_change() as file:
                    written = write_display_size(file, (info.width, info.height), info.aspect)
                if not written:
                    damaged.append(f"{target}: the pixel aspect {info.aspect} is lost")
    except (FFmpegError, ValueError) as error:
        if sink is not None:
            sink.check()
        raise UnwritableVideo(
            f"{target}: {target.suffix} does not hold this ({reason_of(error)}): "
            "-o NAME.mkv holds most"
        ) from error
    if length is not None:
        return ()
    return (*damaged, *(_tag_losses(rest, target) if rest else ()))


def _tag_losses(rest: OtherStreams, target: Path) -> list[str]:
    copied = {one.index for one in rest.streams if one.how != "attach"}
    with opened(rest.source) as container:
        copied.add(chosen_stream(rest.source, container).index)
        streams = [s for s in container.streams if s.index in copied and s.type != "attachment"]
        indices = [stream.index for stream in streams if not is_cover(stream)]
        return tag_losses(rest.source, target, indices, rest.policy)


@dataclass(frozen=True)
class _Opened:
    """The rest, its clip opened, and how many seconds of it are wanted; None: all."""

    rest: OtherStreams
    container: InputContainer
    length: Fraction | None


def _join_into(
    output: OutputContainer, segments: Sequence[Segment], info: ClipInfo, source: _Opened | None
) -> list[str]:
    """Write all streams; return a line for each loss of the streams beside the video."""
    losses: list[str] = []
    with opened(segments[0].path) as first:
        template = first.streams.video[0]
        if source is None:
            video, passthrough = _add_video(output, template, info), iter(())
        else:
            video, passthrough = _add_all(output, template, info, source, losses)
        output.start_encoding()
    images = ((_moment(p, info), p) for p in _video_packets(segments, info, video))
    refused = 0
    for _, packet in heapq.merge(passthrough, images, key=lambda timed: timed[0]):
        try:
            output.mux_one(packet)
        except (ArgumentError, InvalidDataError):
            if packet.stream is video:
                raise
            refused += 1
    if refused and source is not None:
        where = source.rest.source
        losses.append(f"{where}: damaged packets of sound and such left out: {refused}")
    return losses


def _moment(packet: AnyPacket, info: ClipInfo) -> Fraction:
    return (packet.dts or 0) * info.time_base


def _add_all(
    output: OutputContainer,
    template: Stream,
    info: ClipInfo,
    source: _Opened,
    losses: list[str],
) -> tuple[Stream, Iterator[Timed]]:
    """All streams, in the order of the source; the image's, and the packets of the others."""
    rest, container = source.rest, source.container
    chosen = chosen_stream(rest.source, container)
    carried = {one.index: one for one in rest.streams}
    copies: dict[int, Stream] = {}
    video = None
    for stream in container.streams:
        if stream is chosen:
            video = _add_video(output, template, info)
            video.disposition = chosen.disposition
        elif stream.index in carried:
            added = add_passthrough(output, stream, carried[stream.index], rest.source, rest.policy)
            if added is not None:
                copies[stream.index] = added
    assert video is not None
    tags = stream_tags(chosen, rest.policy, output.format.name)
    if timecode_note(chosen, info.rate, cut=bool(rest.reading.start)):
        tags = {key: value for key, value in tags.items() if key.lower() != "timecode"}
    video.metadata.update(tags)
    output.metadata.update(container_tags(container, rest.policy))
    shift = info.shift * info.time_base
    copy_chapters(container, output, shift, rest.reading.duration, rest.policy)
    passthrough = Passthrough(
        rest.source,
        container,
        copies,
        texts=frozenset(one.index for one in rest.streams if one.how == "text"),
        sounds=frozenset(one.index for one in rest.streams if one.how == "sound"),
        reading=rest.reading,
        shift=shift,
        length=source.length,
        losses=losses,
    )
    return video, other_packets(passthrough)


def _add_video(output: OutputContainer, template: Stream, info: ClipInfo) -> Stream:
    video = output.add_stream_from_template(template, opaque=True)
    video.time_base = info.time_base
    context = video.codec_context
    assert isinstance(context, VideoCodecContext)
    context.sample_aspect_ratio = info.aspect
    context.framerate = info.rate
    if context.name == "hevc" and output.format.name in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # Apple's players take no other
    return video


def _video_packets(
    segments: Sequence[Segment], info: ClipInfo, video: Stream
) -> Iterator[AnyPacket]:
    """The frames' packets with their real times; decode times follow from these alone."""
    times = array("q", (t + info.shift for segment in segments for t in segment.pts))
    step = max(1, round((times[-1] - times[0]) / max(len(times) - 1, 1)))
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


def _muxer_options(format: str, container: InputContainer | None, info: ClipInfo) -> dict[str, str]:
    """Muxer options for equal bytes of equal clips, and an exact clock in MP4 and QuickTime."""
    options = {"fflags": "+bitexact"}
    if format not in ("mp4", "mov"):
        return options
    if container and has_apples_tags(container_tags(container, MetadataPolicy())):
        options["movflags"] = "+use_metadata_tags"  # it would write iTunes' tags alone
    ticks = info.time_base.denominator
    for stream in container.streams.audio if container else ():
        context: AudioCodecContext | None = stream.codec_context  # None where it is not known
        rate = math.lcm(ticks, (context and context.sample_rate) or 1)
        ticks = rate if rate <= _MOST_TICKS else ticks
    return {**options, "movie_timescale": str(max(ticks, 1000))}
