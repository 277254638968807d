"""Numbered images as a clip: frames/%06d.png."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import cast

import numpy as np

from srcli.errors import UnreadableVideo
from srcli.media.image import Pixels
from srcli.media.read import probe, read_image
from srcli.media.video.colour import Colour
from srcli.media.video.frames import ClipInfo, Frame
from srcli.media.video.probe import DecodeOptions

__all__ = ["SequenceReader", "as_rgb", "image_info", "images_of"]

_GAPS_NAMED = 5


def images_of(pattern: Path) -> list[tuple[int, Path]]:
    """The numbers and images that a pattern means, in their order.

    Args:
        pattern: A path whose name holds one %d, %06d or the like.

    Raises:
        UnreadableVideo: No image has such a name.
    """
    head, digits, tail = re.split(r"%(\d*)d", pattern.name, maxsplit=1)
    width = int(digits or 0)
    numbered = re.compile(rf"{re.escape(head)}(\d{{{max(width, 1)},}}){re.escape(tail)}")
    found: list[tuple[int, Path]] = []
    for path in pattern.parent.iterdir() if pattern.parent.is_dir() else ():
        match = numbered.fullmatch(path.name)
        if match:
            found.append((int(match[1]), path))
    if not found:
        raise UnreadableVideo(f"{pattern}: no image has such a name; hint: check folder and digits")
    return sorted(found)


class SequenceReader:
    """Reads images of one size, in the order of their numbers; see `FrameSource`.

    Args:
        pattern: A path whose name holds one %d, %06d or the like.
        rate: Frames a second.
        reading: Which part to take.

    Raises:
        UnreadableVideo: No image has such a name.
    """

    def __init__(self, pattern: Path, rate: Fraction, reading: DecodeOptions) -> None:
        found = images_of(pattern)
        first = int(reading.start * rate)
        count = None if reading.duration is None else max(int(reading.duration * rate), 1)
        taken = found[first:][:count]
        self._paths = [path for _, path in taken]
        if not self._paths:
            raise UnreadableVideo(f"{pattern}: has {len(found)} images, none after --start")
        header = probe(self._paths[0])
        self._info = image_info(
            header.width,
            header.height,
            bits=header.bits,
            has_alpha=header.channels in (2, 4),
            frames=len(self._paths),
            rate=rate,
            time_base=1 / rate,
        )
        self._notes = _gaps(pattern, [number for number, _ in taken])
        self._coloured = False
        self._pattern = pattern

    @property
    def info(self) -> ClipInfo:
        """See `FrameSource`."""
        return self._info

    @property
    def notes(self) -> list[str]:
        """See `FrameSource`."""
        return self._notes

    def identity(self) -> str:
        """See `FrameSource`."""
        states = [(path.name, path.stat()) for path in self._paths]
        listing = [f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in states]
        return hashlib.sha256("\n".join(listing).encode(errors="surrogateescape")).hexdigest()

    @property
    def lossy(self) -> bool:
        """See `FrameSource`: whatever is lost fails."""
        return False

    def recount(self) -> None:
        """See `FrameSource`: nothing is."""

    def times(self) -> list[int] | None:
        """See `SeekableSource`: their numbers."""
        return list(range(len(self._paths)))

    def frames(self, done: int, last: int | None, most: int | None = None) -> Iterator[Frame]:
        """See `SeekableSource`."""
        del last  # the number is enough
        for number, path in islice(enumerate(self._paths), done, most and done + most):
            image = read_image(path)
            info = self._info
            if (image.width, image.height) != (info.width, info.height):
                raise UnreadableVideo(
                    f"{path}: {image.width}x{image.height}, the frames before it "
                    f"{info.width}x{info.height}: a clip has one size"
                )
            if image.metadata.icc is not None and not self._coloured:
                self._coloured = True
                self._notes.append(f"{self._pattern}: colour profiles are left out; sRGB is meant")
            yield Frame(
                number, 1, as_rgb(image.pixels, has_alpha=info.has_alpha, deep=info.depth > 8)
            )


def _gaps(pattern: Path, numbers: Sequence[int]) -> list[str]:
    """A line about the numbers that are missing between the others, if there are any."""
    missing = [
        str(before + 1) if after == before + 2 else f"{before + 1} to {after - 1}"
        for before, after in pairwise(numbers)
        if after > before + 1
    ]
    if not missing:
        return []
    more = f" and {len(missing) - _GAPS_NAMED} more gaps" if len(missing) > _GAPS_NAMED else ""
    named = ", ".join(missing[:_GAPS_NAMED])
    return [f"{pattern}: without {named}{more}; the images around a gap follow each other"]


def as_rgb(pixels: Pixels, *, has_alpha: bool, deep: bool) -> Pixels:
    """Bring pixels (h, w, 1 to 4) to RGB, with alpha or without, of 8 or of 16 bits."""
    if deep and pixels.dtype == np.uint8:
        pixels = pixels.astype(np.uint16) * np.uint16(257)
    elif not deep and pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    alpha = pixels.shape[2] in (2, 4)
    colour = pixels[..., :-1] if alpha else pixels
    if colour.shape[2] == 1:
        colour = colour.repeat(3, axis=2)
    if not has_alpha:
        return cast("Pixels", np.ascontiguousarray(colour))
    opaque = np.full_like(colour[..., :1], np.iinfo(colour.dtype).max)
    last = pixels[..., -1:] if alpha else opaque
    return cast("Pixels", np.concatenate([colour, last], axis=2))


def image_info(
    width: int,
    height: int,
    *,
    bits: int,
    has_alpha: bool,
    frames: int,
    rate: Fraction,
    time_base: Fraction,
) -> ClipInfo:
    """A clip of sRGB images."""
    name = ("rgba" if has_alpha else "rgb") + ("64le" if has_alpha else "48le") * (bits > 8)
    return ClipInfo(
        width=width,
        height=height,
        time_base=time_base,
        rate=rate,
        frames=frames,
        depth=10 if bits > 8 else 8,  # what encoders have that comes nearest to 16
        pixel_format=name if bits > 8 or has_alpha else "rgb24",
        has_alpha=has_alpha,
        aspect=Fraction(1),
        colour=Colour.read(
            color_range=2, primaries=1, transfer=13, matrix=0, rgb=True, size=(width, height)
        ),
    )
