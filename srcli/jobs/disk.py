"""Estimate the bytes of a result on disk, before it is made.

How well an image packs is told by its input: bytes of the file for each byte of samples, against
what is usual for its format. The usual values and the rates are measured: `docs/disk_rates.py`.
"""

import math

from srcli.media import ImageInfo

__all__ = ["estimated_bytes"]

# Bytes a sample of 8 bits in photographs: as inputs (JPEG of quality 90), and as x4 results.
_USUAL = {
    "png": 0.5,
    "tiff": 0.55,
    "jpeg": 0.11,
    "webp": 0.05,
    "avif": 0.06,
    "heic": 0.1,
    "jxl": 0.1,
}
_RATES = {
    "png": 0.34,
    "tiff": 0.43,
    "jpeg": 0.085,
    "webp": 0.045,
    "avif": 0.06,
    "heic": 0.12,
    "jxl": 0.12,
}
_LOSSLESS_WEBP = 0.35
_UNPACKED = 0.95  # bytes a sample byte; from here on the input is not packed, and tells nothing
_LOW_BYTE = 0.95  # of 16 bits the lower one is noise
_NETWORK = 4.0  # the scale at which the rates are measured
_LEAST, _MOST = 0.2, 2.0  # even a drawing has some ripples once it is enlarged


def estimated_bytes(
    image_format: str, width: int, height: int, page: ImageInfo, file_share: int
) -> int:
    """Bytes that a result will take.

    Args:
        image_format: Of the result.
        width: Of the result, px.
        height: Likewise.
        page: The input.
        file_share: Bytes of the input's file, or of this page's part of it.
    """
    samples = width * height * page.channels
    if image_format == "bmp":
        return samples
    rate = _LOSSLESS_WEBP if image_format == "webp" and page.lossless else _RATES[image_format]
    scale = math.sqrt(width * height / (page.width * page.height))
    sharper = (_NETWORK / min(max(scale, 1.0), _NETWORK)) ** (1 / 3)  # the less it was enlarged
    rate = min(rate * sharper * _detail(page, file_share), 1.0)
    low_byte = _LOW_BYTE if page.bits == 16 and image_format in ("png", "tiff") else 0.0
    return math.ceil(samples * (rate + low_byte))


def _detail(page: ImageInfo, file_share: int) -> float:
    """Factor by which the content compresses worse than usual."""
    packed = file_share / (page.width * page.height * page.channels * page.bits / 8)
    usual = _LOSSLESS_WEBP if page.lossless else _USUAL.get(page.format, 1.0)
    if page.bits == 16:
        packed = 2 * packed - _LOW_BYTE  # of the upper byte
    if packed >= _UNPACKED or page.format not in _USUAL:
        return 1.0
    return min(max(packed / usual, _LEAST), _MOST)
