"""JPEG: 8 bits, no alpha; written without chroma subsampling."""

from io import BufferedWriter, BytesIO

from PIL import JpegImagePlugin

from srcli.media.compression import jpeg_quality
from srcli.media.format import DiskRate, Format, Readable
from srcli.media.formats.jpeg.ends import whole_image
from srcli.media.formats.jpeg.segments import read_metadata, written_segments
from srcli.media.image import Compression, DecodedImage, ImageInfo
from srcli.media.orientation import apply_orientation, orientation_of
from srcli.media.pillow_image import as_image, channels_of, dpi_of, metadata_of, pixels_of, to_rgb

__all__ = ["FORMAT"]


def _inspect(stream: Readable) -> ImageInfo:
    image = JpegImagePlugin.JpegImageFile(stream)
    size = orientation_of(metadata_of(image)).size(*image.size)
    return ImageInfo("jpeg", *size, channels_of(image), bits=8, compression=_compression(image))


def _compression(image: JpegImagePlugin.JpegImageFile) -> Compression:
    return Compression("JPEG", jpeg_quality(image.quantization))


def _decode(stream: Readable) -> DecodedImage:
    """Decode the first image of the file; CMYK and YCCK are taken as Adobe writes them."""
    stream.seek(0)
    data = stream.read()
    first = whole_image(data)
    image = JpegImagePlugin.JpegImageFile(BytesIO(first.data))
    metadata, dropped = read_metadata(image, data, first.end)
    if not first.marked:
        dropped = (*dropped, "its end marker is missing, every block is there: read as it is")
    rgb, metadata, line = to_rgb(image, metadata)
    dropped = (*dropped, line) if line else dropped
    decoded = DecodedImage(
        pixels_of(rgb), "jpeg", metadata, dropped=dropped, compression=_compression(image)
    )
    return apply_orientation(decoded)


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
    codec="JPEG",
)
