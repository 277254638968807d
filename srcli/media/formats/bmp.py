"""BMP: plain, 8 bits, no alpha and no metadata but the resolution."""

from io import BufferedWriter

from PIL import BmpImagePlugin

from srcli.media.format import Format, Readable
from srcli.media.image import DecodedImage, ImageInfo
from srcli.media.orientation import apply_orientation
from srcli.media.pillow_image import as_image, channels_of, dpi_of, metadata_of, pixels_of

__all__ = ["FORMAT"]


def _inspect(stream: Readable) -> ImageInfo:
    image = BmpImagePlugin.BmpImageFile(stream)
    return ImageInfo("bmp", image.width, image.height, channels_of(image), bits=8)


def _decode(stream: Readable) -> DecodedImage:
    image = BmpImagePlugin.BmpImageFile(stream)
    return apply_orientation(DecodedImage(pixels_of(image), "bmp", metadata_of(image)))


def _encode(image: DecodedImage, stream: BufferedWriter, _quality: int) -> None:
    as_image(image.pixels).save(stream, "BMP", dpi=dpi_of(image))


FORMAT = Format(
    name="bmp",
    option=None,
    suffixes=(".bmp", ".dib"),
    recognises=lambda head: head.startswith(b"BM"),
    inspect=_inspect,
    decode=_decode,
    encode=_encode,
    max_side=2**31 - 1,
    max_block=0,
    gray=True,
    alpha=False,
    deep=False,
    keeps=frozenset({"dpi"}),
    disk_rate=None,
)
