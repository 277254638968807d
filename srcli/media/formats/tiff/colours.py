"""Colours of a TIFF whose samples are laid out here: gray, RGB, inks and Lab, and what is alpha."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srcli.media.format import FormatError, Readable
from srcli.media.formats.tiff.compression import PILLOWS, PLAIN, UNPACKED, WEBP, name_of
from srcli.media.formats.tiff.samples import (
    UNSIGNED,
    Layout,
    Samples,
    decode_samples,
    layout_of,
    unread_kind,
)
from srcli.media.ifd import Directory
from srcli.media.image import Metadata, Pixels
from srcli.media.pillow_image import pixels_of, srgb_profile, to_rgb
from srcli.media.tiff_tags import Tag

__all__ = ["Colouring", "colouring_of", "decode_colours", "depth_of", "is_plain"]

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INKS, _YCBCR = 0, 1, 2, 3, 5, 6
_CIE_LAB, _ICC_LAB = 8, 9
_COLOURS = {
    _WHITE_IS_ZERO: 1,
    _BLACK_IS_ZERO: 1,
    _RGB: 3,
    _PALETTE: 1,
    _INKS: 4,
    _YCBCR: 3,
    _CIE_LAB: 3,
    _ICC_LAB: 3,
}
_SPACES = {
    4: "a transparency mask",
    10: "ITU Lab",
    32803: "a sensor's colour filter",
    32844: "LogLuv",
    32845: "LogLuv",
    34892: "a sensor's linear light",
}
_PREMULTIPLIED, _STRAIGHT = 1, 2
_CMYK = 1  # of InkSet
_FULL = 65535
_FEW = 0.01  # of the samples: what floats may have outside 0 to 1, in lights and shadows
_BAND_PIXELS = 1 << 18
_WHITE_D50 = (0.9642, 1.0, 0.8249)
_SRGB_OF_D50 = (  # of XYZ to linear sRGB, both relative to their whites (Bradford)
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)


@dataclass(frozen=True)
class Colouring:
    """The meaning of a TIFF's samples.

    Attributes:
        space: PhotometricInterpretation.
        colours: Samples of colour, which come first.
        alpha: The place of the alpha among the samples; None if there is none.
        premultiplied: Whether colour was multiplied by alpha.
        left_out: Number of samples that are neither.
    """

    space: int
    colours: int
    alpha: int | None
    premultiplied: bool
    left_out: int

    @property
    def channels(self) -> int:
        """Of the pixels that come of them."""
        return (1 if self.space <= _BLACK_IS_ZERO else 3) + (self.alpha is not None)


def colouring_of(main: Directory) -> Colouring:
    """What a page's samples mean.

    Raises:
        FormatError: Their colours are of a kind that is not read.
    """
    space = main.integer(Tag.PHOTOMETRIC, _BLACK_IS_ZERO)
    if space not in _COLOURS:
        raise unread_kind(_SPACES.get(space, f"colour space {space}"))
    if space == _INKS and main.integer(Tag.INK_SET, _CMYK) != _CMYK:
        raise unread_kind("inks other than CMYK")
    colours, samples = _COLOURS[space], main.integer(Tag.SAMPLES_PER_PIXEL, 1)
    if samples < colours:
        raise FormatError(f"its {samples} samples a pixel are too few for its colours")
    count = samples - colours
    untold = (0 if space == _INKS else _STRAIGHT,)  # writers that do not say mean alpha
    extra = main.integers(Tag.EXTRA_SAMPLES, untold)[-count:] if count else ()
    found = [at for at, kind in enumerate(extra) if kind in (_PREMULTIPLIED, _STRAIGHT)]
    alpha = colours + found[0] if found else None
    premultiplied = bool(found) and extra[found[0]] == _PREMULTIPLIED
    if premultiplied and space == _WHITE_IS_ZERO:
        raise unread_kind("white is 0, with premultiplied alpha")
    return Colouring(space, colours, alpha, premultiplied, count - bool(found))


def is_plain(main: Directory) -> bool:
    """Tell if a page is of a kind that Pillow reads, and reads right.

    Raises:
        FormatError: It is of a kind that is read neither by Pillow nor here.
    """
    colouring = colouring_of(main)
    bits = main.integers(Tag.BITS_PER_SAMPLE, (1,))
    kinds = set(main.integers(Tag.SAMPLE_FORMAT, (UNSIGNED,)))
    compression = main.integer(Tag.COMPRESSION, PLAIN)
    samples = main.integer(Tag.SAMPLES_PER_PIXEL, 1)
    planar = samples > 1 and main.integer(Tag.PLANAR_CONFIGURATION, 1) == 2
    further = samples - colouring.colours
    usual = not further or (colouring.space == _RGB and further == 1 and not planar)
    if colouring.space in (_PALETTE, _YCBCR) or compression not in UNPACKED:
        _require_pillows(main, bits, usual=usual)
        return True
    whole = set(bits) == {8} or (samples == 1 and bits in ((1,), (2,), (4,)))
    big_other = main.big and main.order == ">"  # of which Pillow finds no directory
    lab = colouring.space in (_CIE_LAB, _ICC_LAB)  # Pillow's are off by up to 8 of 255
    ours = big_other or lab or compression == WEBP
    return whole and usual and kinds == {UNSIGNED} and not ours


def _require_pillows(main: Directory, bits: tuple[int, ...], *, usual: bool) -> None:
    """Check that what only Pillow could read is of a kind that it reads right."""
    compression, space = main.integer(Tag.COMPRESSION, PLAIN), main.integer(Tag.PHOTOMETRIC, 1)
    if compression not in (*UNPACKED, *PILLOWS):
        raise unread_kind(name_of(compression))
    if space == _YCBCR and compression == PLAIN:  # libtiff converts those that it unpacks
        if main.integers(Tag.YCBCR_SUBSAMPLING, (2, 2)) != (1, 1):
            raise unread_kind("uncompressed YCbCr of fewer colours than pixels")
        black = Tag.REFERENCE_BLACK_WHITE
        if main.ratio(black) or main.integer(black, 0):
            raise unread_kind("uncompressed YCbCr of limited range")
    name = {_PALETTE: "a palette", _YCBCR: "YCbCr"}.get(space, name_of(compression))
    if max(bits, default=8) > 8:
        raise unread_kind(f"{name}, {max(bits)} bits")
    if not usual and space != _PALETTE:
        raise unread_kind(f"{name} with further channels")
    if main.big and main.order == ">":
        raise unread_kind(f"{name} in a big-endian BigTIFF")


def decode_colours(
    stream: Readable, main: Directory, metadata: Metadata
) -> tuple[Pixels, Metadata, tuple[str, ...]]:
    """Decode a page that is not plain.

    Returns:
        The pixels, (h, w, c), alpha straight; the metadata, with the pixels' profile;
        and a line for each thing that changed on the way.
    """
    layout, colouring = layout_of(main), colouring_of(main)
    if colouring.space in (_CIE_LAB, _ICC_LAB) and (layout.floats or layout.bits not in (8, 16)):
        raise unread_kind(f"Lab of {layout.bits} bits")
    wanted = tuple(range(colouring.colours))
    if colouring.alpha is not None:
        wanted += (colouring.alpha,)
    samples = decode_samples(stream, layout, wanted)
    stored, lines = _whole_numbers(samples, layout)
    if colouring.premultiplied:
        _divide_by_alpha(stored)
    if colouring.space == _WHITE_IS_ZERO:
        np.subtract(np.iinfo(stored.dtype).max, stored[..., 0], out=stored[..., 0])
    if colouring.space == _INKS:
        stored, metadata, line = _rgb_of_inks(stored, metadata)
        lines = (*lines, *([line] if line else []))
    elif colouring.space in (_CIE_LAB, _ICC_LAB):
        stored = _rgb_of_lab(stored, icc=colouring.space == _ICC_LAB)
        metadata = replace(metadata, icc=srgb_profile())
    return stored, metadata, lines


def depth_of(main: Directory, metadata: Metadata) -> int:
    """Bits of the pixels that `decode_colours` gives."""
    layout = layout_of(main)
    by_profile = main.integer(Tag.PHOTOMETRIC, 1) == _INKS and _has_ink_profile(metadata)
    return 8 if by_profile or (layout.bits <= 8 and not layout.floats) else 16


def _whole_numbers(samples: Samples, layout: Layout) -> tuple[Pixels, tuple[str, ...]]:
    """Floats as 16 bits, and a line for what is lost so.

    Raises:
        FormatError: Floats are not those of an image from 0 to 1.
    """
    if samples.dtype != np.float32:
        lines = (f"{layout.bits} bits read as 16",) if layout.bits > 16 else ()
        return samples, lines
    outside, least, most = 0, np.inf, -np.inf
    result = np.empty(samples.shape, np.uint16)
    for row, target in zip(samples, result, strict=True):
        outside += row.size - np.count_nonzero((row >= 0) & (row <= 1))
        finite = row[np.isfinite(row)]
        if finite.size:
            least, most = min(least, float(finite.min())), max(most, float(finite.max()))
        clipped = np.clip(np.nan_to_num(row, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
        target[...] = np.rint(clipped * _FULL)
    span = f"{least:g} to {most:g}" if least <= most else "nothing finite"
    if outside > _FEW * samples.size:
        raise FormatError(
            f"its floats are {span}, read are 0 to 1: scale them, or convert it to 16 bits"
        )
    line = f"floats of {layout.bits} bits read as 16 bits"
    if outside:
        line += f"; they are {span}, and {outside} samples beyond 0 to 1 were clipped"
    return result, (line,)


def _divide_by_alpha(pixels: Pixels) -> None:
    """Make premultiplied colour straight in place, rounded, a row at a time."""
    full = int(np.iinfo(pixels.dtype).max)
    for row in pixels:
        alpha = row[:, -1:].astype(np.uint32)
        colour = (row[:, :-1] * np.uint32(full) + alpha // 2) // np.maximum(alpha, 1)
        row[:, :-1] = np.minimum(colour, full)


def _has_ink_profile(metadata: Metadata) -> bool:
    return metadata.icc is not None and metadata.icc[16:20] == b"CMYK"


def _rgb_of_inks(stored: Pixels, metadata: Metadata) -> tuple[Pixels, Metadata, str]:
    """CMYK as `to_rgb` brings it to RGB, alpha kept; without a profile also at 16 bits."""
    line = ""
    if stored.itemsize == 2 and not _has_ink_profile(metadata):
        rgb = np.empty((*stored.shape[:2], stored.shape[2] - 1), np.uint16)
        for number, row in enumerate(stored):
            paper = _FULL - row[:, :4].astype(np.uint32)
            rgb[number, :, :3] = (paper[:, :3] * paper[:, 3:] + _FULL // 2) // _FULL
            rgb[number, :, 3:] = row[:, 4:]
        if metadata.icc is None:
            return rgb, metadata, line
        line = "ICC profile dropped: it is not for CMYK, which the image is"
        return rgb, replace(metadata, icc=None), line + "; converted without one"
    if stored.itemsize == 2:
        line = "16 bits of ink read as 8: profiles of inks are applied to no more"
        stored = ((stored.astype(np.uint32) + 128) // 257).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(stored[..., :4]), "CMYK")
    rgb_image, metadata, dropped = to_rgb(image, metadata)
    pixels = np.empty((*stored.shape[:2], 3 + stored.shape[2] - 4), np.uint8)
    pixels[..., :3], pixels[..., 3:] = pixels_of(rgb_image), stored[..., 4:]
    return pixels, metadata, dropped or line


def _rgb_of_lab(stored: Pixels, *, icc: bool) -> Pixels:
    """Lab of D50 as sRGB, alpha kept, rows at a time; colours that sRGB lacks are clipped.

    CIE's a and b are signed; ICC's are offset, and 65280 of 16 bits is what 255 is of 8.
    """
    deep = stored.itemsize == 2
    full, unit = (_FULL, 256.0) if deep else (255, 1.0)
    most = 65280.0 if deep and icc else float(full)
    result = stored.copy()
    many = max(1, _BAND_PIXELS // stored.shape[1])
    for top in range(0, len(stored), many):
        band = stored[top : top + many, :, :3].astype(np.float64)
        lightness, axes = band[..., :1] * (100 / most), band[..., 1:]
        if not icc:
            axes = np.where(axes > full // 2, axes - (full + 1), axes) / unit
        else:
            axes = axes / unit - 128
        rgb = _srgb_of_lab(np.concatenate([lightness, axes], axis=2))
        result[top : top + many, :, :3] = np.rint(np.clip(rgb, 0, 1) * full)
    return result


def _srgb_of_lab(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """L 0 to 100, a and b, as sRGB of 0 to 1."""
    middle = (lab[..., 0] + 16) / 116
    roots = np.stack([middle + lab[..., 1] / 500, middle, middle - lab[..., 2] / 200], axis=-1)
    limit = 6 / 29
    xyz = np.where(roots > limit, roots**3, 3 * limit**2 * (roots - 4 / 29)) * _WHITE_D50
    light = np.clip(xyz @ np.array(_SRGB_OF_D50).T, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
