"""Helpers that the encoders share."""

from PIL import Image

from srcli.media.image import DecodedImage, Pixels

__all__ = ["as_image", "dpi_of"]


def as_image(pixels: Pixels) -> Image.Image:
    """The pixels, (h, w, c) uint8, as a Pillow image."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def dpi_of(image: DecodedImage) -> tuple[float, float]:
    """The resolution as Pillow's encoders take it; zeros mean that there is none."""
    return image.metadata.dpi or (0.0, 0.0)
