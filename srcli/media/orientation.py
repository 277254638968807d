"""Bake the orientation into the pixels and make the metadata say so."""

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from srcli.media.exif import exif_orientation, reset_exif_orientation
from srcli.media.image import DecodedImage, Metadata
from srcli.media.xmp import reset_xmp_orientation, without_absent_parts, xmp_orientation

__all__ = ["Orientation", "apply_orientation", "orientation_by_number", "orientation_of"]

_EXIF_PREFIX = b"Exif\0\0"
_MAX_DPI = 65535  # of JPEG
_SPACE_NAMES = {b"GRAY": "gray", b"RGB ": "RGB", b"CMYK": "CMYK", b"Lab ": "Lab", b"XYZ ": "XYZ"}
_SPACES = {1: b"GRAY", 2: b"GRAY", 3: b"RGB ", 4: b"RGB "}


@dataclass(frozen=True)
class Orientation:
    """Transformation that makes stored pixels upright: swap rows and columns, then mirror."""

    swap: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The upright (width, height) of an image stored with these."""
        return (height, width) if self.swap else (width, height)

    def apply(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """The upright pixels, (h, w, c) contiguous; the very same array if nothing turns."""
        if self.swap:
            pixels = pixels.swapaxes(0, 1)
        rows = slice(None, None, -1 if self.flip_rows else 1)
        columns = slice(None, None, -1 if self.flip_columns else 1)
        turned = pixels[rows, columns]
        return turned if turned.flags.c_contiguous else turned.copy()


_TURNS = {
    1: Orientation(),
    2: Orientation(flip_columns=True),
    3: Orientation(flip_rows=True, flip_columns=True),
    4: Orientation(flip_rows=True),
    5: Orientation(swap=True),
    6: Orientation(swap=True, flip_columns=True),
    7: Orientation(swap=True, flip_rows=True, flip_columns=True),
    8: Orientation(swap=True, flip_rows=True),
}


def orientation_of(metadata: Metadata) -> Orientation:
    """The turn that EXIF asks for, or XMP where EXIF is silent."""
    block = _bare(metadata.exif)
    return _TURNS[exif_orientation(block) or xmp_orientation(metadata.xmp) or 1]


def orientation_by_number(number: int) -> Orientation:
    """The turn for an EXIF orientation, 1 to 8; none for any other number."""
    return _TURNS.get(number, _TURNS[1])


def apply_orientation(
    image: DecodedImage, *, turned: bool = False, stated: int | None = None
) -> DecodedImage:
    """An image as decoded, made upright, with only the metadata that are true of it.

    The orientation is baked in and reset, the thumbnail and a resolution that cannot be are left
    out; so are, with a line each, a damaged EXIF block and a profile of another colour space than
    the pixels'.

    Args:
        image: Its metadata as the file stores them.
        turned: The decoder has already turned the pixels.
        stated: The orientation, 1 to 8, that a container states which leaves EXIF and XMP no say
            in it (AVIF).
    """
    stored = image.metadata
    block = _bare(stored.exif)
    dropped = list(image.dropped)
    icc, space = stored.icc, _SPACES[image.channels]
    if icc is not None and icc[16:20] != space:
        kind = _SPACE_NAMES.get(icc[16:20], "other colours")
        dropped.append(f"ICC profile dropped: it is for {kind}, the image is {_SPACE_NAMES[space]}")
        icc = None
    exif = reset_exif_orientation(block) if block else None
    if block and exif is None:
        dropped.append("EXIF dropped: damaged")
    dpi = stored.dpi
    if dpi is not None and not all(1 <= value <= _MAX_DPI for value in dpi):
        dpi = None
    turn = orientation_of(stored) if stated is None else orientation_by_number(stated)
    if dpi is not None and turn.swap:
        dpi = (dpi[1], dpi[0])
    return replace(
        image,
        pixels=image.pixels if turned else turn.apply(image.pixels),
        metadata=replace(
            stored,
            icc=icc,
            exif=exif,
            xmp=without_absent_parts(reset_xmp_orientation(stored.xmp)) if stored.xmp else None,
            dpi=dpi,
        ),
        dropped=tuple(dropped),
    )


def _bare(block: bytes | None) -> bytes | None:
    return block.removeprefix(_EXIF_PREFIX) if block else None
