"""Text subtitles in the words of another container."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Stream
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

from srcli.media.video.container import AnyPacket, Part, opened
from srcli.media.video.packets import packets_of

__all__ = [
    "Cue",
    "add_converted",
    "converted_packets",
    "holds_location",
    "one_after_the_other",
    "read_cues",
    "text_encoder",
    "text_header",
]

_ENCODERS = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
_TICK = Fraction(1, 1000)
_UNSAID = Fraction(5)  # seconds that the last cue is shown if the file does not say
_FIELDS = 8  # before the text, in what FFmpeg's decoders give: number, layer, style ...
_POSITION = re.compile(r"\b(gps|latitude|longitude)\b|\d\.\d{4,}\D+\d+\.\d{4}", re.IGNORECASE)
_DRAWING = re.compile(r"\{[^}]*\\p[1-9][^}]*\}.*?(?:\{[^}]*\\p0[^}]*\}|$)", re.DOTALL)


@dataclass(frozen=True)
class Cue:
    """A line, or several, that are shown together.

    Args:
        start: Seconds.
        end: Seconds.
        style: Of the header's styles.
        text: With ASS's marks for line breaks, italics and so on.
    """

    start: Fraction
    end: Fraction
    style: str
    text: str


def text_encoder(stream: Stream, format: str) -> str:
    """FFmpeg's name of the encoder that puts a text subtitle into a container; empty if none."""
    if stream.type != "subtitle" or not stream.codec_context or not stream.codec_context.codec:
        return ""
    return _ENCODERS[format] if stream.codec_context.codec.text_sub else ""


def text_header(source: Path, index: int) -> bytes:
    """ASS's header of a text subtitle: its styles."""
    with opened(source) as container:
        return _decoder(container, index).codec_context.subtitle_header or b""


def holds_location(source: Path, index: int) -> bool:
    """Tell if a subtitle is text that holds positions, as drones write them."""
    with opened(source) as container:
        context = container.streams[index].codec_context
        if not context or not context.codec or not context.codec.text_sub:
            return False
    cues = read_cues(source, (index,), None)[index]
    return any(_POSITION.search(cue.text) for cue in cues)


def read_cues(
    source: Path,
    indices: Collection[int],
    part: Part | None,
    tell: Callable[[str], None] = lambda line: None,
) -> Mapping[int, Sequence[Cue]]:
    """Decode text subtitles; what is damaged is left out.

    Args:
        source: The clip.
        indices: Of the streams.
        part: What to read; None for all.
        tell: Told in one line for each stream what is left out or had to be guessed.

    Returns:
        Their lines, in the order of the file.
    """
    cues: dict[int, list[Cue]] = {index: [] for index in indices}
    lost, guessed = Counter[int](), Counter[int]()
    with opened(source) as container:
        streams = {index: _decoder(container, index) for index in indices}
        for packet in packets_of(container, indices, part):
            if not packet.size or packet.pts is None:
                continue
            index = packet.stream.index
            try:
                decoded = streams[index].codec_context.decode2(packet)
            except FFmpegError:
                decoded = _decoded_as_western(streams[index], packet)
                (lost if decoded is None else guessed)[index] += 1
            start = packet.pts * packet.time_base
            end = start + (packet.duration or 0) * packet.time_base
            cues[index].extend(
                _cue(start, end, rectangle.ass.decode("utf-8", "replace"))
                for rectangle in decoded or ()
                if isinstance(rectangle, AssSubtitle)
            )
    for index, count in lost.items():
        tell(f"{source}: {count} lines of subtitle stream {index} are damaged and left out")
    for index, count in guessed.items():
        tell(
            f"{source}: {count} lines of subtitle stream {index} are not UTF-8, their characters "
            "are taken for Windows-1252"
        )
    shown = {index: [cue for cue in found if cue.text.strip()] for index, found in cues.items()}
    return {index: tuple(_ended(found)) for index, found in shown.items()}


def _decoded_as_western(stream: SubtitleStream, packet: AnyPacket) -> SubtitleSet | None:
    """Decode a line that is not UTF-8, which FFmpeg refuses; None if that is not why."""
    content = bytes(packet)
    if content.isascii():
        return None
    again = av.Packet(content.decode("cp1252", "replace").encode())
    again.pts, again.dts, again.duration = packet.pts, packet.dts, packet.duration
    again.time_base = packet.time_base
    try:
        return stream.codec_context.decode2(again)
    except FFmpegError:
        return None


def _decoder(container: InputContainer, index: int) -> SubtitleStream:
    stream = container.streams[index]
    assert isinstance(stream, SubtitleStream)
    stream.codec_context.open(strict=False)
    return stream


def _cue(start: Fraction, end: Fraction, event: str) -> Cue:
    fields = event.split(",", _FIELDS)
    if len(fields) <= _FIELDS:
        return Cue(start, end, "Default", event)
    return Cue(start, end, fields[2], _DRAWING.sub("", fields[_FIELDS]))


def _ended(cues: Sequence[Cue]) -> Iterator[Cue]:
    """A cue that does not say how long it is shown lasts until the next."""
    for number, cue in enumerate(cues):
        if cue.end > cue.start:
            yield cue
            continue
        later = (other.start for other in cues[number + 1 :] if other.start > cue.start)
        yield replace(cue, end=next(later, cue.start + _UNSAID))


def one_after_the_other(cues: Iterable[Cue]) -> Iterator[Cue]:
    """Cues that overlap become pieces that do not, each of all that is shown during it.

    MP4 shows one sample at a time; without this a line would end where the next begins.
    """
    waiting = sorted(cues, key=lambda cue: cue.start)
    borders = sorted({moment for cue in waiting for moment in (cue.start, cue.end)})
    shown: list[Cue] = []
    taken = 0
    for start, end in pairwise(borders):
        shown = [cue for cue in shown if cue.end > start]
        while taken < len(waiting) and waiting[taken].start <= start:
            shown.append(waiting[taken])
            taken += 1
        if shown:
            text = "\\N".join(cue.text for cue in shown)
            yield Cue(start, end, shown[0].style, text)


def add_converted(output: OutputContainer, encoder: str, header: bytes) -> SubtitleStream:
    """A stream of the result that takes what `converted_packets` gives."""
    stream = output.add_stream(encoder)
    assert isinstance(stream, SubtitleStream)
    stream.codec_context.subtitle_header = header
    stream.codec_context.time_base = _TICK
    stream.time_base = _TICK
    return stream


def converted_packets(cues: Iterable[Cue], stream: SubtitleStream) -> Iterator[AnyPacket]:
    """Encode cues, whose times are the result's already, for the stream that takes them."""
    if stream.codec_context.name == "mov_text":
        cues = one_after_the_other(cues)
    for number, cue in enumerate(cues):
        start, end = round(cue.start / _TICK), round(cue.end / _TICK)
        if end <= start:
            continue
        event = f"{number},0,{cue.style},,0,0,0,,{cue.text}"
        shown = SubtitleSet.create(event.encode(), 0, end - start, start)
        packet = cast("AnyPacket", stream.codec_context.encode_subtitle(shown))
        packet.pts, packet.dts, packet.duration = start, start, end - start
        packet.time_base = _TICK
        packet.stream = stream
        yield packet
