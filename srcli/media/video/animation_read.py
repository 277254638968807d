"""Read animated GIF, WebP and PNG, through imageio, with the time of each frame."""

import struct
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import imageio.v3 as iio
import numpy as np
from imageio.plugins.pillow import PillowPlugin
from numpy.typing import NDArray
from PIL import Image

from srcli.errors import ImageTooLarge, UnreadableVideo
from srcli.media.image import DecodedImage, Metadata
from srcli.media.orientation import apply_orientation, orientation_of
from srcli.media.pillow_errors import DECODER_ERRORS, pillow_errors_as_ours
from srcli.media.video.frames import ClipInfo, Frame
from srcli.media.video.sequence import image_info

__all__ = ["AnimationReader", "is_animation", "names_of"]

_MEGAPIXELS = 512  # of a frame
_DEPTH = 8  # bits
_TAIL = 4096  # bytes, in which a PNG's end mark is looked for: others may follow it
_MILLISECOND = Fraction(1, 1000)
_UNREAD = {"XMP": b"\x21\xff\x0bXMP DataXMP", "ICC profile": b"\x21\xff\x0bICCRGBG1012"}  # of GIF
_UNSAID = 100  # ms that a frame is shown whose file says 0, as browsers do
_LEAST_OF_GIF = 20  # ms; what a GIF says below that is taken for unsaid, by all players


def is_animation(path: Path) -> bool:
    """Tell if a GIF, WebP or PNG is animated; reads only its header."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
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
        ImageTooLarge: Its frames are beyond the limit.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.loop = 1
        """Number of times it is played; 0 for ever."""
        self._first = 0  # of the images in the file: 1 if there is one for those who see no more
        self._is_gif = _starts_as_gif(path)
        self._stored = Metadata()
        self._timings: list[_Timing] = []
        stored_size = self._inspect()
        self._turn = orientation_of(self._stored)
        width, height = self._turn.size(*stored_size)
        total = max(sum(timing.duration for timing in self._timings), 1)
        self._info = image_info(
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
        """See `FrameSource`: a frame by itself has nothing beside it."""
        names = dict.fromkeys([*names_of(self.metadata), *self.unread])
        left_out = [f"{self.path}: {', '.join(names)} left out"] if names else []
        return [*left_out, *self.damage]

    @property
    def damage(self) -> list[str]:
        """One line each for what is not there, or not read as deep as it is stored."""
        lines: list[str] = []
        if _is_cut_off(self.path):
            lines.append(
                f"{self.path}: ends early, without its end mark; {len(self._timings)} frames are "
                "there, and it is not known how many are lost"
            )
        if _bits_of_png(self.path) > _DEPTH:
            lines.append(f"{self.path}: 16 bits become 8: animations are read with 8 bits")
        return lines

    @property
    def metadata(self) -> Metadata:
        """Metadata to carry beside the frames, true of the upright frames."""
        frame = DecodedImage(np.zeros((1, 1, 4), np.uint8), "png", self._stored)
        return apply_orientation(frame).metadata

    @property
    def unread(self) -> list[str]:
        """Names of what the file holds that is not in `metadata`."""
        if self._stored.icc and not self.metadata.icc:
            return ["ICC profile"]  # of gray, and the frames are RGB
        if not self._is_gif:
            return []
        content = self.path.read_bytes()
        return [name for name, mark in _UNREAD.items() if mark in content]

    @property
    def durations(self) -> list[int]:
        """For how long each frame is shown, ms."""
        return [timing.duration for timing in self._timings]

    @property
    def lossy(self) -> bool:
        """See `FrameSource`: whatever is lost fails."""
        return False

    def recount(self) -> None:
        """See `FrameSource`: nothing is."""

    def frames(self, done: int, last: int | None) -> Iterator[Frame]:
        """See `FrameSource`."""
        del last  # the number is enough
        try:
            with closing(self._opened()) as file:
                if self._first:
                    _blank(file)
                for number in range(done, len(self._timings)):
                    with pillow_errors_as_ours():
                        pixels: NDArray[Any] = file.read(index=self._first + number, mode="RGBA")
                    timing = self._timings[number]
                    yield Frame(timing.start, timing.duration, self._turn.apply(pixels))
        except (*DECODER_ERRORS, OSError) as error:
            raise UnreadableVideo(
                f"{self.path}: damaged ({_reason(error)}); hint: restore it"
            ) from error

    def _opened(self) -> PillowPlugin:
        file = iio.imopen(self.path, "r", plugin="pillow")
        assert isinstance(file, PillowPlugin)
        return file

    def _inspect(self) -> tuple[int, int]:
        try:
            with pillow_errors_as_ours(), closing(self._opened()) as file:
                # The shape is (frames, h, w, c) for all, without decoding them.
                count = file.properties(index=...).n_images or 1  # pyright: ignore[reportArgumentType]
                height, width = file.properties(index=0).shape[:2]
                self._refuse_giants(width, height)
                start = 0
                stated = _webp_durations(self.path)
                least = _LEAST_OF_GIF if self._is_gif else 1
                said = file.metadata(index=0, exclude_applied=False)
                self._stored = _metadata_of(said)
                self.loop = self._times_in_all(said.get("loop"))
                self._first = int(bool(said.get("default_image")))
                for number in range(self._first, count):
                    said = file.metadata(index=number, exclude_applied=False)
                    known = stated[number] if stated else float(said.get("duration") or 0)
                    duration = round(known) if round(known) >= least else _UNSAID
                    self._timings.append(_Timing(start, duration))
                    start += duration
        except (*DECODER_ERRORS, OSError) as error:
            raise UnreadableVideo(
                f"{self.path}: no animation that can be decoded ({_reason(error)})"
            ) from error
        return width, height

    def _times_in_all(self, loop: int | None) -> int:
        """From what Pillow read: a GIF says how many more times, the others how many in all."""
        if loop is None:
            return 1
        return loop + 1 if self._is_gif and loop else loop

    def _refuse_giants(self, width: int, height: int) -> None:
        if width * height > _MEGAPIXELS * 1e6:
            raise ImageTooLarge(
                f"{self.path}: frames of {width}x{height}, limit {_MEGAPIXELS} megapixels; "
                "shrink it first"
            )


def names_of(metadata: Metadata) -> list[str]:
    """Names of the metadata beside the frames of an animation."""
    held = (("ICC profile", metadata.icc), ("EXIF", metadata.exif), ("XMP", metadata.xmp))
    return [name for name, blob in held if blob]


def _metadata_of(said: Mapping[str, Any]) -> Metadata:
    """Metadata that Pillow found, as stored."""
    blobs = (said.get("icc_profile"), said.get("exif"), said.get("xmp"))
    icc, exif, xmp = (blob if isinstance(blob, bytes) else None for blob in blobs)
    dpi = said.get("dpi")
    resolution = (float(dpi[0]), float(dpi[1])) if dpi else None
    return Metadata(icc or None, exif or None, xmp or None, resolution)


def _reason(error: Exception) -> str:
    """Why it could not be decoded; errors of the decoder's own code mean that data ended."""
    inner = isinstance(error, (LookupError, struct.error, EOFError, TypeError))
    return "it ends in the middle of a frame" if inner or not str(error) else str(error)


