"""Correct an XMP packet: orientation and pixel dimensions, as attributes or as elements.

Properties are known by their namespace, whatever prefix the writer chose.
"""

import codecs
import re

__all__ = [
    "reset_xmp_orientation",
    "resized_xmp",
    "without_absent_parts",
    "without_gps_xmp",
    "xmp_orientation",
]


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
_TIFF = (b"http://ns.adobe.com/tiff/1.0/", b"tiff")
_EXIF = (b"http://ns.adobe.com/exif/1.0/", b"exif")
_PANORAMA = (b"http://ns.google.com/photos/1.0/panorama/", b"GPano")
_REGIONS = (b"http://www.metadataworkinggroup.com/schemas/regions/", b"mwg-rs")
_DIMENSIONS = (b"http://ns.adobe.com/xap/1.0/sType/Dimensions#", b"stDim")
# Of a panorama, for each side: the image's own, that of the whole, and what else is in its pixels.
_PANORAMA_SIDES = (
    (
        *(rb"CroppedAreaImageWidthPixels", rb"FullPanoWidthPixels"),
        rb"CroppedAreaLeftPixels|LargestValidInteriorRect(?:Left|Width)",
    ),
    (
        *(rb"CroppedAreaImageHeightPixels", rb"FullPanoHeightPixels"),
        rb"CroppedAreaTopPixels|LargestValidInteriorRect(?:Top|Height)",
    ),
)
_ENCODINGS = (  # by the first bytes of a packet: marks, then its first character
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_ENCODING_SAID = re.compile(r"(<\?xml[^>]*\sencoding\s*=\s*[\"'])utf-(?:16|32)\w*", re.IGNORECASE)

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
    packet = _as_utf8(packet or b"")
    found = _numbers(packet, _TIFF, rb"Orientation").search(packet)
    value = int(found[2]) if found else 0
    return value if 1 <= value <= 8 else None


def reset_xmp_orientation(packet: bytes) -> bytes:
    """The packet in UTF-8, as the specification demands, with orientation 1 where it states one.

    >>> reset_xmp_orientation(b"<tiff:Orientation>8</tiff:Orientation>")
    b'<tiff:Orientation>1</tiff:Orientation>'
    """
    packet = _as_utf8(packet)
    return _numbers(packet, _TIFF, rb"Orientation").sub(rb"\g<1>1", packet)


def resized_xmp(packet: bytes, width: int, height: int) -> bytes:
    """The packet with the pixel dimensions it states set to these.

    Of a panorama (GPano), all that is measured in its pixels grows as the image does.

    >>> resized_xmp(b"<exif:PixelXDimension>20</exif:PixelXDimension>", 80, 40)
    b'<exif:PixelXDimension>80</exif:PixelXDimension>'
    """
    sides = (
        (width, rb"ImageWidth", rb"PixelXDimension", rb"w", _PANORAMA_SIDES[0]),
        (height, rb"ImageLength", rb"PixelYDimension", rb"h", _PANORAMA_SIDES[1]),
    )
    for size, in_tiff, in_exif, in_regions, panorama in sides:
        packet = _numbers(packet, _TIFF, in_tiff).sub(rb"\g<1>%d" % size, packet)
        packet = _numbers(packet, _EXIF, in_exif).sub(rb"\g<1>%d" % size, packet)
        packet = _with_region_size(packet, in_regions, size)
        packet = _with_panorama(packet, panorama, size)
    return packet


def _as_utf8(packet: bytes) -> bytes:
    """A packet in UTF-8; unchanged if it is, or if it does not decode."""
    encoding = next((name for start, name in _ENCODINGS if packet.startswith(start)), None)
    if encoding is None:
        return packet
    try:
        text = packet.decode(encoding)
    except UnicodeDecodeError:
        return packet
    return _ENCODING_SAID.sub(r"\g<1>UTF-8", text, count=1).encode("utf-8", "replace")


def _prefixes(packet: bytes, namespace: tuple[bytes, bytes]) -> bytes:
    """A pattern of the prefixes that stand for a namespace; the usual one if none is declared."""
    uri, usual = namespace
    found = {m[1] for m in _NAMESPACE.finditer(packet) if (m[2] or m[3]) == uri}
    return b"(?:" + b"|".join(map(re.escape, sorted(found) or [usual])) + b")"


def _numbers(packet: bytes, namespace: tuple[bytes, bytes], names: bytes) -> re.Pattern[bytes]:
    """A pattern of these properties: what stands before the number, and the number."""
    named = _prefixes(packet, namespace) + rb":(?:" + names + rb")"
    return re.compile(rb"(?<![\w.-])(" + named + rb"\s*(?:=\s*[\"']|>\s*))(\d+)")


def _with_region_size(packet: bytes, name: bytes, size: int) -> bytes:
    """The packet with a side of the image that its regions (faces) are said to belong to."""
    element = _prefixes(packet, _REGIONS) + rb":AppliedToDimensions"
    if packet.count(b":AppliedToDimensions") > _MOST_PLACES:
        return packet
    side = _numbers(packet, _DIMENSIONS, name)
    whole = rb"<(" + element + rb")(?=[\s/>])(?:[^<>]*/>|.*?</\1\s*>)"
    return re.sub(whole, lambda m: side.sub(rb"\g<1>%d" % size, m[0]), packet, flags=re.DOTALL)


def _with_panorama(packet: bytes, names: tuple[bytes, bytes, bytes], size: int) -> bytes:
    """The packet with a panorama's lengths along one side, of which the image now has `size`."""
    found = (_numbers(packet, _PANORAMA, name).search(packet) for name in names[:2])
    old = next((int(match[2]) for match in found if match), 0)
    if not old:
        return packet

    def grown(match: re.Match[bytes]) -> bytes:
        return match[1] + b"%d" % ((int(match[2]) * size * 2 + old) // (2 * old))

    return _numbers(packet, _PANORAMA, b"|".join(names)).sub(grown, packet)


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
