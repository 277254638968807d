"""Texts by which a killed run's segments and frames are recognised.

They are written out name by name: what is renamed in the code must not change them, or clips begun
by an earlier version would begin again.
"""

from srcli.media.video.choose_encoding import Encoding
from srcli.media.video.frames import ClipInfo
from srcli.media.video.probe import DecodeOptions

__all__ = ["key_of_encoding", "key_of_info", "key_of_reading"]


def key_of_reading(reading: DecodeOptions) -> str:
    """Options for reading a clip, as text.

    >>> key_of_reading(DecodeOptions())
    "Reading(start=Fraction(0, 1), duration=None, deinterlace=False, hdr='refuse')"
    """
    return (
        f"Reading(start={reading.start!r}, duration={reading.duration!r}, "
        f"deinterlace={reading.deinterlace!r}, hdr={reading.hdr!r})"
    )


def key_of_encoding(encoding: Encoding) -> str:
    """The chosen encoder with its options, as text.

    >>> key_of_encoding(Encoding("libx264", "yuv420p", {"crf": "18"}))
    "Encoding(encoder='libx264', pixel_format='yuv420p', options={'crf': '18'}, notes=())"
    """
    return (
        f"Encoding(encoder={encoding.encoder!r}, pixel_format={encoding.pixel_format!r}, "
        f"options={encoding.options!r}, notes={encoding.notes!r})"
    )


def key_of_info(info: ClipInfo) -> str:
    """Properties of a clip's frames, as text."""
    colour = info.colour
    return (
        f"ClipInfo(width={info.width!r}, height={info.height!r}, time_base={info.time_base!r}, "
        f"rate={info.rate!r}, frames={info.frames!r}, depth={info.depth!r}, "
        f"pixel_format={info.pixel_format!r}, has_alpha={info.has_alpha!r}, "
        f"aspect={info.aspect!r}, colour=Colour(full={colour.full!r}, "
        f"primaries={colour.primaries!r}, transfer={colour.transfer!r}, "
        f"matrix={colour.matrix!r}), shift={info.shift!r})"
    )
