"""Correct an XMP packet: orientation and pixel dimensions, as attributes or as elements."""

import re

__all__ = ["resized_xmp", "uprighted_xmp", "without_gps_xmp", "xmp_orientation"]


def _pattern(names: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(\b(?:" + names + rb")\s*(?:=\s*[\"']|>\s*))(\d+)")


_GPS_ATTRIBUTE = re.compile(rb"exif:GPS\w+\s*=\s*(\"[^\"]*\"|'[^']*')")
_GPS_ELEMENT = re.compile(rb"<(exif:GPS\w+)\b[^>]*?(/>|>.*?</\1\s*>)", re.DOTALL)
_ORIENTATION = _pattern(rb"tiff:Orientation")
_WIDTH = _pattern(rb"tiff:ImageWidth|exif:PixelXDimension")
_HEIGHT = _pattern(rb"tiff:ImageLength|exif:PixelYDimension")


def xmp_orientation(packet: bytes | None) -> int | None:
    """The orientation a packet states, 1 to 8; None without a packet or a valid statement.

    >>> xmp_orientation(b'<rdf:Description tiff:Orientation="6"/>')
    6
    """
    found = _ORIENTATION.search(packet or b"")
    value = int(found[2]) if found else 0
    return value if 1 <= value <= 8 else None


def uprighted_xmp(packet: bytes) -> bytes:
    """The packet with orientation 1, where it states one.

    >>> uprighted_xmp(b"<tiff:Orientation>8</tiff:Orientation>")
    b'<tiff:Orientation>1</tiff:Orientation>'
    """
    return _ORIENTATION.sub(rb"\g<1>1", packet)


def resized_xmp(packet: bytes, width: int, height: int) -> bytes:
    """The packet with the pixel dimensions it states set to these.

    >>> resized_xmp(b"<exif:PixelXDimension>20</exif:PixelXDimension>", 80, 40)
    b'<exif:PixelXDimension>80</exif:PixelXDimension>'
    """
    packet = _WIDTH.sub(rb"\g<1>%d" % width, packet)
    return _HEIGHT.sub(rb"\g<1>%d" % height, packet)


def without_gps_xmp(packet: bytes) -> bytes:
    """The packet without the places it states.

    >>> without_gps_xmp(b'<a exif:GPSLatitude="1,2N" b="c"><exif:GPSAltitude>3</exif:GPSAltitude>')
    b'<a  b="c">'
    """
    return _GPS_ELEMENT.sub(b"", _GPS_ATTRIBUTE.sub(b"", packet))
