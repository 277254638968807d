"""Losses of an image in a format, and the image without what is lost."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum

import numpy as np

from srcli.media.exif import resized_exif
from srcli.media.format import Format
from srcli.media.formats import FORMATS
from srcli.media.formats.png.metadata import colours_of_chunks, is_srgb
from srcli.media.icc import (
    Colours,
    colours_of_cicp,
    gray_profile,
    matrix_profile,
    rgb_profile_of_gray,
)
from srcli.media.image import DecodedImage, Metadata, Pixels
from srcli.media.xmp import resized_xmp

__all__ = ["HDR_TRANSFERS", "losses_in", "rgb_profile", "without_losses"]

_SQUARE = 0.01  # of 1: writers round
_BAND_PIXELS = 1 << 20
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Transfer curves of HDR by their H.273 numbers."""
_USUAL_PRIMARIES, _USUAL_TRANSFERS = (1, 2), (1, 2, 6, 13, 14, 15)  # shown as if they were sRGB


class _Loss(Enum):
    """Something lost, as the user reads it."""

    ALPHA = "alpha flattened onto white: {format} has none"
    DEPTH = "{bits} bits rounded to 8: {format} holds no more"
    LOW_BITS = "{bits} bits rounded to {most_bits}: {format} holds no more"
    ICC = "ICC profile dropped: {format} cannot hold it"
    GRAY_ICC = "gray profile made one for RGB of the same curve: {format} takes no gray one here"
    EXIF = "EXIF dropped: {format} cannot hold its {exif} bytes"
    ASPECT = "pixels of {aspect}: {format} cannot state it, so they will look square"
    FRAMES = "{left_out} more pages or frames left out: only the first is read"
    XMP = "XMP dropped: {format} cannot hold its {xmp} bytes"
    IPTC = "IPTC dropped: {format} cannot hold its {iptc} bytes"
    COMMENTS = "JPEG comments dropped: {format} cannot hold their {comments} bytes"
    TEXTS = "PNG texts dropped: {format} cannot hold their {texts} bytes"
    COLOUR = (
        "colours by gAMA or cHRM dropped: they make no colour profile, so it may look different"
    )
    CICP = "colours of {cicp} dropped: {format} cannot state them, so it will look wrong"


_BLOBS = {
    "exif": _Loss.EXIF,
    "xmp": _Loss.XMP,
    "iptc": _Loss.IPTC,
    "comments": _Loss.COMMENTS,
    "texts": _Loss.TEXTS,
}


def losses_in(image: DecodedImage, format: str) -> tuple[str, ...]:
    """List what would be lost if the image were written in a format, a line each; empty if nothing.

    What was lost when it was read comes first. An alpha channel that is opaque everywhere is no
    loss, and neither is a missing field.
    """
    return _lines(image, format, _losses(image, FORMATS[format]))


def _lines(image: DecodedImage, format: str, losses: Sequence[_Loss]) -> tuple[str, ...]:
    """Losses in words, after what was lost when the image was read."""
    metadata = image.metadata
    facts: dict[str, object] = {name: len(blob) for name, blob in metadata.blobs.items()}
    if metadata.dpi:
        facts["aspect"] = f"aspect {metadata.dpi[1] / metadata.dpi[0]:.3g}:1"
    facts |= {"bits": image.meant_bits, "most_bits": FORMATS[format].most_bits}
    facts |= {"left_out": image.left_out, "format": format.upper()}
    if metadata.cicp:
        primaries, transfer = metadata.cicp[:2]
        facts["cicp"] = f"primaries {primaries}, transfer {HDR_TRANSFERS.get(transfer, transfer)}"
    return (*image.dropped, *(loss.value.format(**facts) for loss in losses))


def without_losses(image: DecodedImage, format: Format) -> tuple[DecodedImage, tuple[str, ...]]:
    """Make of an image what a format can hold, its metadata with the true pixel dimensions.

    Returns:
        The image, and what is lost, as `losses_in` lists it.
    """
    losses = _losses(image, format)
    pixels = image.pixels
    if image.has_alpha and not format.alpha:
        pixels = _by_bands(pixels, _flattened) if _Loss.ALPHA in losses else pixels[..., :-1]
    if _Loss.DEPTH in losses:
        pixels = _by_bands(pixels, _rounded)
    old, size = image.metadata, (image.width, image.height)
    metadata = replace(
        old,
        icc=None if _Loss.ICC in losses else _profile_for(image, format),
        exif=resized_exif(old.exif, *size) if old.exif and _Loss.EXIF not in losses else None,
        xmp=resized_xmp(old.xmp, *size) if old.xmp and _Loss.XMP not in losses else None,
        iptc=None if _Loss.IPTC in losses else old.iptc,
        comments=None if _Loss.COMMENTS in losses else old.comments,
    )
    fitting = replace(image, pixels=pixels, format=format.name, metadata=metadata)
    return fitting, _lines(image, format.name, losses)


