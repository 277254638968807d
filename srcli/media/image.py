"""A decoded image: its pixels and its metadata."""

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

__all__ = ["Compression", "DecodedImage", "ImageInfo", "Metadata", "Pixels"]

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Metadata:
    """Metadata to carry from input to output; None where the file had none.

    Attributes:
        icc: Colour profile, of the same colour space as the pixels.
        exif: EXIF block from its TIFF header on (no "Exif" prefix), orientation 1 and without
            thumbnail. Its pixel dimensions are set when the image is written.
        xmp: XMP packet, orientation 1; its pixel dimensions are set when it is written.
        dpi: Resolution across and down, in pixels per inch.
        iptc: IPTC records, as they stand in a Photoshop resource or a TIFF field.
        comments: JPEG's comment segments, as they stand in the file.
        texts: PNG's text chunks but for EXIF and XMP, as they stand in the file.
        colour: PNG's chunks gAMA, cHRM and sRGB, likewise.
        cicp: The numbers of H.273 for primaries, transfer, matrix (0, for the pixels are RGB) and
            full range, a byte each; a file that merely says sRGB there may have none.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    iptc: bytes | None = None
    comments: bytes | None = None
    texts: bytes | None = None
    colour: bytes | None = None
    cicp: bytes | None = None

    @property
    def blobs(self) -> dict[str, bytes]:
        """All that are bytes and there, by name."""
        every: dict[str, object] = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in every.items() if isinstance(value, bytes)}


@dataclass(frozen=True)
class Compression:
    """Traces of lossy compression in a file.

    Attributes:
        codec: "JPEG", "WebP" and so on, or a clip's codec; "" if the format is lossless.
        quality: On libjpeg's scale, 1 to 100, that JPEG's tables are nearest to; None if unknown.
        bits_per_pixel: Size of the file, or of a clip's stream, for each pixel; None if unknown.
        blockiness: Levels (of 255) by which steps at the edges of 8x8 blocks exceed those
            elsewhere; about 0 without blocks. See `measure_blockiness`.
    """

    codec: str = ""
    quality: int | None = None
    bits_per_pixel: float | None = None
    blockiness: float = 0.0


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image, upright.

    Attributes:
        pixels: (h, w, c) uint8 or uint16, full range; c is 1 gray, 2 gray + alpha, 3 RGB,
            4 RGB + alpha; alpha is straight, not premultiplied.
        format: The format it is to be written in, as in `formats.FORMATS`; after
            reading, the one it came in whatever its name says.
        metadata: What travels beside the pixels.
        lossless: A WebP whose pixels were stored exactly; it is then written so again.
        left_out: Further frames of the file, which are not read.
        later_pages: What the pages after the first are, where each can be read; of the first page.
        dropped: What of the file was not read, a line each.
        precision: Bits a sample in the file, where they are fewer than the 16 of the pixels.
        compression: What the file and its pixels tell of lossy compression.
    """

    pixels: Pixels
    format: str
    metadata: Metadata = field(default_factory=Metadata)
    lossless: bool = False
    left_out: int = 0
    later_pages: tuple["ImageInfo", ...] = ()
    dropped: tuple[str, ...] = ()
    precision: int | None = None
    compression: Compression = Compression()

    def __post_init__(self) -> None:
        assert self.pixels.ndim == 3, f"pixels {self.pixels.shape}, must be (h, w, c)"
        assert self.pixels.shape[2] in (1, 2, 3, 4), f"{self.pixels.shape[2]} channels"
        assert self.pixels.dtype in (np.uint8, np.uint16), f"pixels of {self.pixels.dtype}"

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.pixels.shape[0]

    @property
    def channels(self) -> int:
        """1 gray, 2 gray + alpha, 3 RGB, 4 RGB + alpha."""
        return self.pixels.shape[2]

    @property
    def bits(self) -> int:
        """8 or 16 bits a sample."""
        return self.pixels.itemsize * 8

    @property
    def meant_bits(self) -> int:
        """Bits a sample that say something."""
        return min(self.precision or self.bits, self.bits)

    @property
    def has_alpha(self) -> bool:
        """True if the last channel is alpha."""
        return self.channels in (2, 4)


@dataclass(frozen=True)
class ImageInfo:
    """Header of a file: what its image will be once read.

    Attributes:
        format: As in `DecodedImage`.
        width: Upright width in pixels.
        height: Upright height in pixels.
        channels: As the last axis of `DecodedImage.pixels`.
        bits: 8 or 16 bits a sample.
        lossless: As in `DecodedImage`.
        reduced: The file calls it a smaller copy of another page.
        later_pages: Of the first page: those that follow.
        compression: What the header tells of it.
    """

    format: str
    width: int
    height: int
    channels: int
    bits: int
    lossless: bool = False
    reduced: bool = False
    later_pages: tuple["ImageInfo", ...] = ()
    compression: Compression = Compression()

    @property
    def megapixels(self) -> float:
        """Millions of pixels."""
        return self.width * self.height / 1e6
