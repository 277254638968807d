"""How many bytes a result will take on disk, before it is made."""

from srcli.media import PictureInfo

__all__ = ["estimated_bytes"]

# Bytes per sample of a result, between smooth pictures and busy ones; see docs/batches.md.
_BYTES_PER_SAMPLE = {
    "png": 0.5,
    "tiff": 0.5,
    "jpeg": 0.12,
    "webp": 0.06,
    "bmp": 1.0,
    "avif": 0.06,
    "heic": 0.06,
    "jxl": 0.06,
}


def estimated_bytes(image_format: str, width: int, height: int, page: PictureInfo) -> int:
    """Bytes that a picture of this size will take, with the depth and channels of a page."""
    return int(width * height * page.channels * page.bits / 8 * _BYTES_PER_SAMPLE[image_format])
