"""Animated GIF, WebP and PNG, through imageio, with the time of each frame."""

import io
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from imageio.plugins.pillow import PillowPlugin
from numpy.typing import NDArray

from srcli.atomic import atomic_file
from srcli.errors import ImageTooLarge, UnreadableVideo
from srcli.media.guard import DECODER_ERRORS, decoding
from srcli.media.picture import Pixels
from srcli.media.video.frames import ClipInfo, Frame
from srcli.media.video.sequence import picture_info

__all__ = ["AnimationReader", "is_animation", "write_animation"]

_MEGAPIXELS = 512  # of all frames together: an animation is written from memory
_MILLISECOND = Fraction(1, 1000)
_TO_BACKGROUND = 2  # a disposal of GIF
_HALF = 128
_OPAQUE = np.array([0, 0, 0, 255], np.uint8)
_UNSAID = 100  # ms that a frame is shown whose file says 0, as browsers do


def is_animation(path: Path) -> bool:
    """Whether a GIF, WebP or PNG moves; by its header alone."""
    if not path.is_file():  # a pipe would be waited for
        return False
    try:
        with path.open("rb") as stream:
            head = stream.read(1 << 16)
    except OSError:
        return False
    if head.startswith(b"\x89PNG"):
        return b"acTL" in head.partition(b"IDAT")[0]
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
        return bool(head[20] & 2)
    return head.startswith((b"GIF87a", b"GIF89a"))


@dataclass(frozen=True)
class _Timing:
    """Of one frame: when it is shown and for how long, ms."""

    start: int
    duration: int


class AnimationReader:
    """Reads an animation; see `FrameSource`.

    Args:
        path: The file.

    Raises:
        UnreadableVideo: It cannot be decoded.
        ImageTooLarge: All frames together are beyond the limit.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.loop = 0
        self._timings: list[_Timing] = []
        width, height = self._inspect()
        total = max(sum(timing.duration for timing in self._timings), 1)
        self._info = picture_info(
            width,
            height,
            bits=8,
            has_alpha=True,
            frames=len(self._timings),
            rate=Fraction(len(self._timings) * 1000, total),
            time_base=_MILLISECOND,
        )

    @property
    def info(self) -> ClipInfo:
        """See `FrameSource`."""
        return self._info

    @property
    def notes(self) -> list[str]:
        """See `FrameSource`: nothing is lost on the way in."""
        return []

    @property
    def durations(self) -> list[int]:
        """For how long each frame is shown, ms."""
        return [timing.duration for timing in self._timings]

    def frames(self, done: int, last: int | None) -> Iterator[Frame]:
        """See `FrameSource`."""
        del last  # the number is enough
        try:
            with closing(self._opened()) as file:
                for number in range(done, len(self._timings)):
                    with decoding():
                        pixels: NDArray[Any] = file.read(index=number, mode="RGBA")
                    timing = self._timings[number]
                    yield Frame(timing.start, timing.duration, np.ascontiguousarray(pixels))
        except (*DECODER_ERRORS, OSError) as error:
            raise UnreadableVideo(f"{self.path}: damaged ({error}); restore it") from error

    def _opened(self) -> PillowPlugin:
        file = iio.imopen(self.path, "r", plugin="pillow")
        assert isinstance(file, PillowPlugin)
        return file

    def _inspect(self) -> tuple[int, int]:
        try:
            with decoding(), closing(self._opened()) as file:
                # The shape is (frames, h, w, c) for all, without decoding them.
                count = file.properties(index=...).n_images or 1  # pyright: ignore[reportArgumentType]
                height, width = file.properties(index=0).shape[:2]
                self._refuse_beyond_memory(count, width, height)
                start = 0
                stated = _webp_durations(self.path)
                for number in range(count):
                    said = file.metadata(index=number, exclude_applied=False)
                    known = stated[number] if stated else float(said.get("duration") or 0)
                    duration = round(known) or _UNSAID
                    self._timings.append(_Timing(start, duration))
                    self.loop = int(said.get("loop", self.loop))
                    start += duration
        except (*DECODER_ERRORS, OSError) as error:
            raise UnreadableVideo(
                f"{self.path}: no animation that can be decoded ({error})"
            ) from error
        return width, height

    def _refuse_beyond_memory(self, count: int, width: int, height: int) -> None:
        if count * width * height > _MEGAPIXELS * 1e6:
            raise ImageTooLarge(
                f"{self.path}: {count} frames of {width}x{height}, limit {_MEGAPIXELS} "
                "megapixels in all; make a clip of it first"
            )


def _webp_durations(path: Path) -> list[int]:
    """What a WebP says of its frames, ms, for Pillow tells only after decoding; else nothing."""
    durations: list[int] = []
    with path.open("rb") as stream:
        if stream.read(12)[8:] != b"WEBP":
            return durations
        while len(head := stream.read(8)) == 8:
            length = int.from_bytes(head[4:], "little")
            begin = stream.tell()
            if head[:4] == b"ANMF":
                durations.append(int.from_bytes(stream.read(16)[12:15], "little"))
            stream.seek(begin + length + length % 2)
    return durations


def write_animation(
    frames: Sequence[Pixels], durations: Sequence[int], loop: int, path: Path
) -> None:
    """Write an animation in the format of its suffix, all at once.

    Args:
        frames: (h, w, 4) uint8 each.
        durations: For how long each is shown, ms.
        loop: How often to play it; 0 forever.
        path: Final name.
    """
    made = io.BytesIO()
    # Of a single frame Pillow wants its duration, not a list of them.
    duration = list(durations) if len(durations) > 1 else durations[0]
    options: dict[str, Any] = {"duration": duration, "loop": loop}
    if path.suffix.lower() == ".webp":
        options["lossless"] = True
    if path.suffix.lower() == ".gif":
        options["disposal"] = _TO_BACKGROUND  # or the frames before would shine through
        frames = [_cut_out(pixels) for pixels in frames]
    iio.imwrite(made, np.stack(frames), extension=path.suffix.lower(), plugin="pillow", **options)
    with atomic_file(path) as stream:
        stream.write(made.getbuffer())


def _cut_out(pixels: Pixels) -> Pixels:
    """A frame (h, w, 4) whose pixels are all there or not at all, as GIF needs them."""
    there = pixels[..., 3:] >= _HALF
    return np.where(there, pixels | _OPAQUE, 0).astype(np.uint8)
