"""Make colour profiles (ICC.1:2022, version 4) from what files say about colours by numbers.

A matrix and a curve a channel, which every reader of profiles takes; colours stay as they are
stored, and only the words for them change.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Colours",
    "colours_of_cicp",
    "gray_profile",
    "matrix_profile",
    "rgb_profile_of_gray",
]

Point = tuple[float, float]

D65: Point = (0.3127, 0.3290)
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_C, _DCI = (0.3101, 0.3162), (0.314, 0.351)
_SRGB_POINTS = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_PRIMARIES: dict[int, tuple[tuple[Point, Point, Point], Point]] = {  # H.273, table 2
    1: (_SRGB_POINTS, D65),
    4: (((0.67, 0.33), (0.21, 0.71), (0.14, 0.08)), _C),
    5: (((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)), D65),
    6: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65),
    7: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65),
    8: (((0.681, 0.319), (0.243, 0.692), (0.145, 0.049)), _C),
    9: (((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), D65),
    11: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), _DCI),
    12: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65),
    22: (((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)), D65),
}
_PRIMARIES[2] = _PRIMARIES[1]  # not said
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_CURVES = {4: (2.2,), 5: (2.8,), 8: (1.0,), 13: _SRGB_CURVE, 2: _SRGB_CURVE} | dict.fromkeys(
    (1, 6, 14, 15), _BT709_CURVE
)
_HEADER_BYTES = 128


@dataclass(frozen=True)
class Colours:
    """Primaries, white point and transfer curve of RGB values.

    Attributes:
        primaries: Chromaticities x, y of red, green and blue.
        white: That of white.
        curve: A gamma, or g, a, b, c, d of ICC's parametric curve 3: (a·x + b)^g from d on, c·x
            below.
    """

    primaries: tuple[Point, Point, Point] = _SRGB_POINTS
    white: Point = D65
    curve: tuple[float, ...] = _SRGB_CURVE


def colours_of_cicp(cicp: bytes) -> Colours | None:
    """The colours of H.273 numbers; None for PQ, HLG and others that no such profile describes."""
    primaries, curve = _PRIMARIES.get(cicp[0]), _CURVES.get(cicp[1])
    return Colours(*primaries, curve) if primaries and curve else None


def matrix_profile(colours: Colours) -> bytes | None:
    """A display profile; None where the primaries are on one line, or white is no colour."""
    points = (*colours.primaries, colours.white)
    if any(y <= 0 for _, y in points):
        return None
    columns = np.array([_xyz(point) for point in colours.primaries]).T
    white = np.array(_xyz(colours.white))
    if abs(np.linalg.det(columns)) < 1e-6:
        return None
    matrix = columns * np.linalg.solve(columns, white)
    adaptation = _adaptation(white)
    return _profile(_curve(colours.curve), adaptation, adaptation @ matrix)


def gray_profile(colours: Colours) -> bytes:
    """A profile for gray values on this curve."""
    return _profile(_curve(colours.curve), _adaptation(np.array(_xyz(colours.white))), None)


def _curve(curve: tuple[float, ...]) -> bytes:
    kind = 3 if len(curve) > 1 else 0
    return struct.pack(">4sIHH", b"para", 0, kind, 0) + _fixed(*curve)


def rgb_profile_of_gray(gray: bytes) -> bytes | None:
    """An RGB profile that shows r = g = b as a gray profile shows them; None if it has no curve."""
    tags = _tags(gray)
    curve = tags.get(b"kTRC")
    if curve is None:
        return None
    sample = matrix_profile(Colours())
    assert sample is not None, "sRGB has primaries"
    parts = _tags(sample)
    columns = np.array(
        [np.frombuffer(parts[tag], ">i4", 3, 8) / 65536 for tag in (b"rXYZ", b"gXYZ", b"bXYZ")]
    ).T
    return _profile(curve, np.eye(3), columns)


def _xyz(point: Point) -> tuple[float, float, float]:
    x, y = point
    return x / y, 1.0, (1 - x - y) / y


def _adaptation(white: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bradford's matrix from a white to D50, that of profiles."""
    ratio = (_BRADFORD @ np.array(_D50)) / (_BRADFORD @ white)
    return np.linalg.inv(_BRADFORD) @ np.diag(ratio) @ _BRADFORD


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _text(words: str) -> bytes:
    raw = words.encode("utf-16-be")
    return struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(raw), 28) + raw


def _profile(
    curve: bytes, adaptation: NDArray[np.float64], columns: NDArray[np.float64] | None
) -> bytes:
    """A profile of one curve, and of red, green and blue in XYZ of D50 (3, 3); None: of gray."""
    head = struct.pack(">4sI", b"XYZ ", 0)
    tags = {
        b"desc": _text("colours as stated in the file"),
        b"cprt": _text("no copyright"),
        b"wtpt": head + _fixed(*_D50),
        b"chad": struct.pack(">4sI", b"sf32", 0) + _fixed(*adaptation.reshape(-1).tolist()),
    }
    if columns is None:
        tags[b"kTRC"] = curve
    else:
        for number, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ")):
            tags[name] = head + _fixed(*columns[:, number].tolist())
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    space = b"GRAY" if columns is None else b"RGB "
    table, body = struct.pack(">I", len(tags)), b""
    at = _HEADER_BYTES + 4 + 12 * len(tags)
    places: dict[bytes, int] = {}
    for name, data in tags.items():
        if data not in places:  # curves are the same
            places[data] = at + len(body)
            body += data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, places[data], len(data))
    size = at + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"srcl", 0x04300000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp")
    header = header.ljust(68, b"\0") + _fixed(*_D50)
    return header.ljust(_HEADER_BYTES, b"\0") + table + body


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """The tags of a profile, as far as they are whole."""
    found: dict[bytes, bytes] = {}
    count = int.from_bytes(profile[_HEADER_BYTES : _HEADER_BYTES + 4], "big")
    for number in range(min(count, 100)):
        entry = profile[_HEADER_BYTES + 4 + 12 * number :][:12]
        if len(entry) == 12:
            name, at, length = struct.unpack(">4sII", entry)
            found[name] = profile[at : at + length]
    return found