def _is_cut_off(path: Path) -> bool:
    """Tell if the file ends before its format says that it does."""
    with path.open("rb") as stream:
        head = stream.read(12)
        size = stream.seek(0, 2)
        stream.seek(max(size - _TAIL, 0))
        tail = stream.read()
    if head.startswith(b"GIF"):
        return not tail.rstrip(b"\0").endswith(b";")
    if head.startswith(b"RIFF"):
        return size < int.from_bytes(head[4:8], "little") + 8
    return b"IEND" not in tail


def _bits_of_png(path: Path) -> int:
    """Bits a sample of a PNG; 0 of the others."""
    with path.open("rb") as stream:
        head = stream.read(25)
    return head[24] if head.startswith(b"\x89PNG") and len(head) > 24 else 0


def _starts_as_gif(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(3) == b"GIF"
    except OSError:  # it is reported when the file is decoded
        return False


def _blank(file: PillowPlugin) -> None:
    """Empty the canvas of a PNG whose first image is none of the animation's.

    Pillow would leave that image below those that follow; the format begins with nothing.
    """
    held: object = file._image  # pyright: ignore[reportPrivateUsage] there is no other way in
    image = cast("Image.Image", held)
    image.load()
    seen = image.info.get("transparency")
    nothing = seen.find(0) if image.mode == "P" and isinstance(seen, bytes) else 0
    image.paste(max(nothing, 0), (0, 0, *image.size))


def _webp_durations(path: Path) -> list[int]:
    """Frame durations of a WebP in ms, which Pillow tells only after decoding; else nothing."""
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
