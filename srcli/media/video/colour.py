"""Meaning of the numbers in a frame, and their conversion to RGB and back.

The code points are those of ITU-T H.273, which FFmpeg uses for its enumerations.
"""

from dataclasses import dataclass

__all__ = ["HLG", "PQ", "RGB", "SDR", "UNSPECIFIED", "Colour", "is_convertible"]

UNSPECIFIED = 2
PQ, HLG = 16, 18
_LIMITED, _FULL = 1, 2  # of AVColorRange
_RGB, _BT709, _SMPTE170M = 0, 1, 6
_HD_HEIGHT = 720

_MATRIX_NAMES = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020nc",
}
_OPEN = (UNSPECIFIED, 3)  # 3 is reserved
_SCALE_NAMES = {5: "bt470", 9: "bt2020"}


def is_convertible(matrix: int) -> bool:
    """Tell if a matrix can be converted or is not stated: not those of ICtCp and the like."""
    return matrix in _MATRIX_NAMES or matrix in _OPEN


@dataclass(frozen=True)
class Colour:
    """Range, primaries, transfer and matrix of a clip.

    Args:
        full: Samples use all values, not only 16 to 235 (of 8 bits).
        primaries: Code point; 2 unspecified.
        transfer: Code point; 2 unspecified.
        matrix: Code point, never unspecified; 0 is RGB.
    """

    full: bool
    primaries: int
    transfer: int
    matrix: int

    @classmethod
    def read(
        cls, *, color_range: int, primaries: int, transfer: int, matrix: int, rgb: bool, height: int
    ) -> "Colour":
        """From what the decoder says; what it leaves open is taken as every player takes it.

        Without a matrix, that is BT.709 from 720 lines on and BT.601 below; without a range,
        limited, and full for RGB. Settled before the size changes, and written into the result.
        """
        if rgb:
            return cls(full=True, primaries=primaries, transfer=transfer, matrix=_RGB)
        if matrix not in _MATRIX_NAMES or matrix == _RGB:
            matrix = _BT709 if height >= _HD_HEIGHT else _SMPTE170M
        return cls(color_range == _FULL, primaries, transfer, matrix)

    @property
    def hdr(self) -> str:
        """The name of its HDR transfer; empty if it has none."""
        return {PQ: "PQ", HLG: "HLG"}.get(self.transfer, "")

    @property
    def matrix_name(self) -> str:
        """FFmpeg's name of the matrix."""
        return _MATRIX_NAMES[self.matrix]

    @property
    def is_rgb(self) -> bool:
        """True if samples are red, green and blue."""
        return self.matrix == _RGB

    @property
    def scaled_by(self) -> str:
        """The scale filter's name of the matrix."""
        return _SCALE_NAMES.get(self.matrix, self.matrix_name)

    @property
    def range_name(self) -> str:
        """FFmpeg's name of the range."""
        return "pc" if self.full else "tv"

    @property
    def range_code(self) -> int:
        """FFmpeg's number of the range."""
        return _FULL if self.full else _LIMITED

    def for_yuv(self) -> "Colour":
        """Describe the colours as luma and chroma: RGB becomes BT.709."""
        if not self.is_rgb:
            return self
        return Colour(full=False, primaries=self.primaries, transfer=self.transfer, matrix=_BT709)


RGB = Colour(full=True, primaries=UNSPECIFIED, transfer=UNSPECIFIED, matrix=_RGB)
"""Full range RGB, as the networks take it."""

SDR = Colour(full=False, primaries=_BT709, transfer=_BT709, matrix=_BT709)
"""The colours that tone mapping makes, and that --force-sdr assumes."""
