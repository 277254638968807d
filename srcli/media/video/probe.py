"""Inspect a clip by its header and first frames; refuse what srcli cannot process."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from srcli.errors import ImageTooLarge, UnreadableVideo
from srcli.media.video.colour import SDR, Colour
from srcli.media.video.colour_tags import ContainerColour, stored_colour
from srcli.media.video.frames import ClipInfo
from srcli.media.video.packets import Clock, may_jump
from srcli.media.video.scan import Scan, chosen_stream
from srcli.media.video.side_data import side_data_of, turn_of
from srcli.media.video.structure import Crop, extras_of

__all__ = ["DecodeOptions", "inspect", "turn"]

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
        tags: The container's colours.
        fields: The deinterlacer's name of the field that is shown first.
        crop: Pixels of the stored frames that the container says are not shown.
    """

    info: ClipInfo
    stored: Colour
    turned: tuple[int, bool]
    tags: ContainerColour
    fields: str
    crop: Crop


def inspect(
    path: Path, container: InputContainer, reading: DecodeOptions, found: Scan
) -> Inspected:
    """Look at the first frames of the requested part.

    Raises:
        UnreadableVideo: Nothing can be decoded, or it is HDR or interlaced and nobody said what
            to do about that.
        ImageTooLarge: The header states more pixels than any camera makes.
    """
    stream = chosen_stream(path, container)
    _refuse_bombs(path, stream.codec_context.width, stream.codec_context.height)
    tags = ContainerColour.of(stream)
    look = found.look_at(reading.start)
    changed_before = look is not None and look is not found.looks[0]
    later = found.begins + look.moment if look is not None and changed_before else None
    frames = _first_frames(container, stream, later)
    if not frames:
        raise UnreadableVideo(
            f"{path}: no frame of it can be decoded; hint: restore it from its source"
        )
    first = frames[0]
    _refuse_bombs(path, first.width, first.height)
    name = first.format.name
    stored = stored_colour(path, first, tags)
    side_data = side_data_of(first)
    _refuse_hdr(path, side_data, stored, reading)
    order = stream.codec_context.field_order
    said = order in _BOTTOM_FIRST or order in _TOP_FIRST
    marked = any(frame.interlaced_frame for frame in frames)
    if (marked or (said and not may_jump(container))) and not reading.deinterlace:
        raise UnreadableVideo(
            f"{path}: interlaced: each frame holds the lines of two moments; hint: "
            "--deinterlace makes one frame of each"
        )
    colour = SDR if stored.hdr else stored
    turned = turn_of(side_data.get("DISPLAYMATRIX")) or (0, False)
    time_base = stream.time_base or Fraction(1, 1000)
    crop = _crop_of(path, container, stream, first)
    width = first.width - crop.left - crop.right
    height = first.height - crop.top - crop.bottom
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if look is not None and look.look.aspect != found.looks[0].look.aspect:
        aspect = look.look.aspect
    if turned[0] % 2:
        width, height, aspect = height, width, 1 / aspect if aspect else Fraction(1)
    info = ClipInfo(
        width=width,
        height=height,
        time_base=time_base,
        rate=stream.average_rate or stream.guessed_rate or Fraction(25),
        frames=_expected(container, stream, reading, found),
        depth=max(component.bits for component in first.format.components),
        pixel_format=name,
        has_alpha=any(component.is_alpha for component in first.format.components),
        aspect=aspect or Fraction(1),
        colour=colour,
        shift=_shift(container, reading, time_base, found),
    )
    if name == "pal8":
        info = replace(info, depth=8, has_alpha=False)
    fields = "bff" if order in _BOTTOM_FIRST and not marked else "auto"
    return Inspected(info, stored, turned, tags, fields, crop)


def _crop_of(
    path: Path, container: InputContainer, stream: VideoStream, frame: av.VideoFrame
) -> Crop:
    extras = extras_of(path, container).get(stream.index)
    crop = extras.crop if extras else Crop()
    fits = crop.left + crop.right < frame.width and crop.top + crop.bottom < frame.height
    return crop if fits else Crop()


_TOP_FIRST, _BOTTOM_FIRST = (2, 5), (3, 4)  # of AVFieldOrder, by what is shown first


def turn(pixels: np.ndarray, turned: tuple[int, bool]) -> np.ndarray:
    """Make a frame upright; see `Inspected.turned`."""
    quarters, mirrored = turned
    pixels = np.rot90(pixels, quarters)
    return np.ascontiguousarray(pixels[:, ::-1] if mirrored else pixels)


def _first_frames(
    container: InputContainer, stream: VideoStream, later: Fraction | None
) -> list[av.VideoFrame]:
    """The clip's first frames, or those from the key frame at `later` (seconds of its clock) on."""
    frames: list[av.VideoFrame] = []
    clock = Clock(container)
    try:
        for packet in clock.steady(iter(container.demux())):
            if packet.stream is not stream:
                continue
            if later is not None:
                if packet.pts is None or packet.pts * packet.time_base < later:
                    continue
                later = None
            try:
                frames += stream.codec_context.decode(packet)
            except FFmpegError:
                continue
            if len(frames) >= _LOOKED_AT:
                return frames[:_LOOKED_AT]
        frames += stream.codec_context.decode(None)
    except (FFmpegError, EOFError):
        pass  # what there is will do; reading it all tells what is lost
    return frames[:_LOOKED_AT]


def _refuse_bombs(path: Path, width: int, height: int) -> None:
    if width * height > _MEGAPIXELS * 1e6:
        raise ImageTooLarge(
            f"{path}: frames of {width}x{height}, limit {_MEGAPIXELS} megapixels; shrink it first"
        )


def _refuse_hdr(
    path: Path, side_data: Mapping[str, bytes], stored: Colour, reading: DecodeOptions
) -> None:
    dolby = not {"DOVI_METADATA", "DOVI_RPU_BUFFER"}.isdisjoint(side_data)
    hdr = stored.hdr or ("Dolby Vision" if dolby else "")
    if hdr and reading.hdr == "refuse":
        raise UnreadableVideo(
            f"{path}: HDR ({hdr}), on which the networks were not trained; hint: --tonemap "
            "converts it to SDR, --force-sdr treats its values as SDR"
        )
    if dolby and not stored.hdr and reading.hdr == "tonemap":
        raise UnreadableVideo(
            f"{path}: Dolby Vision without an HDR10 or HLG base cannot be tone mapped here; "
            "convert it to HDR10 first"
        )


def _expected(
    container: InputContainer, stream: VideoStream, reading: DecodeOptions, found: Scan
) -> int:
    """Approximate number of frames; 0 if unknown."""
    rate = stream.average_rate or stream.guessed_rate
    whole = reading.start == 0 and reading.duration is None
    if whole:
        return stream.frames or found.packets
    if stream.duration and stream.time_base and not found.jumps:
        seconds = stream.duration * stream.time_base
    else:
        seconds = found.end - found.begins
    seconds = max(seconds - reading.start, Fraction(0))
    if reading.duration is not None:
        seconds = min(seconds, reading.duration)
    return round(seconds * rate) if rate else 0


def _shift(
    container: InputContainer, reading: DecodeOptions, time_base: Fraction, found: Scan
) -> int:
    """Offset added to all times: to begin at 0 after a cut, or where broadcasts count on."""
    if not may_jump(container) and not reading.start:
        return 0
    return -round((found.begins + reading.start) / time_base)
