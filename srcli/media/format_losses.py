"""Losses of an image in a format, and the image without what is lost."""

from collections.abc import Callable
from dataclasses import replace
from enum import Enum

import numpy as np

from srcli.media.exif import resized_exif
from srcli.media.format import Format
from srcli.media.formats import FORMATS
from srcli.media.formats.png.metadata import is_srgb
from srcli.media.image import DecodedImage, Metadata, Pixels
from srcli.media.xmp import resized_xmp

__all__ = ["losses_in", "without_losses"]

_BAND_PIXELS = 1 << 20
_HDR = {16: "PQ", 18: "HLG"}
_USUAL_PRIMARIES, _USUAL_TRANSFERS = (1, 2), (1, 2, 6, 13, 14, 15)  # shown as if they were sRGB


class _Loss(Enum):
    """Something lost, as the user reads it."""

    ALPHA = "alpha flattened onto white: {format} has none"
    DEPTH = "16 bits rounded to 8: {format} holds no more"
    ICC = "ICC profile dropped: {format} cannot hold it"
    EXIF = "EXIF dropped: {format} cannot hold its {exif} bytes"
    FRAMES = "{left_out} more pages or frames left out: only the first is read"
    XMP = "XMP dropped: {format} cannot hold its {xmp} bytes"
    IPTC = "IPTC dropped: {format} cannot hold its {iptc} bytes"
    COMMENTS = "JPEG comments dropped: {format} cannot hold their {comments} bytes"
    TEXTS = "PNG texts dropped: {format} cannot hold their {texts} bytes"
    COLOUR = "colours by gAMA or cHRM dropped: {format} cannot hold them, so it will look different"
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
    metadata = image.metadata
    facts: dict[str, object] = {name: len(blob) for name, blob in metadata.blobs.items()}
    facts |= {"left_out": image.left_out, "format": format.upper()}
    if metadata.cicp:
        primaries, transfer = metadata.cicp[:2]
        facts["cicp"] = f"primaries {primaries}, transfer {_HDR.get(transfer, transfer)}"
    lines = (loss.value.format(**facts) for loss in _losses(image, FORMATS[format]))
    return (*image.dropped, *lines)


def without_losses(image: DecodedImage, format: Format) -> DecodedImage:
    """The image as the format can hold it, its metadata with the true pixel dimensions."""
    losses = _losses(image, format)
    pixels = image.pixels
    if image.has_alpha and not format.alpha:
        pixels = _by_bands(pixels, _flattened) if _Loss.ALPHA in losses else pixels[..., :-1]
    if _Loss.DEPTH in losses:
        pixels = _by_bands(pixels, _rounded)
    old, size = image.metadata, (image.width, image.height)
    metadata = replace(
        old,
        icc=None if _Loss.ICC in losses else old.icc,
        exif=resized_exif(old.exif, *size) if old.exif and _Loss.EXIF not in losses else None,
        xmp=resized_xmp(old.xmp, *size) if old.xmp and _Loss.XMP not in losses else None,
        iptc=None if _Loss.IPTC in losses else old.iptc,
        comments=None if _Loss.COMMENTS in losses else old.comments,
    )
    return replace(image, pixels=pixels, format=format.name, metadata=metadata)


def _losses(image: DecodedImage, format: Format) -> list[_Loss]:
    metadata = image.metadata
    losses: list[_Loss] = []
    if image.left_out:
        losses.append(_Loss.FRAMES)
    if image.has_alpha and not format.alpha and not _is_opaque(image.pixels):
        losses.append(_Loss.ALPHA)
    if image.bits == 16 and not format.deep:
        losses.append(_Loss.DEPTH)
    stays_gray = format.gray and (image.channels == 1 or format.gray_alpha)
    if metadata.icc and ("icc" not in format.keeps or (image.channels < 3 and not stays_gray)):
        losses.append(_Loss.ICC)
    blobs = metadata.blobs
    if blobs.get("iptc", b"") in blobs.get("exif", b""):  # as a TIFF's is
        blobs.pop("iptc", None)
    for name, loss in _BLOBS.items():
        if name in blobs and (name not in format.keeps or len(blobs[name]) > format.max_block):
            losses.append(loss)
    return losses + _lost_colours(metadata, format)


def _lost_colours(metadata: Metadata, format: Format) -> list[_Loss]:
    """Colour description besides a profile; sRGB is not mentioned."""
    losses: list[_Loss] = []
    if metadata.colour and "colour" not in format.keeps and not metadata.icc:
        losses += [] if is_srgb(metadata.colour) else [_Loss.COLOUR]
    if metadata.cicp and "cicp" not in format.keeps:
        primaries, transfer = metadata.cicp[:2]
        usual = primaries in _USUAL_PRIMARIES and transfer in _USUAL_TRANSFERS
        losses += [] if usual else [_Loss.CICP]
    return losses


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
