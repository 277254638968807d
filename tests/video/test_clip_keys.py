"""Keys of interrupted clips stay what version f8df6d1 wrote, so that its segments are resumed."""

from dataclasses import fields
from fractions import Fraction

from srcli.jobs.clip_keys import key_of_encoding, key_of_info, key_of_reading
from srcli.media.video.choose_encoding import Encoding
from srcli.media.video.colour import Colour
from srcli.media.video.frames import ClipInfo
from srcli.media.video.probe import DecodeOptions

READING = DecodeOptions(Fraction(3, 2), Fraction(5), True, "tonemap")
ENCODING = Encoding("libx264", "yuv420p10le", {"crf": "18", "preset": "slow"}, ("a note",))
INFO = ClipInfo(
    *(640, 360, Fraction(1, 90000), Fraction(30000, 1001), 250, 10, "yuv420p10le", False),
    *(Fraction(1), Colour(full=False, primaries=9, transfer=16, matrix=9), 7),
)


def test_keys_are_those_that_were_written_before():
    assert key_of_reading(READING) == (
        "Reading(start=Fraction(3, 2), duration=Fraction(5, 1), deinterlace=True, hdr='tonemap')"
    )
    assert key_of_encoding(ENCODING) == (
        "Encoding(encoder='libx264', pixel_format='yuv420p10le', "
        "options={'crf': '18', 'preset': 'slow'}, notes=('a note',))"
    )
    assert key_of_info(INFO) == (
        "ClipInfo(width=640, height=360, time_base=Fraction(1, 90000), "
        "rate=Fraction(30000, 1001), frames=250, depth=10, pixel_format='yuv420p10le', "
        "has_alpha=False, aspect=Fraction(1, 1), colour=Colour(full=False, primaries=9, "
        "transfer=16, matrix=9), shift=7)"
    )


def test_every_field_is_part_of_its_key():
    for value, key in (
        (READING, key_of_reading(READING)),
        (ENCODING, key_of_encoding(ENCODING)),
        (INFO, key_of_info(INFO)),
        (INFO.colour, key_of_info(INFO)),
    ):
        for field in fields(value):
            assert f"{field.name}=" in key
