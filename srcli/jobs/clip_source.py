"""Where a clip's frames come from: a video file, an animation, or numbered images."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from srcli.defaults import TEMPORAL
from srcli.errors import UnreadableVideo, UsageError
from srcli.jobs.identity import Identity, digest, unchanged
from srcli.media import MetadataPolicy
from srcli.media.video import (
    AnimationReader,
    ClipReader,
    DecodeOptions,
    EncoderOptions,
    FrameSource,
    IsolatedClip,
    SeekableSource,
    SequenceReader,
    is_animation,
)
from srcli.media.video.names import is_sequence

__all__ = [
    "ClipSettings",
    "OpenedClip",
    "open_frames",
    "open_source",
    "rate_for",
    "require_unchanged",
]

_SEGMENT = 120  # frames: what a kill costs at most
_SAMPLE = 1 << 20  # bytes of a source's head and tail that went into its identity


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
        isolated: Decode video files in a process of their own.
        temporal: Which results of earlier frames are reused, one of `defaults.TEMPORAL_MODES`.
    """

    reading: DecodeOptions = field(default_factory=DecodeOptions)
    wanted: EncoderOptions = field(default_factory=EncoderOptions)
    key: Mapping[str, str] = field(default_factory=dict[str, str])
    segment: int = _SEGMENT
    rate: Fraction | None = None
    policy: MetadataPolicy = field(default_factory=MetadataPolicy)
    isolated: bool = False
    temporal: str = TEMPORAL


@dataclass(frozen=True)
class OpenedClip:
    """A clip that is ready to be read.

    Args:
        frames: Its frames.
        passthrough: The file that holds sound and all else; None if there is none.
        identity: Tells whether it is still the same clip.
        state: Of the file when it was opened; None for numbered images.
        former_identity: What version f8df6d1 noted for the same clip; "" for numbered images.
    """

    frames: FrameSource
    passthrough: Path | None
    identity: str
    state: Identity | None = None
    former_identity: str = ""

    def keys(self, key: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """The key with the clip's identity, as noted now and as noted by version f8df6d1."""
        return {**key, "source": self.identity}, {**key, "source": self.former_identity}


def open_source(path: Path, settings: ClipSettings) -> OpenedClip:
    """Find out what a path stands for, and look into it.

    Raises:
        InputError: It cannot be read.
        UsageError: Numbered images, and nobody said how many a second.
    """
    if is_sequence(path):
        sequence = _sequence(path, settings)
        return OpenedClip(sequence, None, sequence.identity())
    if is_animation(path):
        if settings.reading.start or settings.reading.duration is not None:
            raise UnreadableVideo(
                f"{path}: an animation is upscaled from its first to its last frame; hint: leave "
                "out --start and --duration"
            )
        return _opened_file(AnimationReader(path), path, None)
    frames = open_frames(path, settings)  # which refuses what is no clip, before all is read
    return _opened_file(frames, path, path)


def open_frames(path: Path, settings: ClipSettings) -> SeekableSource:
    """Open the frames of a video file or of numbered images, without asking which they are.

    Raises:
        InputError: They cannot be read.
    """
    if is_sequence(path):
        return _sequence(path, settings)
    reader = IsolatedClip if settings.isolated else ClipReader
    return reader(path, settings.reading)


def _sequence(path: Path, settings: ClipSettings) -> SequenceReader:
    return SequenceReader(path, rate_for(path, settings.rate), settings.reading)


def _opened_file(frames: FrameSource, path: Path, passthrough: Path | None) -> OpenedClip:
    state = _state_of(path)
    return OpenedClip(frames, passthrough, state.sha256 or "", state, _former_identity(path))


def require_unchanged(path: Path, opened: OpenedClip) -> None:
    """Check that a clip is still what it was when it was opened.

    Raises:
        UnreadableVideo: It is gone, or its content is another.
    """
    if opened.state is not None and not unchanged(path, opened.state):
        raise UnreadableVideo(
            f"{path}: gone or changed while it was read; the frames that are done are kept. "
            "hint: put it back and run the same command again"
        )


def rate_for(path: Path, rate: Fraction | None) -> Fraction:
    """Frames a second of numbered images, if somebody said it.

    Raises:
        UsageError: Nobody did.
    """
    if rate is None:
        raise UsageError(f"{path}: numbered images have no frame rate; hint: add --fps 24")
    return rate


def _state_of(path: Path) -> Identity:
    """Size, time and sha256 of a clip.

    Raises:
        UnreadableVideo: It cannot be read.
    """
    try:
        found = path.stat()
        return Identity(found.st_size, found.st_mtime_ns, digest(path))
    except OSError as error:
        raise UnreadableVideo(
            f"{path}: reading failed ({error.strerror or error}). hint: check the disk or the "
            "network, then run the same command again"
        ) from error


def _former_identity(path: Path) -> str:
    """Hash of size, time of change, head and tail: the identity in keys of version f8df6d1."""
    state = path.stat()
    digest = hashlib.sha256(f"{state.st_size} {state.st_mtime_ns}".encode())
    with path.open("rb") as stream:
        digest.update(stream.read(_SAMPLE))
        stream.seek(max(state.st_size - _SAMPLE, 0))
        digest.update(stream.read(_SAMPLE))
    return digest.hexdigest()
