"""Layout of a TIFF's samples in the file, and which kinds of it are read, by whom."""

from dataclasses import dataclass

from srcli.media.format import FormatError
from srcli.media.formats.tiff.kinds import (
    COLOUR_NAMES,
    COMPRESSION_NAMES,
    Colours,
    Compression,
    not_read,
)
from srcli.media.ifd import Directory, Order
from srcli.media.tiff_tags import Tag

__all__ = ["Layout", "is_for_pillow", "layout_of", "segments_of"]


_LABS = (Colours.CIE_LAB, Colours.ICC_LAB)
_CMYK_INKS, _OTHER_INKS = 4, 2
_BY_PILLOW_ALONE = frozenset((2, 3, 4, Compression.OLD_JPEG, Compression.JPEG))
_OURS = frozenset(int(one) for one in Compression) - _BY_PILLOW_ALONE
_PREMULTIPLIED, _STRAIGHT = 1, 2
_UNSIGNED, _FLOAT = 1, 3
_FORMAT_NAMES = {2: "signed", 4: "untyped", 5: "complex", 6: "complex"}
_WHOLE, _FLOATS = (*range(2, 17), 32), (16, 32, 64)  # bits that are read here
_PILLOW_GRAY_BITS = (1, 2, 4, 8)
_HORIZONTAL, _FLOATING = 2, 3  # predictors
_MAX_SAMPLES = 16
_TILE_PIXELS = 1 << 22  # what a tile may hold beyond a small image


@dataclass(frozen=True)
class Layout:
    """Memory layout of the samples of a TIFF.

    Attributes:
        width: Stored width in pixels.
        height: Stored height in pixels.
        colours: What the samples of colour mean.
        bits: Of each sample.
        floating: Whether they are floating-point numbers; otherwise whole, without a sign.
        samples: Samples a pixel in the file.
        alpha: Which of them is alpha, from 0; None if none is.
        premultiplied: Whether colour was multiplied by alpha.
        planes: 1, or `samples` where each has strips of its own.
        rows: Height of a strip or tile.
        columns: Width of a strip or tile.
        tiled: Tiles are stored whole even where they overlap the edge.
        compression: The TIFF number.
        predictor: The TIFF number: 1 none, 2 differences, 3 differences of the bytes of floats.
        reversed_bits: Whether the bits of every byte are stored last to first.
        order: Byte order of the samples.
        offsets: Where each segment begins in the file, plane after plane.
        counts: The length of each in bytes.
    """

    width: int
    height: int
    colours: Colours
    bits: int
    floating: bool
    samples: int
    alpha: int | None
    premultiplied: bool
    planes: int
    rows: int
    columns: int
    tiled: bool
    compression: int
    predictor: int
    reversed_bits: bool
    order: Order
    offsets: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def read_samples(self) -> tuple[int, ...]:
        """The samples that are read, by number: colours, then alpha."""
        alpha = () if self.alpha is None else (self.alpha,)
        return (*range(self.colours.samples), *alpha)

    @property
    def channels(self) -> int:
        """Channels of the image once it is gray or RGB."""
        return (1 if self.colours.samples == 1 else 3) + (self.alpha is not None)

    @property
    def result_bits(self) -> int:
        """8 or 16: what the image has once it is read."""
        return 8 if self.bits <= 8 else 16

    @property
    def lost_depth(self) -> tuple[str, ...]:
        """A line if 16 bits hold less than the file's samples do."""
        if not self.floating and self.bits <= 16:
            return ()
        floats = f"{self.bits}-bit floating point rounded to whole numbers of 16 bits"
        return (floats if self.floating else f"{self.bits} bits read as 16",)


