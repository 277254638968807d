"""Choose a clip's encoder, its sample format and its options."""

import os
from dataclasses import dataclass
from pathlib import Path

import av

from srcli.errors import UsageError
from srcli.media.video.encoders import (
    find_encoder,
    preset_options,
    quality_options,
    sample_formats,
    try_device,
)
from srcli.media.video.frames import ClipInfo
from srcli.media.video.names import WRITABLE

__all__ = ["EncoderOptions", "Encoding", "check_encoder_options", "choose_encoding", "codec_for"]


@dataclass(frozen=True)
class EncoderOptions:
    """Encoder options of the user; None and empty let srcli choose.

    Args:
        codec: "h264", "hevc", "av1", "prores", "ffv1", or the name of a hardware encoder.
        crf: Quality, on the encoder's own scale; less is better.
        preset: Speed, in the encoder's own words.
        pixel_format: FFmpeg's name of the sample format.
    """

    codec: str = ""
    crf: float | None = None
    preset: str = ""
    pixel_format: str = ""


@dataclass(frozen=True)
class Encoding:
    """An encoder, settled.

    Args:
        encoder: FFmpeg's name of it.
        pixel_format: FFmpeg's name of the sample format.
        options: For the encoder.
        notes: What of the source it cannot hold, one line each.
    """

    encoder: str
    pixel_format: str
    options: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def has_alpha(self) -> bool:
        """True if the sample format holds alpha."""
        return any(c.is_alpha for c in av.VideoFormat(self.pixel_format).components)


def codec_for(wanted: EncoderOptions, target: Path) -> str:
    """The codec that was asked for, or the default of a clip's container.

    >>> codec_for(EncoderOptions(), Path("a.mp4")), codec_for(EncoderOptions(), Path("a.webm"))
    ('h264', 'av1')
    """
    return wanted.codec or ("av1" if WRITABLE.get(target.suffix.lower()) == "webm" else "h264")


def choose_encoding(wanted: EncoderOptions, info: ClipInfo, target: Path) -> Encoding:
    """Settle encoder, sample format and options for a clip.

    Raises:
        UsageError: There is no such encoder here, or it does not take what was asked for.
    """
    name = codec_for(wanted, target)
    family = find_encoder(name)
    encoder, formats = family.encoder, sample_formats(family)
    pixel_format = wanted.pixel_format or _like_source(info, formats, wide=family.wide)
    _require_format(pixel_format, encoder, formats)
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 talks otherwise; 1 leaves its errors
    options = {
        **family.always,
        **quality_options(family, name, wanted.crf),
        **preset_options(family, name, wanted.preset),
    }
    if encoder == "prores_ks" and pixel_format.startswith(("yuv444", "yuva444")):
        options["profile"] = "4444"
    return Encoding(encoder, pixel_format, options, _losses(info, pixel_format, name))


def check_encoder_options(wanted: EncoderOptions, target: Path) -> None:
    """Refuse at once what a clip of that name could not be encoded with, whatever is in it.

    Raises:
        UsageError: There is no such encoder or no device for it here, or it has no such quality,
            preset or sample format.
    """
    name = codec_for(wanted, target)
    family = find_encoder(name)
    if wanted.pixel_format:
        _require_format(wanted.pixel_format, family.encoder, sample_formats(family))
    quality_options(family, name, wanted.crf)
    preset_options(family, name, wanted.preset)
    try_device(family, name)


def _require_format(pixel_format: str, encoder: str, formats: list[str]) -> None:
    if pixel_format not in formats:
        raise UsageError(
            f"--pix-fmt {pixel_format} is not a format of {encoder}: {', '.join(formats[:20])}"
        )


def _like_source(info: ClipInfo, formats: list[str], *, wide: bool) -> str:
    """The source's own format if everything of it shall be kept, else 4:2:0 of its depth."""
    if wide and info.pixel_format in formats:
        return info.pixel_format
    if wide and info.colour.is_rgb:
        name = "bgra" if info.has_alpha else "bgr0"
        if info.depth <= 8 and name in formats:
            return name
    candidates = [name for name in formats if _plain(name, info, wide=wide)]

    def distance(name: str) -> tuple[bool, int, int]:
        depth = av.VideoFormat(name).components[0].bits
        return depth < info.depth, abs(depth - info.depth), formats.index(name)

    return min(candidates or formats, key=distance)


def _plain(name: str, info: ClipInfo, *, wide: bool) -> bool:
    """Tell if a format is luma and chroma in the usual order, as fine as the source's if `wide`."""
    shape = av.VideoFormat(name)
    if not name.startswith(("yuv4", "yuva4", "p01", "nv12")) or name.endswith("be"):
        return False
    if any(component.is_alpha for component in shape.components) != (wide and info.has_alpha):
        return False
    if not wide:
        return name.startswith(("yuv420", "p010", "nv12"))
    if info.colour.is_rgb:
        return "444" in name
    finest = av.VideoFormat(info.pixel_format)
    luma = 64  # a chroma plane of a frame so wide and high tells how it is subsampled
    return shape.chroma_width(luma) >= finest.chroma_width(luma) and shape.chroma_height(
        luma
    ) >= finest.chroma_height(luma)


def _losses(info: ClipInfo, pixel_format: str, name: str) -> tuple[str, ...]:
    shape = av.VideoFormat(pixel_format)
    notes: list[str] = []
    depth = shape.components[0].bits
    if depth < info.depth:
        notes.append(f"{info.depth} bits become {depth} ({name}, {pixel_format})")
    if info.has_alpha and not any(component.is_alpha for component in shape.components):
        notes.append(f"alpha is dropped ({pixel_format} has none): --codec prores or ffv1 keeps it")
    return tuple(notes)
