"""Clips made here, and a network that stands in where the network is not the matter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from srcli.inference.crop_reach import CropReach
from srcli.inference.report import Report
from srcli.jobs.clip_job import upscale_clip
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.job import CLIP, Job
from srcli.media.video.encoders import repeatable_options

TICKS = Fraction(1, 12800)
STEP = 512  # ticks: 25 frames a second
RATE = 48000
COVER = b"\x89PNG\r\n\x1a\n"


class Doubler:
    """Doubles every pixel; counts the frames that it was given."""

    scale = 2

    def __init__(self, batch: int = 1) -> None:
        self.batch = batch
        self.given: list[int] = []

    def batch_for(self, height: int, width: int) -> int:
        return self.batch

    def crop_reach(self, *, exact: bool) -> CropReach | None:
        return CropReach(0, 8 if exact else 0, 8)

    def upscale_frames(self, frames: Sequence[np.ndarray]) -> tuple[list[np.ndarray], Report]:
        self.given.append(len(frames))
        larger = [f.repeat(2, 0).repeat(2, 1) for f in frames]
        return larger, Report(0.1, len(frames), len(frames), 0, 0.1 * len(frames), (), exact=True)


@dataclass(frozen=True)
class Recipe:
    """Content of a test clip."""

    frames: int = 10
    size: tuple[int, int] = (32, 24)
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: {"crf": "12", "preset": "veryfast"})
    times: Sequence[int] = ()
    tones: int = 0
    subtitles: bool = False
    attachment: bool = False
    chapters: bool = False
    title: str = ""
    aspect: Fraction = Fraction(1)
    colour: tuple[int, int, int, int] = (1, 1, 1, 1)  # range, primaries, transfer, matrix
    image: Callable[[int, int, int], np.ndarray] | None = None


def moving(number: int, width: int, height: int) -> np.ndarray:
    """A frame (h, w, 3) uint8 unlike the others."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 5 + number * 11, y * 7, x + y + number * 3], -1).astype(np.uint8)


def make_clip(path: Path, recipe: Recipe) -> Path:
    width, height = recipe.size
    times = recipe.times or [n * STEP for n in range(recipe.frames)]
    with av.open(str(path), "w") as out:
        options = repeatable_options(recipe.codec, recipe.options)
        video = out.add_stream(recipe.codec, rate=25, options=options)
        context = video.codec_context
        context.width, context.height, context.pix_fmt = width, height, recipe.pix_fmt
        context.time_base = TICKS
        context.sample_aspect_ratio = recipe.aspect
        (context.color_range, context.color_primaries, context.color_trc, context.colorspace) = (
            recipe.colour
        )
        tones = [out.add_stream("aac", rate=RATE) for _ in range(recipe.tones)]
        for number, tone in enumerate(tones):
            tone.codec_context.layout = "mono"
            tone.metadata["language"] = ("deu", "fra", "spa")[number]
            tone.metadata["title"] = f"tone {number}"
        words = _subtitles(out) if recipe.subtitles else None
        if recipe.attachment:
            out.add_attachment("font.ttf", "font/ttf", b"no font at all")
        if recipe.title:
            out.metadata["title"] = recipe.title
        if recipe.chapters:
            out.set_chapters(
                [
                    {"id": 1, "start": 0, "end": 200, **_chapter("one")},
                    {"id": 2, "start": 200, "end": 400, **_chapter("two")},
                ]
            )
        if words is not None:
            _say(out, words)
        for number, pts in enumerate(times):
            pixels = (recipe.image or moving)(number, width, height)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame = frame.reformat(
                format=recipe.pix_fmt,
                dst_colorspace="ITU709" if recipe.colour[3] == 1 else "ITU601",
                dst_color_range=recipe.colour[0],
            )
            frame.pts, frame.time_base = pts, TICKS
            out.mux(context.encode(frame))
        out.mux(context.encode(None))
        for number, tone in enumerate(tones):
            _sound(out, tone, sine(440 * (number + 1), len(times) * STEP * TICKS))
    return path


def _chapter(title: str) -> dict[str, object]:
    return {"time_base": Fraction(1, 1000), "metadata": {"title": title}}


def _subtitles(out: av.container.OutputContainer) -> av.stream.Stream:
    stream = out.add_mux_stream("subrip")
    stream.time_base = Fraction(1, 1000)
    stream.metadata["language"] = "ita"
    return stream


def _say(out: av.container.OutputContainer, stream: av.stream.Stream) -> None:
    packet = av.Packet(b"buongiorno")
    packet.stream = stream
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = 40
    packet.duration = 160
    out.mux(packet)


def sine(hertz: int, seconds: Fraction) -> np.ndarray:
    moments = np.arange(int(seconds * RATE)) / RATE
    return np.sin(2 * np.pi * hertz * moments).astype(np.float32) / 2


def _sound(out: av.container.OutputContainer, stream: av.stream.Stream, wave: np.ndarray) -> None:
    for start in range(0, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def upscaled(
    source: Path,
    target: Path,
    settings: ClipSettings | None = None,
    network: Doubler | None = None,
) -> tuple[str, ...]:
    """Upscale a clip with the stand-in; what was lost."""
    job = Job(source, target, CLIP)
    notes, _ = upscale_clip(
        job, network or Doubler(), settings or ClipSettings(), lambda done, total: None
    )
    assert not [p for p in target.parent.iterdir() if p.name.startswith(".")]
    return notes


@dataclass(frozen=True)
class Seen:
    """A clip as a player would show it."""

    times: list[Fraction]
    images: list[np.ndarray]
    kinds: list[tuple[str, str]]
    tags: list[dict[str, str]]


def watch(path: Path) -> Seen:
    with av.open(str(path)) as clip:
        kinds = [(s.type, s.codec_context.name if s.codec_context else "") for s in clip.streams]
        tags = [dict(s.metadata) for s in clip.streams]
        frames = list(clip.decode(video=0))
        times = [frame.pts * frame.time_base for frame in frames]
        return Seen(times, [frame.to_ndarray(format="rgb24") for frame in frames], kinds, tags)


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """Time and bytes of all packets of the streams of one kind."""
    with av.open(str(path)) as clip:
        streams = [s for s in clip.streams if s.type == kind]
        return [
            (p.pts * p.time_base, bytes(p))
            for p in clip.demux(*streams)
            if p.size and p.pts is not None
        ]
