"""Read what Pillow leaves out of a JPEG: IPTC, comments, other segments, what is behind its end."""

import re
import struct
from collections.abc import Generator
from dataclasses import replace

from PIL import JpegImagePlugin

from srcli.media.image import Metadata
from srcli.media.pillow_image import metadata_of
from srcli.media.trailers import SecondPicture, name_appended, second_pictures

__all__ = ["read_metadata", "written_segments"]

_COMMENT, _APP13 = 0xFE, 0xED
_PHOTOSHOP = b"Photoshop 3.0\0"
_MULTI_PICTURE = b"MPF\0"
_IPTC = 0x0404
_PATHS = range(2000, 2999)  # the rest of Photoshop's are its own settings, for print or screen
_READ = (
    *(("APP0", b"JFIF\0"), ("APP0", b"JFXX\0"), ("APP1", b"Exif\0"), ("APP14", b"Adobe")),
    *(("APP1", b"http://ns.adobe.com/xap/1.0/\0"), ("APP2", b"ICC_PROFILE\0"), ("COM", b"")),
    ("APP13", _PHOTOSHOP),
    ("APP2", _MULTI_PICTURE),  # of which, and of gain maps, more is said in `trailers`
    ("APP2", b"urn:iso:std:iso:ts:21496:-1\0"),
)
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_WORDS = re.compile(rb"[ -~]{0,40}")


def read_metadata(
    image: JpegImagePlugin.JpegImageFile, data: bytes, end: int
) -> tuple[Metadata, tuple[str, ...]]:
    """Metadata as stored, and a line for each part that is not carried over.

    Args:
        image: The image, opened.
        data: The whole file.
        end: Where its first image ends in it.
    """
    segments: list[tuple[str, bytes]] = image.applist
    comments = b"".join(_segment(_COMMENT, text) for name, text in segments if name == "COM")
    photoshop = b"".join(
        payload.removeprefix(_PHOTOSHOP)
        for name, payload in segments
        if name == "APP13" and payload.startswith(_PHOTOSHOP)
    )  # what is longer than a segment continues in the next
    resources = dict(_resources(photoshop))
    names = [
        "extended XMP" if payload.startswith(_EXTENDED_XMP) else _named(name, payload)
        for name, payload in segments
        if not any(name == known and payload.startswith(start) for known, start in _READ)
    ]
    if any(number in _PATHS for number in resources):
        names.append("Photoshop's paths")
    dropped = [f"JPEG segments dropped: {', '.join(dict.fromkeys(names))}"] if names else []
    if image.info.get("icc_profile", b"") is None:
        dropped.append("ICC profile dropped: some of its segments are missing")
    appended = name_appended(data, end, _listed_pictures(segments, data))
    iptc = resources.get(_IPTC) or appended.iptc
    metadata = replace(metadata_of(image), iptc=iptc or None, comments=comments or None)
    return metadata, (*dropped, *appended.lines)


def _listed_pictures(segments: list[tuple[str, bytes]], data: bytes) -> list[SecondPicture]:
    """The further pictures by the Multi-Picture index."""
    for name, payload in segments:
        if name == "APP2" and payload.startswith(_MULTI_PICTURE):
            base = data.find(payload) + len(_MULTI_PICTURE)
            return second_pictures(payload.removeprefix(_MULTI_PICTURE), base)
    return []


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
