"""Colour profiles of BMP: embedded, linked, or told by the numbers of a calibrated header."""

import struct
from dataclasses import replace

import numpy as np

from srcli.media.format import Readable
from srcli.media.formats.bmp.layout import FILE_HEADER, V4, V5, Layout
from srcli.media.icc import Colours, matrix_profile

__all__ = ["profile_of", "with_profile"]

_CALIBRATED, _EMBEDDED, _LINKED = 0, 0x4D424544, 0x4C494E4B
_FIXED_XYZ = 1 << 30  # of endpoints: 2 bits before the point
_NEAR_ZERO = 1e-3


def profile_of(stream: Readable, layout: Layout) -> tuple[bytes | None, str]:
    """The profile that the header holds, names or describes; and a line if it cannot be had."""
    details = layout.details
    if layout.header < V4:
        return None, ""
    (space,) = struct.unpack_from("<I", details, 56)
    if space == _CALIBRATED:
        return _calibrated(details), ""
    if layout.header < V5 or space not in (_EMBEDDED, _LINKED):
        return None, ""
    at, length = struct.unpack_from("<II", details, 112)
    stream.seek(FILE_HEADER + at)
    data = stream.read(length)
    if space == _LINKED:
        name = data.partition(b"\0")[0].decode("cp1252", "replace").replace("\\", "/")
        return None, f"colour profile not read: it is another file, {name.rpartition('/')[2]}"
    if len(data) < length or length < 128:
        return None, "ICC profile dropped: damaged"
    return data, ""


def _calibrated(details: bytes) -> bytes | None:
    """A profile of the end points and gammas of a calibrated header; None if they say nothing."""
    xyz = np.array(struct.unpack_from("<9i", details, 60)).reshape(3, 3) / _FIXED_XYZ
    gammas = np.array(struct.unpack_from("<3I", details, 96)) / 65536
    sums = xyz.sum(axis=1)
    if (sums <= _NEAR_ZERO).any() or (gammas <= _NEAR_ZERO).any():
        return None
    red, green, blue = ((float(x), float(y)) for x, y in xyz[:, :2] / sums[:, None])
    colours = Colours((red, green, blue), curve=(float(gammas.mean()),))
    if not np.allclose(sums, 1, atol=0.01):  # not chromaticities but colours, which add up to white
        white = xyz.sum(axis=0)
        x, y = white[:2] / white.sum()
        colours = replace(colours, white=(float(x), float(y)))
    return matrix_profile(colours)


def with_profile(file: bytes, icc: bytes) -> bytes:
    """A file of Pillow's with a header of version 5 and a profile behind the pixels."""
    (pixels_at,) = struct.unpack_from("<I", file, 10)
    old, body = file[FILE_HEADER : FILE_HEADER + 40], file[FILE_HEADER + 40 :]
    fields = struct.pack("<I36x12xIIII", _EMBEDDED, 4, V5 + len(body), len(icc), 0)
    header = struct.pack("<I", V5) + old[4:] + bytes(16) + fields
    head = struct.pack(
        "<2sIHHI", b"BM", FILE_HEADER + V5 + len(body) + len(icc), 0, 0, pixels_at + V5 - 40
    )
    return head + header + body + icc
