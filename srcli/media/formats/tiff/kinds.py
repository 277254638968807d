"""Kinds of TIFF by their numbers: those that are read, and names of those that are not."""

from enum import IntEnum

from srcli.media.format import FormatError

__all__ = ["COLOUR_NAMES", "COMPRESSION_NAMES", "Colours", "Compression", "not_read"]


COMPRESSION_NAMES = {
    32771: "CCITT runs in words",
    32809: "ThunderScan",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "JPEG of a DNG",
    34933: "PNG",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
COLOUR_NAMES = {
    4: "a transparency mask",
    10: "ITU Lab",
    32803: "a sensor's colour filters",
    32844: "LogL",
    32845: "LogLuv",
    34892: "a sensor's values",
}


class Colours(IntEnum):
    """Photometric interpretations that are read, by their TIFF numbers."""

    WHITE_IS_ZERO = 0
    BLACK_IS_ZERO = 1
    RGB = 2
    PALETTE = 3
    CMYK = 5
    YCBCR = 6
    CIE_LAB = 8
    ICC_LAB = 9

    @property
    def samples(self) -> int:
        """Samples of colour in a pixel."""
        return {0: 1, 1: 1, 3: 1, 5: 4}.get(self, 3)


class Compression(IntEnum):
    """Compressions that are read, by their TIFF numbers."""

    NONE = 1
    DEFLATE = 8
    OLD_DEFLATE = 32946
    LZW = 5
    PACK_BITS = 32773
    LZMA = 34925
    ZSTANDARD = 50000
    WEBP = 50001
    CCITT_RLE = 2
    CCITT_FAX3 = 3
    CCITT_FAX4 = 4
    OLD_JPEG = 6
    JPEG = 7


def not_read(kind: str) -> FormatError:
    """The error for a sound file of a kind that is not read, named in words."""
    return FormatError(
        f"a kind of TIFF ({kind}) that srcli does not read; hint: convert it with another program "
        "to PNG, or to gray or RGB TIFF of 8 or 16 bits"
    )
