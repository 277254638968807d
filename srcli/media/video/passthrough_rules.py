"""Streams beside the video: audio, subtitles, attachments, chapters, tags."""

import io
import re
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Discard, Stream

from srcli.media.metadata_policy import MetadataPolicy
from srcli.media.video.audio import add_audio, audio_encoder
from srcli.media.video.container import MOST_STREAMS, opened
from srcli.media.video.subtitles import (
    add_converted,
    holds_location,
    text_encoder,
    text_header,
)
from srcli.media.video.tags import described, is_cover, stream_tags

__all__ = [
    "PassthroughChoice",
    "PassthroughStream",
    "add_passthrough",
    "choose_passthrough",
    "copy_chapters",
    "timecode_note",
]

_COVER_KINDS = {"mjpeg": ("image/jpeg", "cover.jpg"), "png": ("image/png", "cover.png")}
_TIMECODE = re.compile(r"\d\d:\d\d:\d\d([:;.])\d\d+")
_TRIAL = b"trial"
_NOT_COPYABLE = ("tta",)  # copied, it loses its last frame: its head counts samples for the whole
_LOOKED_AT = 2000  # packets of the source
_FASTEST = 255  # frames a second that a timecode track can count


@dataclass(frozen=True)
class PassthroughStream:
    """One stream that goes along.

    Args:
        index: In the source.
        how: Packets as they are ("copy"); text put in other words ("text"); sound decoded and
            re-encoded ("sound"); a cover image that becomes an attachment ("attach").
        encoder: Of text and sound.
    """

    index: int
    how: Literal["copy", "text", "sound", "attach"] = "copy"
    encoder: str = ""


@dataclass(frozen=True)
class PassthroughChoice:
    """Choice of streams to pass through.

    Args:
        streams: In the order of the source.
        notes: One line for each that the container cannot hold, or not as it is.
    """

    streams: tuple[PassthroughStream, ...]
    notes: tuple[str, ...]


def choose_passthrough(
    source: Path,
    container: InputContainer,
    video: Stream,
    format: str,
    target: Path,
    policy: MetadataPolicy,
) -> PassthroughChoice:
    """Try every stream but the upscaled one in a container of its own.

    Args:
        source: The clip.
        container: The same, opened.
        video: The stream that is upscaled.
        format: FFmpeg's name of the target's muxer.
        target: For the notes.
        policy: Whether locations may be kept, which are in data, covers and subtitles, too.
    """
    taken: list[PassthroughStream] = []
    notes: list[str] = []
    chapters = bool(container.chapters())
    for stream in container.streams:
        if stream is video or (chapters and _is_chapter_track(stream)):
            continue
        if _is_timecode(stream) and "timecode" in video.metadata:
            continue  # the tag goes along, and MP4 and QuickTime make a track of it again
        said = f"{target}: {described(stream)}"
        if not policy.keeps_places and _may_hold_location(source, stream):
            notes.append(f"{said} is left out, it may hold locations")
            continue
        carried = _choose_handling(source, stream, format)
        if carried is None:
            hint = "" if format == "matroska" else ": -o NAME.mkv can hold most"
            notes.append(f"{said} is left out, {target.suffix} cannot hold it{hint}")
            continue
        taken.append(carried)
        if carried.how == "text":
            styled = stream.codec_context.name in ("ssa", "ass")
            lost = ": places, effects and fonts are lost" if styled else ""
            notes.append(f"{said} becomes {carried.encoder}{lost}")
        elif carried.how == "sound":
            notes.append(f"{said} becomes {carried.encoder.removeprefix('lib')}, re-encoded")
        elif stream.type == "video" and not is_cover(stream):
            notes.append(f"{said} is a second video, copied as it is")
    if len(container.streams) >= MOST_STREAMS:
        notes.append(f"{source}: streams and attachments beyond {MOST_STREAMS} are left out")
    return PassthroughChoice(tuple(taken), tuple(notes))


def _choose_handling(source: Path, stream: Stream, format: str) -> PassthroughStream | None:
    """Find a way for a stream into a container; None if there is none."""
    if is_cover(stream):
        if format == "matroska":  # which would make a second film of it
            known = stream.codec_context.name in _COVER_KINDS
            return PassthroughStream(stream.index, "attach") if known else None
        return (
            PassthroughStream(stream.index)
            if format == "mp4" and _fits(stream, format, source)
            else None
        )
    if stream.type == "attachment":  # WebM's muxer takes them and writes none
        return PassthroughStream(stream.index) if format == "matroska" else None
    unreliable = stream.codec_context and stream.codec_context.name in _NOT_COPYABLE
    if not unreliable and _fits(stream, format, source):
        return PassthroughStream(stream.index)
    encoder = text_encoder(stream, format)
    if encoder:
        return PassthroughStream(stream.index, "text", encoder)
    encoder = audio_encoder(source, stream, format)
    return PassthroughStream(stream.index, "sound", encoder) if encoder else None


