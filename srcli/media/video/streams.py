"""What travels beside the picture: sound, subtitles, attachments, chapters, tags."""

import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Discard, Stream

from srcli.media.policy import MetadataPolicy

__all__ = [
    "Copied",
    "add_copied",
    "choose_copied",
    "container_tags",
    "copy_chapters",
    "described",
    "stream_tags",
]

_STALE = ("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS_", "ENCODER", "vendor_id")
_CONTAINERS_OWN = ("major_brand", "minor_version", "compatible_brands", "encoder")


@dataclass(frozen=True)
class Copied:
    """Which streams go along.

    Args:
        indices: Of the streams in the source.
        notes: One line for each that the container cannot hold.
    """

    indices: tuple[int, ...]
    notes: tuple[str, ...]


def choose_copied(
    container: InputContainer, video: Stream, format: str, target: Path, policy: MetadataPolicy
) -> Copied:
    """Try every stream but the upscaled one in a container of its own.

    Args:
        container: The source.
        video: The stream that is upscaled.
        format: FFmpeg's name of the target's muxer.
        target: For the notes.
        policy: Cameras write where they are into data streams.
    """
    indices: list[int] = []
    notes: list[str] = []
    chapters = bool(container.chapters())
    for stream in container.streams:
        if stream is video or (chapters and _is_chapter_track(stream)):
            continue
        if stream.type == "data" and not policy.keeps_places:
            notes.append(f"{target}: {described(stream)} is left out, it may tell places")
        elif _fits(stream, format):
            indices.append(stream.index)
            if stream.type == "video" and not stream.disposition & 0x400:
                notes.append(f"{target}: {described(stream)} is a second video, copied as it is")
        else:
            notes.append(
                f"{target}: {described(stream)} is left out, {target.suffix} cannot hold it: "
                "-o NAME.mkv can hold most"
            )
    return Copied(tuple(indices), tuple(notes))


def described(stream: Stream) -> str:
    """A stream in words: `subtitle stream 2 (subrip, deu)`."""
    name = stream.codec_context.name if stream.codec_context else stream.name or "unknown"
    language = stream.metadata.get("language")
    return f"{stream.type} stream {stream.index} ({name}{f', {language}' if language else ''})"


def stream_tags(stream: Stream, policy: MetadataPolicy) -> dict[str, str]:
    """Its tags that are still true of the result."""
    tags = {k: v for k, v in stream.metadata.items() if not k.startswith(_STALE)}
    return policy.tags(tags)


def container_tags(container: InputContainer, policy: MetadataPolicy) -> dict[str, str]:
    """The clip's tags, but for those that describe the file it was in."""
    tags = {k: v for k, v in container.metadata.items() if k.lower() not in _CONTAINERS_OWN}
    return policy.tags(tags)


def copy_chapters(
    container: InputContainer, output: OutputContainer, shift: Fraction, length: Fraction | None
) -> None:
    """Copy the chapters that overlap the part taken, moved along with it.

    Args:
        container: The source.
        output: The result, before its header is written.
        shift: Seconds added to all times.
        length: Of the part, in seconds; None for all of it.
    """
    chapters = container.chapters()
    for chapter in chapters:
        base = chapter["time_base"] or Fraction(1, 1000)
        chapter["start"] = max(chapter["start"] + round(shift / base), 0)
        chapter["end"] += round(shift / base)
        if length is not None:
            chapter["end"] = min(chapter["end"], round(length / base))
    kept = [chapter for chapter in chapters if chapter["end"] > chapter["start"]]
    for number, chapter in enumerate(kept):
        chapter["id"] = number
    if kept:
        output.set_chapters(kept)


def add_copied(output: OutputContainer, stream: Stream, policy: MetadataPolicy) -> Stream:
    """A stream of the result that takes packets of `stream` as they are."""
    copied = output.add_stream_from_template(stream, opaque=True)
    copied.metadata.update(stream_tags(stream, policy))
    copied.disposition = stream.disposition
    if stream.time_base:
        copied.time_base = stream.time_base
    return copied


def _is_chapter_track(stream: Stream) -> bool:
    """QuickTime keeps chapter names as a hidden text track; the muxer makes a new one."""
    return stream.type == "data" and stream.discard is Discard.all


def _fits(stream: Stream, format: str) -> bool:
    try:
        with av.open(io.BytesIO(), "w", format=format) as trial:
            add_copied(trial, stream, MetadataPolicy())
            trial.start_encoding()
    except (FFmpegError, OSError, ValueError):
        return False
    return True