def segments_of(main: Directory) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Offsets and lengths of the strips or tiles."""
    if Tag.TILE_OFFSETS in main.fields:
        return main.integers(Tag.TILE_OFFSETS), main.integers(Tag.TILE_BYTE_COUNTS)
    return main.integers(Tag.STRIP_OFFSETS), main.integers(Tag.STRIP_BYTE_COUNTS)


def is_for_pillow(main: Directory) -> bool:
    """Tell if Pillow reads the page right: 8 bits at most, no planes, nothing unusual.

    Raises:
        FormatError: Neither Pillow nor `samples` reads it.
    """
    bits, floating = _depth(main)
    colours, compression = _colours(main), main.integer(Tag.COMPRESSION, Compression.NONE)
    if compression not in (*_OURS, *_BY_PILLOW_ALONE):
        raise not_read(COMPRESSION_NAMES.get(compression, f"compression {compression}"))
    if colours is Colours.CMYK:
        _require_cmyk(main)
    extra = main.integer(Tag.SAMPLES_PER_PIXEL, 1) - colours.samples
    kind = main.integer(Tag.EXTRA_SAMPLES, _STRAIGHT)
    beside = extra == 0 or (extra == 1 and bits == 8 and colours in (1, 2, 3))
    gray = colours in (0, 1, 3) and not extra
    whole = not floating and bits in (_PILLOW_GRAY_BITS if gray else (8,))
    planes = extra + colours.samples > 1 and main.integer(Tag.PLANAR_CONFIGURATION, 1) == 2
    reverse = main.integer(Tag.FILL_ORDER, 1) != 1 and bits > 1
    foreign = (
        (main.big and main.order == ">") or colours in _LABS or compression == Compression.WEBP
    )
    if whole and beside and not (planes or reverse or foreign):
        by_pillow_alone = compression in _BY_PILLOW_ALONE or colours in (3, 6)
        if kind != _PREMULTIPLIED or not extra or by_pillow_alone:
            return True
    if compression in _BY_PILLOW_ALONE or colours in (Colours.PALETTE, Colours.YCBCR):
        raise not_read(_in_words(main, bits, colours, planes=planes))
    return False


def _require_cmyk(main: Directory) -> None:
    """Check that the inks are those four, and that every further sample is said to be none."""
    samples = main.integer(Tag.SAMPLES_PER_PIXEL, 1)
    told = len(main.integers(Tag.EXTRA_SAMPLES)) + _CMYK_INKS
    inks = main.integer(Tag.NUMBER_OF_INKS, _CMYK_INKS)
    if main.integer(Tag.INK_SET, 1) == _OTHER_INKS or inks != _CMYK_INKS or samples != told:
        raise not_read(f"{samples} inks, not the four of CMYK")


def _in_words(main: Directory, bits: int, colours: Colours, *, planes: bool) -> str:
    name = Compression(main.integer(Tag.COMPRESSION, 1)).name.lower().replace("_", " ")
    samples = main.integer(Tag.SAMPLES_PER_PIXEL, 1)
    words = f"{colours.name.lower()}, {samples} samples of {bits} bits, compression {name}"
    big = ", big-endian BigTIFF" if main.big and main.order == ">" else ""
    return f"{words}{', in planes' * planes}{big}".replace("_", " ")


def _depth(main: Directory) -> tuple[int, bool]:
    """Bits a sample, and whether it is floating point."""
    every = set(main.integers(Tag.BITS_PER_SAMPLE, (1,)))
    kinds = set(main.integers(Tag.SAMPLE_FORMAT, (_UNSIGNED,)))
    if len(every) != 1 or len(kinds) != 1:
        raise not_read("samples of several sizes or number formats")
    (bits,), (kind,) = every, kinds
    if kind not in (_UNSIGNED, _FLOAT):
        raise not_read(f"{bits}-bit {_FORMAT_NAMES.get(kind, f'format {kind}')} samples")
    if bits not in (_FLOATS if kind == _FLOAT else (1, *_WHOLE)):
        floats = " floating-point" if kind == _FLOAT else ""
        raise not_read(f"{bits}-bit{floats} samples")
    return bits, kind == _FLOAT


def _colours(main: Directory) -> Colours:
    number = main.integer(Tag.PHOTOMETRIC, Colours.BLACK_IS_ZERO)
    try:
        return Colours(number)
    except ValueError:
        raise not_read(COLOUR_NAMES.get(number, f"colour space {number}")) from None


def layout_of(main: Directory) -> Layout:
    """The layout of a page that Pillow does not read right.

    Raises:
        FormatError: The file is of a kind that is not read, or contradicts itself.
    """
    bits, floating = _depth(main)
    colours = _colours(main)
    samples = main.integer(Tag.SAMPLES_PER_PIXEL, 1)
    width, height = main.integer(Tag.IMAGE_WIDTH, 0), main.integer(Tag.IMAGE_LENGTH, 0)
    tiled = Tag.TILE_OFFSETS in main.fields
    rows, columns = min(main.integer(Tag.ROWS_PER_STRIP, height), height), width
    if tiled:
        rows, columns = main.integer(Tag.TILE_LENGTH, 0), main.integer(Tag.TILE_WIDTH, 0)
    alpha = _alpha(main, colours, samples)
    offsets, counts = segments_of(main)
    layout = Layout(
        width=width,
        height=height,
        colours=colours,
        bits=bits,
        floating=floating,
        samples=samples,
        alpha=alpha[0] if alpha else None,
        premultiplied=bool(alpha) and alpha[1] == _PREMULTIPLIED,
        planes=samples if main.integer(Tag.PLANAR_CONFIGURATION, 1) == 2 else 1,
        rows=rows,
        columns=columns,
        tiled=tiled,
        compression=main.integer(Tag.COMPRESSION, Compression.NONE),
        predictor=main.integer(Tag.PREDICTOR, 1),
        reversed_bits=main.integer(Tag.FILL_ORDER, 1) != 1,
        order=main.order,
        offsets=offsets,
        counts=counts,
    )
    _require_read(layout)
    _require_consistent(layout)
    return layout


def _alpha(main: Directory, colours: Colours, samples: int) -> tuple[int, int] | tuple[()]:
    """Number and kind of the first sample that is alpha; a fourth of RGB is, if nothing is said."""
    untold = (_STRAIGHT,) if colours.samples < 4 else ()
    kinds = main.integers(Tag.EXTRA_SAMPLES, untold)[: max(0, samples - colours.samples)]
    found = ((at, kind) for at, kind in enumerate(kinds) if kind in (_PREMULTIPLIED, _STRAIGHT))
    return next(((colours.samples + at, kind) for at, kind in found), ())


def _require_read(layout: Layout) -> None:
    """Check that `samples` reads the compression, the predictor and the encoding of colours."""
    packed = layout.bits not in (8, 16, 32, 64)
    predictors = (1, 2) if not packed else (1,)
    if layout.floating:
        predictors = (1, 2, 3)
    if layout.predictor not in predictors:
        raise not_read(f"predictor {layout.predictor} at {layout.bits} bits")
    if layout.reversed_bits and layout.compression != Compression.NONE:
        raise not_read("compressed with its bits in reverse")
    whole = layout.bits == 8 and layout.planes == 1 and layout.samples in (3, 4)
    if layout.compression == Compression.WEBP and not (whole and layout.predictor == 1):
        raise not_read(f"WebP of {layout.samples} samples of {layout.bits} bits")
    measured = layout.colours in _LABS
    if measured and (layout.floating or layout.bits not in (8, 16) or layout.premultiplied):
        raise not_read("Lab of other than 8 or 16 bits, or with premultiplied alpha")


def _require_consistent(layout: Layout) -> None:
    if min(layout.width, layout.height, layout.rows, layout.columns) < 1:
        raise FormatError("its directory lacks the image's size or that of its strips")
    if layout.rows * layout.columns > layout.width * layout.height + _TILE_PIXELS:
        raise FormatError(
            f"its tiles of {layout.columns}x{layout.rows} are far larger than the image"
        )
    across, down = -(-layout.width // layout.columns), -(-layout.height // layout.rows)
    expected = across * down * layout.planes
    samples_fit = layout.colours.samples <= layout.samples <= _MAX_SAMPLES
    if not samples_fit or not len(layout.offsets) == len(layout.counts) == expected:
        raise FormatError(
            f"its {layout.samples} samples a pixel in {len(layout.offsets)} pieces do not fit "
            f"an image of {layout.width}x{layout.height}"
        )
