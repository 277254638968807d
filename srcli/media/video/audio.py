"""Sound that a container does not take as it is, decoded and re-encoded."""

import io
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.filter import Graph
from av.stream import Stream

from srcli.media.video.container import AnyPacket, opened

__all__ = ["AudioTranscoder", "add_audio", "audio_encoder"]

_ENCODERS = {"mp4": "aac", "mov": "aac", "matroska": "flac", "webm": "libopus"}
_BIT_RATE = 96_000  # a channel
_RUN_UP = 1  # seconds decoded before what is wanted, from which the first of it follows
_USUAL = ("", "mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")  # for so many channels


def audio_encoder(source: Path, stream: Stream, format: str) -> str:
    """FFmpeg's name of the encoder that brings a sound into a container; empty if none can."""
    if not isinstance(stream, AudioStream) or not _decodes(source, stream.index):
        return ""
    encoder = _ENCODERS[format]
    try:
        with av.open(io.BytesIO(), "w", format=format) as output:
            add_audio(output, stream, encoder)
            output.start_encoding()
    except (FFmpegError, ValueError):
        return ""
    return encoder


def add_audio(output: OutputContainer, stream: AudioStream, encoder: str) -> AudioStream:
    """A stream of the result that takes what `AudioTranscoder` gives."""
    rates = av.Codec(encoder, "w").audio_rates or [stream.sample_rate]
    rate = min((r for r in rates if r >= stream.sample_rate), default=max(rates))
    added = output.add_stream(encoder, rate=rate)
    assert isinstance(added, AudioStream)
    context = added.codec_context
    context.layout = _layout_for(stream, encoder)
    if encoder == "flac":
        context.format = "s32" if _is_deep(stream) else "s16"
    else:
        context.bit_rate = _BIT_RATE * context.layout.nb_channels
    return added


def _layout_for(stream: AudioStream, encoder: str) -> str:
    """Where the channels are; Opus knows one way for each number of them, and AVI says none."""
    layout, channels = stream.layout, stream.layout.nb_channels
    unsaid = layout.name == f"{channels} channels"
    usual = (unsaid or encoder == "libopus") and channels < len(_USUAL)
    return _USUAL[channels] if usual else layout.name


def _is_deep(stream: AudioStream) -> bool:
    """Tell if samples have more than 16 bits; floats are what lossy decoders give."""
    return stream.format.name.startswith(("s32", "s64", "dbl"))


def _decodes(source: Path, index: int) -> bool:
    with opened(source) as container:
        stream = container.streams[index]
        assert isinstance(stream, AudioStream)
        with suppress(FFmpegError):
            for packet in container.demux(stream):
                with suppress(FFmpegError):
                    if stream.decode(packet):
                        return True
    return False


class AudioTranscoder:
    """Decodes the packets of one sound and encodes the requested part.

    Args:
        stream: Of the source.
        target: Of the result, from `add_audio`.
        start: What comes before is left out, to the sample; seconds on the source's clock, None
            for nothing.
        stop: Likewise what comes after.
        shift: Added to all times, seconds.
    """

    def __init__(
        self,
        stream: AudioStream,
        target: AudioStream,
        *,
        start: Fraction | None,
        stop: Fraction | None,
        shift: Fraction,
    ) -> None:
        self._stream, self._target = stream, target
        self._start, self._stop, self._shift = start, stop, shift
        self._graph: Graph | None = None
        self._next = start or Fraction(0)  # when a frame begins that does not say it
        self._kind: tuple[str, str, int] | None = None
        self._begun = False

    def take(self, packet: AnyPacket) -> Iterator[AnyPacket]:
        """Encode what this packet decodes to; a damaged one is silence."""
        if packet.pts is not None:
            begin = packet.pts * packet.time_base
            end = begin + (packet.duration or 0) * packet.time_base
            if self._start is not None and end < self._start - _RUN_UP:
                return
            if self._stop is not None and begin > self._stop:
                return
        yield from self._decoded(packet)

    def end(self) -> Iterator[AnyPacket]:
        """Flush: the packets left at the end."""
        yield from self._decoded(None)
        yield from self._encoded(self._pulled(None))
        if self._begun:  # FLAC would else give a time that is none
            yield from self._packets(None)

    def _decoded(self, packet: AnyPacket | None) -> Iterator[AnyPacket]:
        frames: list[AudioFrame] = []
        with suppress(FFmpegError):
            frames = self._stream.codec_context.decode(packet)
        for frame in frames:
            yield from self._encoded(self._ready(frame))

    def _ready(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        if kind != self._kind:  # some streams change it under way
            yield from self._pulled(None)
            self._graph, self._kind = self._made(frame), kind
        self._time(frame)
        yield from self._pulled(frame)

    def _time(self, frame: AudioFrame) -> None:
        """Count in samples: a tick of the source may be longer than what is cut off."""
        base, rate = frame.time_base or self._stream.time_base, frame.sample_rate
        if frame.pts is not None and base:
            self._next = frame.pts * base
        frame.pts, frame.time_base = round(self._next * rate), Fraction(1, rate)
        self._next += Fraction(frame.samples, rate)

    def _made(self, frame: AudioFrame) -> Graph:
        """Cuts, brings to the encoder's rate and format, and fills gaps in time with silence."""
        bounds = [
            f"{name}={round(moment * frame.sample_rate)}"
            for name, moment in (("start_pts", self._start), ("end_pts", self._stop))
            if moment is not None
        ]
        to = self._target.codec_context
        steps = (
            (
                "abuffer",
                f"time_base=1/{frame.sample_rate}:sample_rate={frame.sample_rate}"
                f":sample_fmt={frame.format.name}:channel_layout={frame.layout.name}",
            ),
            *([("atrim", ":".join(bounds))] if bounds else []),
            ("aresample", f"{to.sample_rate}:async=1"),
            (
                "aformat",
                f"sample_fmts={to.format.name}:sample_rates={to.sample_rate}"
                f":channel_layouts={to.layout.name}",
            ),
            ("abuffersink", None),
        )
        graph = Graph()
        graph.link_nodes(*(graph.add(*step) for step in steps)).configure()
        return graph

    def _pulled(self, frame: AudioFrame | None) -> Iterator[AudioFrame]:
        if self._graph is None:
            return
        with suppress(EOFError):  # what comes after the end of the part
            self._graph.push(frame)
        while True:
            try:
                pulled = self._graph.pull()
            except (BlockingIOError, EOFError):
                return
            assert isinstance(pulled, AudioFrame)
            yield pulled

    def _encoded(self, frames: Iterator[AudioFrame]) -> Iterator[AnyPacket]:
        for frame in frames:
            self._begun = True
            yield from self._packets(frame)

    def _packets(self, frame: AudioFrame | None) -> Iterator[AnyPacket]:
        packets: list[AnyPacket] = [*self._target.encode(frame)]
        for packet in packets:
            moved = round(self._shift / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + moved
            packet.dts = None if packet.dts is None else packet.dts + moved
            packet.stream = self._target
            yield packet
