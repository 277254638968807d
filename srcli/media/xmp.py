"""Correct an XMP packet: orientation and pixel dimensions, as attributes or as elements."""

import re

__all__ = [
    "reset_xmp_orientation",
    "resized_xmp",
    "without_absent_parts",
    "without_gps_xmp",
    "xmp_orientation",
]


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


# Of what is stored beside an image: motion videos, gain maps, depth, further XMP. By namespace,
# whatever prefix the writer chose; where a namespace also has other properties, by their names.
_ABSENT = (
    (rb"http://ns\.google\.com/photos/1\.0/container/(?:item/)?", rb"[\w.-]+"),
    (rb"http://ns\.google\.com/photos/1\.0/(?:depthmap|image|audio)/", rb"[\w.-]+"),
    (rb"http://ns\.google\.com/photos/dd/1\.0/\w+/", rb"[\w.-]+"),
    (rb"http://ns\.adobe\.com/hdr-gain-map/1\.0/", rb"[\w.-]+"),
    (rb"http://ns\.apple\.com/(?:HDRGainMap|depthData|pixeldatainfo)/1\.0/", rb"[\w.-]+"),
    (rb"http://ns\.adobe\.com/xmp/note/", rb"HasExtendedXMP"),
    (rb"[^\"']*", rb"\w*(?:MotionPhoto|MicroVideo)\w*|OLivePhotoVersion|VideoLength"),
)
_NAMESPACE = re.compile(rb"\sxmlns:([\w.-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_MOST_NAMESPACES = 200


def without_absent_parts(packet: bytes) -> bytes:
    """The packet without statements about parts of a file that an upscaled image does not have.

    >>> without_absent_parts(b'<a xmlns:C="http://ns.example.org/" C:MotionPhoto="1"/>')
    b'<a/>'
    """
    spaces = {m[1]: m[2] or m[3] or b"" for m in _NAMESPACE.finditer(packet)}
    for prefix, space in list(spaces.items())[:_MOST_NAMESPACES]:
        names = b"|".join(name for uri, name in _ABSENT if re.fullmatch(uri, space))
        named = re.escape(prefix) + rb":(?:" + names + rb")"
        if packet.count(b"<" + prefix + b":") > _MOST_PLACES or not re.search(named, packet):
            continue
        inside = rb"(?:[^<>\"']|\"[^\"]*\"|'[^']*')*"
        element = rb"<(" + named + rb")(?=[\s/>])" + inside + rb"(?:(?<=/)>|>.*?</\1\s*>)"
        packet = re.sub(element, b"", packet, flags=re.DOTALL)
        packet = re.sub(rb"\s+" + named + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", packet)
        if re.search(rb"[\s</]" + re.escape(prefix) + rb":", packet) is None:
            declared = rb"\sxmlns:" + re.escape(prefix) + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')"
            packet = re.sub(declared, b"", packet)
    return packet


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
