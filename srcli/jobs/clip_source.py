"""Where a clip's frames come from: a video file, an animation, or numbered images."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from srcli.errors import UnreadableVideo, UsageError
from srcli.media import MetadataPolicy
from srcli.media.video import (
    AnimationReader,
    ClipReader,
    DecodeOptions,
    EncoderOptions,
    FrameSource,
    SequenceReader,
    is_animation,
)
from srcli.media.video.names import is_sequence

__all__ = ["ClipSettings", "OpenedClip", "open_source", "rate_for"]

_SEGMENT = 120  # frames: what a kill costs at most
_SAMPLE = 1 << 20  # bytes of a source's head and tail that go into its identity


@dataclass(frozen=True)
class ClipSettings:
    """Options for reading and writing clips.

    Args:
        reading: Which part, and what becomes of HDR and of interlaced frames.
        wanted: The encoder.
        key: What else decides the result: model, effort, precision ...
        segment: Frames a segment.
        rate: Frames a second of numbered images, which do not say it themselves.
        policy: Which tags are kept.
    """

    reading: DecodeOptions = field(default_factory=DecodeOptions)
    wanted: EncoderOptions = field(default_factory=EncoderOptions)
    key: Mapping[str, str] = field(default_factory=dict[str, str])
    segment: int = _SEGMENT
    rate: Fraction | None = None
    policy: MetadataPolicy = field(default_factory=MetadataPolicy)


@dataclass(frozen=True)
class OpenedClip:
    """A clip that is ready to be read.

    Args:
        frames: Its frames.
        beside: The file that holds sound and all else; None if there is none.
        identity: Tells whether it is still the same clip.
    """

    frames: FrameSource
    passthrough: Path | None
    identity: str


def open_source(path: Path, settings: ClipSettings) -> OpenedClip:
    """Find out what a path stands for, and look into it.

    Raises:
        InputError: It cannot be read.
        UsageError: Numbered images, and nobody said how many a second.
    """
    if is_sequence(path):
        sequence = SequenceReader(path, rate_for(path, settings.rate), settings.reading)
        return OpenedClip(sequence, None, sequence.identity())
    if is_animation(path):
        if settings.reading.start or settings.reading.duration is not None:
            raise UnreadableVideo(
                f"{path}: an animation is taken whole: leave out --start and --duration"
            )
        return OpenedClip(AnimationReader(path), None, _identity_of(path))
    return OpenedClip(ClipReader(path, settings.reading), path, _identity_of(path))


def rate_for(path: Path, rate: Fraction | None) -> Fraction:
    """Frames a second of numbered images, if somebody said it.

    Raises:
        UsageError: Nobody did.
    """
    if rate is None:
        raise UsageError(f"{path}: numbered images have no frame rate: add --fps 24")
    return rate


def _identity_of(path: Path) -> str:
    """Size, time of change, head and tail."""
    state = path.stat()
    digest = hashlib.sha256(f"{state.st_size} {state.st_mtime_ns}".encode())
    with path.open("rb") as stream:
        digest.update(stream.read(_SAMPLE))
        stream.seek(max(state.st_size - _SAMPLE, 0))
        digest.update(stream.read(_SAMPLE))
    return digest.hexdigest()
