"""Name the parts of a TIFF page that are neither pixels nor kept."""

from PIL import TiffTags

from srcli.media.exif import DESCRIBED
from srcli.media.ifd import Directory
from srcli.media.tiff_tags import Tag

__all__ = ["dropped_tags"]

_SHOWN = 8
# What a reader needs in order to make sense of the pixels, besides what `Tag` names: threshold,
# cells, free bytes, gray response, fax options, transfer and white and primaries, palette and
# halftones, fax errors, inks, JPEG's tables and streams, YCbCr, padding.
_ABOUT_PIXELS = frozenset(
    (
        *(263, 264, 265, 280, 281, 288, 289, 290, 291, 292, 293, 301, 318, 319, 320, 321),
        *(326, 327, 328, 332, 333, 334, 336, 337, 340, 341, 342, 347),
        *(512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 59932),
    )
)


def dropped_tags(page: Directory) -> tuple[str, ...]:
    """A line that names the fields of a page that are not taken over; none if there are none."""
    known = DESCRIBED | _ABOUT_PIXELS | {int(tag) for tag in Tag} - {int(Tag.SUB_IFDS)}
    names = [f"{TiffTags.lookup(tag).name} ({tag})" for tag in page.fields if tag not in known]
    if not names:
        return ()
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (f"TIFF tags dropped: {', '.join(names[:_SHOWN])}{more}",)
