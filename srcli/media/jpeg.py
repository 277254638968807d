"""JPEG: 8 bits, no alpha; written without chroma subsampling."""

import re
from io import BufferedWriter

from PIL import JpegImagePlugin

from srcli.media.colour import channels_of, metadata_of, pixels_of, to_rgb
from srcli.media.encoding import as_image, dpi_of
from srcli.media.format import Format, FormatError, Readable
from srcli.media.image import DecodedImage, ImageInfo
from srcli.media.jpeg_segments import read_metadata, written_segments
from srcli.media.orientation import apply_orientation, orientation_of

__all__ = ["JPEG"]

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
    rgb, metadata, line = to_rgb(image, metadata)
    dropped = (*dropped, line) if line else dropped
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


JPEG = Format(
    name="jpeg",
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
)
