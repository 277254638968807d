"""Inspect a clip by its header and first frames; refuse what srcli cannot process."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.format import Flags
from av.video.stream import VideoStream

from srcli.errors import ImageTooLarge, UnreadableVideo
from srcli.media.video.colour import SDR, Colour, is_convertible
from srcli.media.video.frames import ClipInfo

if TYPE_CHECKING:
    from av.buffer import Buffer

__all__ = ["DecodeOptions", "chosen_stream", "inspect", "turn"]

_MEGAPIXELS = 128  # a frame; 8K is 33
_LOOKED_AT = 12  # frames; some streams mark the first field pair wrongly


@dataclass(frozen=True)
class DecodeOptions:
    """Options for reading a clip.

    Args:
        start: Seconds after its beginning to start at.
        duration: Seconds to take; None takes all.
        deinterlace: Turn interlaced frames into progressive ones.
        hdr: What becomes of PQ and HLG: "refuse" them, "tonemap" them to SDR, or read the numbers
            as if they were "sdr".
    """

    start: Fraction = Fraction(0)
    duration: Fraction | None = None
    deinterlace: bool = False
    hdr: Literal["refuse", "tonemap", "sdr"] = "refuse"


@dataclass(frozen=True)
class Inspected:
    """Properties of a clip, and how they were found.

    Args:
        info: Of the frames that will be given.
        stored: What the samples in the file mean.
        turned: Quarter turns to the left, then whether to mirror, that make frames upright.
    """

    info: ClipInfo
    stored: Colour
    turned: tuple[int, bool]


def chosen_stream(path: Path, container: InputContainer) -> VideoStream:
    """The stream that is upscaled: the best that is no cover image."""
    moving = [s for s in container.streams.video if not s.disposition & _STILL]
    best = container.streams.best("video")
    for stream in (best, *moving):
        if stream in moving and isinstance(stream, VideoStream):
            if stream.codec_context is None:  # pyright: ignore[reportUnnecessaryComparison]
                raise UnreadableVideo(f"{path}: its codec is not known here; convert it first")
            return stream
    raise UnreadableVideo(f"{path}: there is no video in it")


def inspect(path: Path, container: InputContainer, reading: DecodeOptions) -> Inspected:
    """Look at the first frames.

    Raises:
        UnreadableVideo: Nothing can be decoded, or it is HDR or interlaced and nobody said what
            to do about that.
        ImageTooLarge: The header states more pixels than any camera makes.
    """
    stream = chosen_stream(path, container)
    _refuse_bombs(path, stream.codec_context.width, stream.codec_context.height)
    frames = _first_frames(container, stream)
    if not frames:
        raise UnreadableVideo(f"{path}: no frame of it can be decoded; restore it from its source")
    first = frames[0]
    name = first.format.name
    if not is_convertible(first.colorspace) and not first.format.is_rgb:
        raise UnreadableVideo(
            f"{path}: its colours are coded by matrix {first.colorspace} of H.273, which srcli "
            "does not convert: bring it to BT.709 or BT.2020 (non-constant luminance) first"
        )
    stored = Colour.read(
        color_range=2 if name.startswith("yuvj") else first.color_range,
        primaries=first.color_primaries,
        transfer=first.color_trc,
        matrix=first.colorspace,
        rgb=first.format.is_rgb or name == "pal8",
        height=first.height,
    )
    _refuse_hdr(path, first, stored, reading)
    if any(frame.interlaced_frame for frame in frames) and not reading.deinterlace:
        raise UnreadableVideo(
            f"{path}: interlaced; lines of two moments in one frame cannot be upscaled: "
            "--deinterlace makes whole frames of them"
        )
    colour = SDR if stored.hdr else stored
    turned = _turned(first)
    time_base = stream.time_base or Fraction(1, 1000)
    width, height = first.width, first.height
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if turned[0] % 2:
        width, height, aspect = height, width, 1 / aspect if aspect else Fraction(1)
    info = ClipInfo(
        width=width,
        height=height,
        time_base=time_base,
        rate=stream.average_rate or stream.guessed_rate or Fraction(25),
        frames=_expected(container, stream, reading),
        depth=max(component.bits for component in first.format.components),
        pixel_format=name,
        has_alpha=any(component.is_alpha for component in first.format.components),
        aspect=aspect or Fraction(1),
        colour=colour,
        shift=_shift(container, reading, time_base),
    )
    if name == "pal8":
        info = replace(info, depth=8, has_alpha=False)
    return Inspected(info, stored, turned)


_STILL = 0x400 | 0x800  # attached_pic, timed_thumbnails


def turn(pixels: np.ndarray, turned: tuple[int, bool]) -> np.ndarray:
    """Make a frame upright; see `Inspected.turned`."""
    quarters, mirrored = turned
    pixels = np.rot90(pixels, quarters)
    return np.ascontiguousarray(pixels[:, ::-1] if mirrored else pixels)


def _turned(frame: av.VideoFrame) -> tuple[int, bool]:
    """Rotation that the display matrix asks for; odd angles are left alone."""
    data = cast("Buffer | None", frame.side_data.get("DISPLAYMATRIX"))
    if data is None:
        return 0, False
    values = np.frombuffer(bytes(data), "<i4")
    a, b, c, d = (int(np.sign(values[place])) for place in (0, 1, 3, 4))
    return _MATRICES.get((a, b, c, d), (0, False))


# A point (x, y) is shown at (a x + c y, b x + d y), y pointing down.
_MATRICES = {
    (1, 0, 0, 1): (0, False),
    (0, 1, -1, 0): (3, False),
    (-1, 0, 0, -1): (2, False),
    (0, -1, 1, 0): (1, False),
    (-1, 0, 0, 1): (0, True),
    (1, 0, 0, -1): (2, True),
    (0, 1, 1, 0): (3, True),
    (0, -1, -1, 0): (1, True),
}


def _first_frames(container: InputContainer, stream: VideoStream) -> list[av.VideoFrame]:
    frames: list[av.VideoFrame] = []
    try:
        for packet in container.demux(stream):
            try:
                frames += stream.codec_context.decode(packet)
            except FFmpegError:
                continue
            if len(frames) >= _LOOKED_AT:
                break
    except FFmpegError:
        pass  # what there is will do; reading it all tells what is lost
    return frames[:_LOOKED_AT]


def _refuse_bombs(path: Path, width: int, height: int) -> None:
    if width * height > _MEGAPIXELS * 1e6:
        raise ImageTooLarge(
            f"{path}: frames of {width}x{height}, limit {_MEGAPIXELS} megapixels; shrink it first"
        )


def _refuse_hdr(path: Path, frame: av.VideoFrame, stored: Colour, reading: DecodeOptions) -> None:
    dolby = any(frame.side_data.get(name) for name in ("DOVI_METADATA", "DOVI_RPU_BUFFER"))
    hdr = stored.hdr or ("Dolby Vision" if dolby else "")
    if hdr and reading.hdr == "refuse":
        raise UnreadableVideo(
            f"{path}: HDR ({hdr}), which the networks have not learned: --tonemap makes SDR of "
            "it, --force-sdr takes its numbers as if they were SDR"
        )
    if dolby and not stored.hdr and reading.hdr == "tonemap":
        raise UnreadableVideo(
            f"{path}: Dolby Vision without an HDR10 or HLG base cannot be tone mapped here; "
            "convert it to HDR10 first"
        )


def _expected(container: InputContainer, stream: VideoStream, reading: DecodeOptions) -> int:
    """Approximate number of frames; 0 if unknown."""
    rate = stream.average_rate or stream.guessed_rate
    whole = reading.start == 0 and reading.duration is None
    if stream.frames and whole:
        return stream.frames
    if stream.duration and stream.time_base:
        seconds = stream.duration * stream.time_base
    elif container.duration:
        seconds = Fraction(container.duration, av.time_base)
    else:
        return 0
    seconds = max(seconds - reading.start, Fraction(0))
    if reading.duration is not None:
        seconds = min(seconds, reading.duration)
    return round(seconds * rate) if rate else 0


def _shift(container: InputContainer, reading: DecodeOptions, time_base: Fraction) -> int:
    """Offset added to all times: to begin at 0 after a cut, or where broadcasts count on."""
    begins = Fraction(container.start_time or 0, av.time_base)
    restarts = bool(container.format.flags & Flags.ts_discont.value)
    if not restarts and not reading.start:
        return 0
    return -round((begins + reading.start) / time_base)
