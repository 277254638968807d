"""Estimate the bytes of a result on disk, before it is made.

How well an image packs is told by its input: bytes of the file for each byte of samples, against
what is usual for its format; `media.format.DiskRate` has the usual values.
"""

import math

from srcli.media import FORMATS, ImageInfo

__all__ = ["estimated_bytes"]

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
    format = FORMATS[image_format]
    usual = format.disk_rate
    if usual is None:
        return samples
    rate = usual.lossless if page.lossless and usual.lossless else usual.result
    scale = math.sqrt(width * height / (page.width * page.height))
    sharper = (_NETWORK / min(max(scale, 1.0), _NETWORK)) ** (1 / 3)  # the less it was enlarged
    rate = min(rate * sharper * _detail(page, file_share), 1.0)
    low_byte = _LOW_BYTE if page.bits == 16 and format.deep else 0.0
    return math.ceil(samples * (rate + low_byte))


def _detail(page: ImageInfo, file_share: int) -> float:
    """Factor by which the content compresses worse than usual."""
    rate = FORMATS[page.format].disk_rate
    if rate is None:
        return 1.0
    packed = file_share / (page.width * page.height * page.channels * page.bits / 8)
    usual = rate.lossless if page.lossless and rate.lossless else rate.photograph
    if page.bits == 16:
        packed = 2 * packed - _LOW_BYTE  # of the upper byte
    return 1.0 if packed >= _UNPACKED else min(max(packed / usual, _LEAST), _MOST)
