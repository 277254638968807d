"""Pillow images to pixels, gray or RGB, with or without alpha, and back; and their metadata."""

import io
from dataclasses import replace
from typing import Literal, SupportsFloat

import numpy as np
from PIL import Image, ImageCms

from srcli.media.format import FormatError
from srcli.media.image import DecodedImage, Metadata, Pixels

__all__ = [
    "as_image",
    "channels_of",
    "cicp_of",
    "dpi_of",
    "dpi_of_ratio",
    "dropped_metadata",
    "metadata_of",
    "pixels_of",
    "srgb_profile",
    "to_rgb",
]

_GRAY = ("1", "L", "LA", "La")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV")
_USUAL_DPI = 72.0
_BAND_BYTES = 1 << 22
_SRGB, _NOT_SAID = (1, 13), (2, 2)


def channels_of(image: Image.Image) -> int:
    """Number of channels `pixels_of` will give; reads only the header.

    Raises:
        FormatError: The mode is one that 8 bits a sample cannot hold.
    """
    if image.mode not in _GRAY + _COLOUR:
        raise FormatError(f"its mode {image.mode} is not read; hint: convert it to 8 or 16 bits")
    return (1 if image.mode in _GRAY else 3) + image.has_transparency_data


def metadata_of(image: Image.Image) -> Metadata:
    """Metadata that Pillow found, as stored."""
    dpi: tuple[SupportsFloat, SupportsFloat] | None = image.info.get("dpi")
    if dpi is None and not image.info.get("jfif_unit", 1):
        dpi = dpi_of_ratio(*image.info["jfif_density"])
    return Metadata(
        icc=image.info.get("icc_profile"),
        exif=image.info.get("exif"),
        xmp=image.info.get("xmp"),
        dpi=(float(dpi[0]), float(dpi[1])) if dpi else None,
    )


def cicp_of(primaries: int, transfer: int) -> bytes | None:
    r"""Content of an nclx box, as in `Metadata`; None where that is sRGB, or nothing.

    >>> cicp_of(9, 16), cicp_of(1, 13)
    (b'\t\x10\x00\x01', None)
    """
    if (primaries, transfer) in (_SRGB, _NOT_SAID) or max(primaries, transfer) > 255:
        return None
    return bytes((primaries, transfer, 0, 1))


def dropped_metadata(image: Image.Image) -> int:
    """Number of pages or frames after the one that is read."""
    return max(0, int(getattr(image, "n_frames", 1)) - 1)


def to_rgb(image: Image.Image, metadata: Metadata) -> tuple[Image.Image, Metadata, str]:
    """Bring inks and measured colours to RGB; gray, RGB and palettes pass unchanged.

    CMYK goes to sRGB through the embedded profile, with relative colorimetric intent and black
    point compensation, as printing software does; without a profile by Pillow's plain formula,
    and a profile for anything else than CMYK goes.

    Returns:
        The image, its metadata, and a line if a profile was dropped; empty if none was.
    """
    if image.mode == "LAB":
        source = _profile("LAB")
    elif image.mode == "CMYK" and metadata.icc is not None and metadata.icc[16:20] == b"CMYK":
        source = ImageCms.ImageCmsProfile(io.BytesIO(metadata.icc))
    elif image.mode == "CMYK" and metadata.icc is not None:
        line = "ICC profile dropped: it is not for CMYK, which the image is; converted without one"
        return image, replace(metadata, icc=None), line
    else:
        return image, metadata, ""
    srgb = _profile("sRGB")
    converted = ImageCms.profileToProfile(
        image,
        source,
        srgb,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None, "profileToProfile gives an image unless it works in place"
    return converted, replace(metadata, icc=srgb.tobytes()), ""


def pixels_of(image: Image.Image) -> Pixels:
    """The pixels, (h, w, c) uint8; c as `channels_of`. Key colours become alpha.

    They are copied band by band: Pillow's own export would hold the image twice more.
    """
    channels = channels_of(image)
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    if image.mode != mode:
        image = image.convert(mode)
    pixels = np.empty((image.height, image.width, channels), np.uint8)
    rows = max(1, _BAND_BYTES // (image.width * channels))
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        pixels[top : top + rows] = np.asarray(band).reshape(-1, image.width, channels)
    return pixels


def srgb_profile() -> bytes:
    """An ICC profile of sRGB."""
    return _profile("sRGB").tobytes()


def _profile(space: Literal["LAB", "sRGB"]) -> ImageCms.ImageCmsProfile:
    made = ImageCms.createProfile(space)  # pyright: ignore
    return ImageCms.ImageCmsProfile(made)  # pyright: ignore


def as_image(pixels: Pixels) -> Image.Image:
    """The pixels, (h, w, c) uint8, as a Pillow image."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def dpi_of_ratio(across: float, down: float) -> tuple[float, float] | None:
    """A resolution of pixels that are not square, of which no unit is known: 72 dpi, and more.

    >>> dpi_of_ratio(2, 1), dpi_of_ratio(3, 3)
    ((144.0, 72.0), None)
    """
    if min(across, down) <= 0 or across == down:
        return None
    least = min(across, down)
    return across / least * _USUAL_DPI, down / least * _USUAL_DPI


def dpi_of(image: DecodedImage) -> tuple[float, float]:
    """The resolution as Pillow's encoders take it; zeros mean that there is none."""
    return image.metadata.dpi or (0.0, 0.0)