def _losses(image: DecodedImage, format: Format) -> list[_Loss]:
    metadata = image.metadata
    losses: list[_Loss] = []
    if image.left_out:
        losses.append(_Loss.FRAMES)
    if image.has_alpha and not format.alpha and not _is_opaque(image.pixels):
        losses.append(_Loss.ALPHA)
    if image.bits == 16 and not format.deep:
        losses.append(_Loss.DEPTH)
    elif image.bits == 16 and image.meant_bits > format.most_bits:
        losses.append(_Loss.LOW_BITS)
    losses += _lost_profile(image, format)
    if metadata.dpi and "dpi" not in format.keeps and not _is_square(metadata.dpi):
        losses.append(_Loss.ASPECT)
    blobs = metadata.blobs
    if blobs.get("iptc", b"") in blobs.get("exif", b""):  # as a TIFF's is
        blobs.pop("iptc", None)
    for name, loss in _BLOBS.items():
        if name in blobs and (name not in format.keeps or len(blobs[name]) > format.max_block):
            losses.append(loss)
    return losses + _lost_colours(image, format)


def _lost_profile(image: DecodedImage, format: Format) -> list[_Loss]:
    if image.metadata.icc:
        profile = _profile_for(image, format)
        if profile is None or len(profile) > format.max_block:
            return [_Loss.ICC]
        if profile != image.metadata.icc:
            return [_Loss.GRAY_ICC]
    return []


def _stays_gray(image: DecodedImage, format: Format) -> bool:
    """Tell if the image has one channel of colour, and the format takes a profile for that."""
    gray = format.gray_profile and (image.channels == 1 or format.gray_alpha)
    return image.channels < 3 and format.gray and gray


def _profile_for(image: DecodedImage, format: Format) -> bytes | None:
    """The profile that goes into a file: the image's, or one that says what its numbers say."""
    metadata = image.metadata
    if "icc" not in format.keeps:
        return None
    if metadata.icc is None:
        colours = _unstated(metadata, format)
        if colours is None:
            return None
        return gray_profile(colours) if _stays_gray(image, format) else matrix_profile(colours)
    if metadata.icc[16:20] != b"GRAY" or _stays_gray(image, format):
        return metadata.icc
    return rgb_profile_of_gray(metadata.icc)


def _unstated(metadata: Metadata, format: Format) -> Colours | None:
    """The colours that numbers state, where they are not sRGB and the format has no numbers."""
    if metadata.cicp:
        usual = "cicp" in format.keeps or _is_usual(metadata.cicp)
        return None if usual else colours_of_cicp(metadata.cicp)
    if metadata.colour and "colour" not in format.keeps and not is_srgb(metadata.colour):
        return colours_of_chunks(metadata.colour)
    return None


def rgb_profile(metadata: Metadata) -> bytes | None:
    """A profile that shows an image as RGB, gray too; None if it is sRGB, or no profile says it."""
    if metadata.icc is not None:
        gray = metadata.icc[16:20] == b"GRAY"
        return rgb_profile_of_gray(metadata.icc) if gray else metadata.icc
    colours = None
    if metadata.cicp:
        colours = None if _is_usual(metadata.cicp) else colours_of_cicp(metadata.cicp)
    elif metadata.colour and not is_srgb(metadata.colour):
        colours = colours_of_chunks(metadata.colour)
    return matrix_profile(colours) if colours else None


def _is_usual(cicp: bytes) -> bool:
    return cicp[0] in _USUAL_PRIMARIES and cicp[1] in _USUAL_TRANSFERS


def _lost_colours(image: DecodedImage, format: Format) -> list[_Loss]:
    """Colour description besides a profile; sRGB is not mentioned."""
    losses: list[_Loss] = []
    metadata = image.metadata
    if _profile_for(image, format):
        return losses
    if metadata.colour and "colour" not in format.keeps and not metadata.icc:
        losses += [] if is_srgb(metadata.colour) else [_Loss.COLOUR]
    if metadata.cicp and "cicp" not in format.keeps:
        losses += [] if _is_usual(metadata.cicp) else [_Loss.CICP]
    return losses


def _is_square(dpi: tuple[float, float]) -> bool:
    return abs(dpi[0] / dpi[1] - 1) < _SQUARE


def _is_opaque(pixels: Pixels) -> bool:
    return bool(pixels[..., -1].min() == np.iinfo(pixels.dtype).max)


def _by_bands(pixels: Pixels, change: Callable[[Pixels], Pixels]) -> Pixels:
    """Change the pixels a band at a time: whole, the wide integers in between would be 4 times."""
    rows = max(1, _BAND_PIXELS // pixels.shape[1])
    first = change(pixels[:1])
    shape = (*pixels.shape[:2], first.shape[2])
    result = np.empty(shape, np.uint8) if first.itemsize == 1 else np.empty(shape, np.uint16)
    for top in range(0, len(pixels), rows):
        result[top : top + rows] = change(pixels[top : top + rows])
    return result


def _flattened(band: Pixels) -> Pixels:
    """Straight alpha over white, rounded: (h, w, c + 1) to (h, w, c)."""
    full = int(np.iinfo(band.dtype).max)
    colour, alpha = band[..., :-1].astype(np.uint32), band[..., -1:].astype(np.uint32)
    blend = (colour * alpha + full * (full - alpha) + full // 2) // full
    return blend.astype(np.uint8) if full == 255 else blend.astype(np.uint16)


def _rounded(band: Pixels) -> Pixels:
    """16 bits to the nearest of 8: 65535 = 255 · 257."""
    return ((band.astype(np.uint32) + 128) // 257).astype(np.uint8)
