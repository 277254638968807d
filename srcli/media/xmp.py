"""Correct an XMP packet: orientation and pixel dimensions, as attributes or as elements."""

import re

__all__ = ["reset_xmp_orientation", "resized_xmp", "without_gps_xmp", "xmp_orientation"]


def _pattern(names: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(\b(?:" + names + rb")\s*(?:=\s*[\"']|>\s*))(\d+)")


# By name in whatever namespace: the prefixes are the writer's choice, and makers have their own.
_PLACE = (
    rb"[\w.-]+:(?:(?i:gps)\w*|\w*(?:Latitude|Longitude|Altitude|Geotag)\w*|lat|long|alt"
    rb"|City|State|Country\w*|ProvinceState|Sublocation|WorldRegion|Location\w*)"
)
_PLACE_ATTRIBUTE = re.compile(rb"(?<=\s)" + _PLACE + rb"\s*=\s*(\"[^\"]*\"|'[^']*')")
_PLACE_OPENING = re.compile(rb"<" + _PLACE)
_MOST_PLACES = 1000
_PLACE_ELEMENT = re.compile(rb"<(" + _PLACE + rb")(?=[\s/>])[^>]*?(/>|>.*?</\1\s*>)", re.DOTALL)
_DOUBT = re.compile(rb"gps|latitude|longitude|\0", re.IGNORECASE)
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


def reset_xmp_orientation(packet: bytes) -> bytes:
    """The packet with orientation 1, where it states one.

    >>> reset_xmp_orientation(b"<tiff:Orientation>8</tiff:Orientation>")
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


def without_gps_xmp(packet: bytes) -> bytes | None:
    """The packet without the places it states; None where some may be left, or not be seen.

    >>> without_gps_xmp(b'<a exif:GPSLatitude="1,2N" b="c"><dji:GpsAltitude>3</dji:GpsAltitude>')
    b'<a  b="c">'
    >>> without_gps_xmp(b'<a keywords="latitude 52"/>') is None
    True
    """
    if len(_PLACE_OPENING.findall(packet)) > _MOST_PLACES:  # of elements never closed, that would
        return None  # take for ever
    left = _PLACE_ELEMENT.sub(b"", _PLACE_ATTRIBUTE.sub(b"", packet))
    return None if _DOUBT.search(left) else left