def timecode_note(video: Stream, rate: Fraction, *, cut: bool) -> str:
    """Why the clip's timecode cannot go along; empty if it can, or if there is none.

    Args:
        video: The stream that is upscaled.
        rate: Frames a second.
        cut: Whether the result begins later than the source.
    """
    tags = {key.lower(): value for key, value in video.metadata.items()}
    if "timecode" not in tags:
        return ""
    said = f"timecode {tags['timecode']} is left out"
    if cut:
        return f"{said}: it is that of the beginning, which --start cuts off"
    form = _TIMECODE.fullmatch(tags["timecode"])
    whole = round(rate)
    if form is None or not 1 <= whole <= _FASTEST or (form[1] != ":" and whole % 30):
        return f"{said}: it does not go with {float(rate):g} frames a second"
    return ""


def copy_chapters(
    container: InputContainer,
    output: OutputContainer,
    shift: Fraction,
    length: Fraction | None,
    policy: MetadataPolicy,
) -> None:
    """Copy the chapters that overlap the part taken, moved along with it.

    Args:
        container: The source.
        output: The result, before its header is written.
        shift: Seconds added to all times.
        length: Of the part, in seconds; None for all of it.
        policy: Which of their tags, titles among them, are kept.
    """
    chapters = container.chapters()
    for chapter in chapters:
        base = chapter["time_base"] or Fraction(1, 1000)
        chapter["metadata"] = policy.tags(chapter["metadata"])
        chapter["start"] = max(chapter["start"] + round(shift / base), 0)
        chapter["end"] += round(shift / base)
        if length is not None:
            chapter["end"] = min(chapter["end"], round(length / base))
    kept = [chapter for chapter in chapters if chapter["end"] > chapter["start"]]
    for number, chapter in enumerate(kept):
        chapter["id"] = number
    if kept:
        output.set_chapters(kept)


def add_passthrough(
    output: OutputContainer,
    stream: Stream,
    carried: PassthroughStream,
    source: Path,
    policy: MetadataPolicy,
) -> Stream | None:
    """A stream of the result for `stream`; None for an attachment, which has no packets."""
    if carried.how == "attach":
        _attach_cover(output, stream, source)
        return None
    if carried.how == "text":
        header = text_header(source, stream.index)
        added = add_converted(output, carried.encoder, header)
    elif carried.how == "sound":
        assert isinstance(stream, AudioStream)
        added = add_audio(output, stream, carried.encoder)
    else:
        added = output.add_stream_from_template(stream, opaque=True)
        if stream.time_base:
            added.time_base = stream.time_base
    added.metadata.update(stream_tags(stream, policy, output.format.name))
    added.disposition = stream.disposition
    return added


def _attach_cover(output: OutputContainer, stream: Stream, source: Path) -> None:
    mime, name = _COVER_KINDS[stream.codec_context.name]
    with opened(source) as again:
        packets = again.demux(again.streams[stream.index])
        packet = next((p for p in packets if p.size), None)
        if packet is not None:
            output.add_attachment(name, mime, bytes(packet))


def _may_hold_location(source: Path, stream: Stream) -> bool:
    """Tell if the stream is of a kind that holds locations, or of text that looks like it."""
    if stream.type == "attachment":
        return "font" not in stream.metadata.get("mimetype", "").lower()
    if stream.type == "subtitle":
        return holds_location(source, stream.index)
    return stream.type == "data" or is_cover(stream)


def _is_chapter_track(stream: Stream) -> bool:
    """QuickTime keeps chapter names as a hidden text track; the muxer makes a new one."""
    return stream.type == "data" and stream.discard is Discard.all


def _is_timecode(stream: Stream) -> bool:
    return stream.type == "data" and "timecode" in stream.metadata


def _fits(stream: Stream, format: str, source: Path) -> bool:
    """Tell if a container takes the stream; of sound, with a packet; of data, if it comes back."""
    trial = io.BytesIO()
    try:
        with av.open(trial, "w", format=format) as output:
            added = output.add_stream_from_template(stream, opaque=True)
            output.start_encoding()
            content = _TRIAL if stream.type == "data" else _first_packet(stream, source)
            if content:
                packet = av.Packet(content)
                packet.stream, packet.pts, packet.dts, packet.duration = added, 0, 0, 1000
                output.mux(packet)
        if stream.type != "data":
            return True
        trial.seek(0)
        with av.open(trial, "r") as back:
            kinds = [s.name for s in back.streams if s.type == "data"]
            return kinds == [stream.name] and any(bytes(p) == _TRIAL for p in back.demux())
    except (FFmpegError, OSError, ValueError):
        return False


def _first_packet(stream: Stream, source: Path) -> bytes:
    """The first packet of a sound; empty if it is none, or has none near the beginning."""
    if stream.type != "audio":
        return b""
    with opened(source) as container, suppress(FFmpegError):
        for packet in islice(container.demux(), _LOOKED_AT):
            if packet.stream.index == stream.index and packet.size:
                return bytes(packet)
    return b""
