"""Write animated GIF, WebP and PNG, through imageio, with what goes beside the frames."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import imageio.v3 as iio
import numpy as np
from imageio.plugins.pillow import PillowPlugin
from PIL import PngImagePlugin

from srcli.atomic import atomic_file
from srcli.errors import ImageTooLarge
from srcli.media.format_losses import losses_in, without_losses
from srcli.media.formats import FORMATS, format_of_name
from srcli.media.image import DecodedImage, Metadata, Pixels
from srcli.media.video.animation_read import names_of

__all__ = ["AnimationWriter", "require_memory"]

_MEGAPIXELS = 4096  # of all frames together: an animation is written from memory
_COPIES = {".gif": 1.25, ".webp": 1.0, ".png": 2.0}  # with what Pillow keeps of each frame
_MOST_SIDE = {".gif": 65535, ".webp": 16383}
_FREE_SHARE = 0.8  # of the free memory
_TO_BACKGROUND = 2  # a disposal of GIF
_MOST_TIMES = {".gif": 65536, ".webp": 65535}  # that an animation can be told to play
_HUNDREDTH = 10  # ms, in which GIF counts
_LEAST = 20  # ms of a GIF's frame: players take less for unsaid, and wait 100
_MOST = 655350  # ms of a GIF's frame
_HALF = 128
_OPAQUE = np.array([0, 0, 0, 255], np.uint8)


def require_memory(path: Path, count: int, size: tuple[int, int], free: int) -> None:
    """Check that an animation can be written, before it is made.

    Args:
        path: Its name.
        count: Of its frames.
        size: (width, height) of each, px.
        free: Bytes of memory that may be had.

    Raises:
        ImageTooLarge: The frames are too large for the format, or too many for memory.
    """
    width, height = size
    frames = f"{path}: {count} frames of {width}x{height}"
    clip = f"make a clip of it, with -o {path.with_suffix('.mp4').name}"
    side = _MOST_SIDE.get(path.suffix.lower(), max(size))
    if max(size) > side:
        raise ImageTooLarge(f"{frames}, limit of its format {side} a side; {clip}")
    if count * width * height > _MEGAPIXELS * 1e6:
        raise ImageTooLarge(f"{frames}, limit {_MEGAPIXELS} megapixels in all; {clip}")
    needed = count * width * height * 4 * _COPIES[path.suffix.lower()]
    if needed > free * _FREE_SHARE:
        raise ImageTooLarge(
            f"{frames} take {needed / 1e9:.2g} GB of memory, {free / 1e9:.2g} GB are free; {clip}"
        )


class AnimationWriter:
    """Gathers the frames of an animation, and writes them all at once.

    Args:
        path: Final name; its suffix says the format.
        loop: How often it is played in all; 0 forever.
        metadata: What goes beside the frames, as far as the format can hold it.
    """

    def __init__(self, path: Path, loop: int, metadata: Metadata) -> None:
        self._path = path
        self._suffix = path.suffix.lower()
        self._metadata = metadata
        self._options: dict[str, Any] = {}
        times = min(loop, _MOST_TIMES.get(self._suffix, loop))
        if self._suffix != ".gif":
            self._options["loop"] = times
        elif times != 1:  # a GIF says how many more times, and nothing for once
            self._options["loop"] = max(times - 1, 0)
        self._frames: list[Pixels] = []
        self._cut = False

    def add(self, pixels: Pixels) -> None:
        """Take the next frame, (h, w, 4) uint8."""
        if self._suffix == ".gif":
            alpha = pixels[..., 3]
            self._cut = self._cut or bool(((alpha > 0) & (alpha < _OPAQUE[3])).any())
            pixels = _cut_out(pixels)
        self._frames.append(cast("Pixels", np.ascontiguousarray(pixels)))

    def finish(self, durations: Sequence[int]) -> list[str]:
        """Write the file.

        Args:
            durations: For how long each frame is shown, ms.

        Returns:
            What the format could not hold, one line each.
        """
        stored, losses = self._metadata_options()
        if self._suffix == ".gif":
            durations, moved = _in_hundredths(durations)
            if moved:
                losses.append(
                    "GIF counts hundredths of a second, 2 for a frame at least: frames change up "
                    f"to {moved} ms early or late"
                )
        # Of a single frame Pillow wants its duration, not a list of them.
        duration = list(durations) if len(durations) > 1 else durations[0]
        options: dict[str, Any] = {**self._options, **stored, "duration": duration}
        if self._suffix == ".webp":
            options["lossless"] = True
        if self._suffix == ".gif":
            options["disposal"] = _TO_BACKGROUND  # or the frames before would shine through
        made = io.BytesIO()
        with iio.imopen(made, "w", plugin="pillow", extension=self._suffix) as file:
            assert isinstance(file, PillowPlugin)
            for pixels in self._frames:  # as they lie in memory: a stack would hold them twice
                file.write(pixels, is_batch=False, **options)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(self._path) as stream:
            stream.write(made.getbuffer())
        return [f"{self._path}: {loss}" for loss in losses]

    def _metadata_options(self) -> tuple[dict[str, Any], list[str]]:
        """The metadata as Pillow takes them; and what is lost."""
        known = self._metadata
        if self._suffix == ".gif":
            losses = [f"{name} dropped: GIF cannot hold it" for name in names_of(known)]
            if self._cut:
                losses.append("GIF has no half transparency; edges are cut")
            return {}, losses
        name = format_of_name(self._path)
        assert name is not None
        image = DecodedImage(self._frames[0], name, known)
        metadata = without_losses(image, FORMATS[name])[0].metadata
        blobs = {"icc_profile": metadata.icc, "exif": metadata.exif}
        options: dict[str, Any] = {key: blob for key, blob in blobs.items() if blob}
        if name == "webp" and metadata.xmp:
            options["xmp"] = metadata.xmp
        if name == "png":
            texts = PngImagePlugin.PngInfo()
            if metadata.xmp:
                texts.add_itxt("XML:com.adobe.xmp", metadata.xmp)
            options |= {"pnginfo": texts, "dpi": metadata.dpi}
        return options, list(losses_in(image, name))


def _in_hundredths(durations: Sequence[int]) -> tuple[list[int], int]:
    """Durations (ms) that GIF can hold, and by how many ms the end of a frame moves at most.

    The running ends are rounded, not each duration, so that the whole keeps its length.

    >>> _in_hundredths([33, 33, 33])
    ([30, 40, 30], 4)
    """
    held: list[int] = []
    wanted = end = moved = 0
    for duration in durations:
        wanted += duration
        rounded = (wanted + _HUNDREDTH // 2) // _HUNDREDTH * _HUNDREDTH
        held.append(min(max(rounded - end, _LEAST), _MOST))
        end += held[-1]
        moved = max(moved, abs(end - wanted))
    return held, moved


def _cut_out(pixels: Pixels) -> Pixels:
    """A frame (h, w, 4) whose pixels are all there or not at all, as GIF needs them."""
    there = pixels[..., 3:] >= _HALF
    return np.where(there, pixels | _OPAQUE, 0).astype(np.uint8)
