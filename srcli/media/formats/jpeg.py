"""JPEG: 8 bits, no alpha; written without chroma subsampling."""

import re
import struct
from collections.abc import Generator
from dataclasses import replace
from io import BufferedWriter

from PIL import JpegImagePlugin

from srcli.media.format import DiskRate, Format, FormatError, Readable
from srcli.media.image import DecodedImage, ImageInfo, Metadata
from srcli.media.orientation import apply_orientation, orientation_of
from srcli.media.pillow_image import as_image, channels_of, dpi_of, metadata_of, pixels_of, to_rgb

__all__ = ["FORMAT"]

_COMMENT, _APP13 = 0xFE, 0xED
_PHOTOSHOP = b"Photoshop 3.0\0"
_IPTC = 0x0404
_PATHS = range(2000, 2999)  # the rest of Photoshop's are its own settings, for print or screen
_READ = (
    *(("APP0", b"JFIF\0"), ("APP0", b"JFXX\0"), ("APP1", b"Exif\0"), ("APP14", b"Adobe")),
    *(("APP1", b"http://ns.adobe.com/xap/1.0/\0"), ("APP2", b"ICC_PROFILE\0"), ("COM", b"")),
    ("APP13", _PHOTOSHOP),
)
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_WORDS = re.compile(rb"[ -~]{0,40}")


def read_metadata(image: JpegImagePlugin.JpegImageFile) -> tuple[Metadata, tuple[str, ...]]:
    """Metadata as stored, and a line for what is not carried over."""
    segments: list[tuple[str, bytes]] = image.applist
    comments = b"".join(_segment(_COMMENT, data) for name, data in segments if name == "COM")
    photoshop = b"".join(
        data.removeprefix(_PHOTOSHOP)
        for name, data in segments
        if name == "APP13" and data.startswith(_PHOTOSHOP)
    )  # what is longer than a segment goes on in the next
    resources = dict(_resources(photoshop))
    names = [
        "extended XMP" if data.startswith(_EXTENDED_XMP) else _named(name, data)
        for name, data in segments
        if not any(name == known and data.startswith(start) for known, start in _READ)
    ]
    if any(number in _PATHS for number in resources):
        names.append("Photoshop's paths")
    dropped = [f"JPEG segments dropped: {', '.join(dict.fromkeys(names))}"] if names else []
    if image.info.get("icc_profile", b"") is None:
        dropped.append("ICC profile dropped: some of its segments are missing")
    iptc = resources.get(_IPTC)
    metadata = replace(metadata_of(image), iptc=iptc or None, comments=comments or None)
    return metadata, tuple(dropped)


def written_segments(metadata: Metadata) -> bytes:
    """The segments that hold IPTC and comments."""
    segments = metadata.comments or b""
    if iptc := metadata.iptc:
        resource = struct.pack(">4sHHI", b"8BIM", _IPTC, 0, len(iptc)) + iptc
        segments += _segment(_APP13, _PHOTOSHOP + resource + bytes(len(iptc) % 2))
    return segments


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _resources(data: bytes) -> Generator[tuple[int, bytes]]:
    """Number and bytes of each of Photoshop's resources, as far as they are whole."""
    at = 0
    while data[at : at + 4] == b"8BIM" and at + 7 <= len(data):
        number, name = struct.unpack_from(">HB", data, at + 4)
        at += 6 + name + 1 + (name + 1) % 2
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 4 + length > len(data):
            return
        yield number, data[at + 4 : at + 4 + length]
        at += 4 + length + length % 2


def _named(name: str, data: bytes) -> str:
    words = _WORDS.match(data)
    return f"{name} {words[0].decode('ascii') if words else ''}".strip()


_SCAN, _END = 0xDA, 0xD9
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_MARKER_IN_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # neither stuffing nor restart


def _inspect(stream: Readable) -> ImageInfo:
    image = JpegImagePlugin.JpegImageFile(stream)
    size = orientation_of(metadata_of(image)).size(*image.size)
    return ImageInfo("jpeg", *size, channels_of(image), bits=8)


def _decode(stream: Readable) -> DecodedImage:
    """Decode the first image of the file; CMYK and YCCK are taken as Adobe writes them."""
    _require_end(stream.read())
    stream.seek(0)
    image = JpegImagePlugin.JpegImageFile(stream)
    metadata, dropped = read_metadata(image)
    rgb, metadata = to_rgb(image, metadata)
    return apply_orientation(DecodedImage(pixels_of(rgb), "jpeg", metadata, dropped=dropped))


def _require_end(data: bytes) -> None:
    """Follow the markers to the end of the image, without which libjpeg invents what is missing.

    Raises:
        FormatError: The file stops before it.
    """
    at = 2
    in_scan = False
    while found := (_MARKER_IN_SCAN if in_scan else _MARKER).search(data, at):
        marker, at = found[1][0], found.end()
        if marker == _END:
            return
        at += int.from_bytes(data[at : at + 2], "big")
        in_scan = marker == _SCAN
    raise FormatError(f"it is cut short: no end of image in {len(data)} bytes")


def _encode(image: DecodedImage, stream: BufferedWriter, quality: int) -> None:
    metadata = image.metadata
    as_image(image.pixels).save(
        stream,
        "JPEG",
        quality=quality,
        subsampling=0,
        icc_profile=metadata.icc,
        exif=b"Exif\0\0" + metadata.exif if metadata.exif else b"",
        xmp=metadata.xmp,
        dpi=dpi_of(image),
        extra=written_segments(metadata),
    )


FORMAT = Format(
    name="jpeg",
    option="jpg",
    suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
    recognises=lambda head: head.startswith(b"\xff\xd8\xff"),
    inspect=_inspect,
    decode=_decode,
    encode=_encode,
    max_side=65500,  # of libjpeg; the format itself could state 65535
    max_block=65000,
    gray=True,
    alpha=False,
    deep=False,
    keeps=frozenset({"icc", "exif", "xmp", "dpi", "iptc", "comments"}),
    disk_rate=DiskRate(0.11, 0.085),
)
