"""`--no-gps`: exiftool finds no place in what is left."""

import json
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.media import MetadataPolicy, read_image, write_image
from srcli.media.exif import without_gps
from srcli.media.xmp import without_gps_xmp

PLACES = (
    "GPS", "Latitude", "Longitude", "Altitude", "City", "State", "Country", "Location", "Landmark",
    "Region",
)  # fmt: skip
SAID = (
    "-EXIF:GPSLatitude=52.52", "-EXIF:GPSLatitudeRef=N", "-EXIF:GPSLongitude=13.405",
    "-EXIF:GPSLongitudeRef=E", "-EXIF:GPSAltitude=34", "-EXIF:GPSAreaInformation=Mitte",
    "-XMP-exif:GPSLatitude=52.52", "-XMP-exif:GPSLongitude=13.405", "-XMP-exif:GPSAltitude=34",
    "-XMP-photoshop:City=Berlin", "-XMP-photoshop:State=Berlin", "-XMP-photoshop:Country=Germany",
    "-XMP-iptcCore:Location=Mitte", "-XMP-iptcCore:CountryCode=DE",
    "-XMP-iptcExt:LocationCreatedCity=Berlin", "-XMP-iptcExt:LocationShownSublocation=Mitte",
    "-XMP-iptcExt:LocationShownGPSLatitude=52.52",
    "-IPTC:City=Berlin", "-IPTC:Sub-location=Mitte", "-IPTC:Country-PrimaryLocationName=Germany",
    "-IPTC:ContentLocationName=Berlin", "-XMP-dc:Title=kept", "-EXIF:Artist=kept",
    "-EXIF:LensModel=kept lens",
)  # fmt: skip


def exiftool(*arguments: object) -> str:
    program = shutil.which("exiftool")
    if program is None:
        pytest.skip("exiftool is not installed (apt-get install libimage-exiftool-perl)")
    command = [program, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def places(path: Path) -> dict[str, object]:
    """All tags that exiftool finds and that are a place by their name, in any group."""
    (found,) = json.loads(exiftool("-json", "-a", "-u", "-G1", "-ee3", path))
    own = ("System:", "File:", "ExifTool:", "ICC", "Composite:Hyper", "SourceFile")
    return {
        name: value
        for name, value in found.items()
        if not name.startswith(own) and any(place in name.partition(":")[2] for place in PLACES)
    }


def panasonic() -> bytes:
    """An EXIF block with a maker note in which Panasonic's cameras name the city."""
    city = b"Berlin".ljust(8, b"\0")
    make_at = 8 + 2 + 2 * 12 + 4
    details_at = make_at + 10
    note_at = details_at + 2 + 12 + 4
    city_at = note_at + 12 + 2 + 12 + 4
    note = b"Panasonic\0\0\0" + struct.pack("<HHHIII", 1, 0x6D, 7, len(city), city_at, 0) + city
    main = struct.pack("<HHHIIHHIII", 2, 271, 2, 10, make_at, 34665, 4, 1, details_at, 0)
    details = struct.pack("<HHHIII", 1, 37500, 7, len(note), note_at, 0)
    return b"II*\0\x08\0\0\0" + main + b"Panasonic\0" + details + note


def photograph(path: Path) -> Path:
    pixels = np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)
    Image.fromarray(pixels).save(path, exif=b"Exif\0\0" + panasonic())
    exiftool("-overwrite_original", *SAID, path)
    return path


@pytest.mark.parametrize("source", ["jpg", "tif", "png", "webp"])
def test_no_place_is_left_in_any_format(tmp_path: Path, source: str) -> None:
    path = photograph(tmp_path / f"a.{source}")
    before = places(path)
    assert any(name.startswith("GPS:") for name in before)
    assert any(name.startswith("XMP-") for name in before)
    if source == "jpg":
        assert before["Panasonic:City"] == "Berlin"
    image = read_image(path)
    metadata = MetadataPolicy(gps=False).applied(image.metadata)
    assert metadata.exif is not None
    assert metadata.xmp is not None
    every = ("jpeg", "png", "webp", "tiff", "avif", "heic", "jxl")
    for format in every if source == "jpg" else ("jpeg",):
        if format == "heic":
            pytest.importorskip("pillow_heif")
        if format == "jxl":
            pytest.importorskip("pylibjxl")
        made = tmp_path / f"b.{format}"
        changed = type(image)(image.pixels, format, metadata)
        write_image(changed, made)
        assert places(made) == {}
        for place in (b"Berlin", b"Mitte", b"Germany"):
            assert place not in made.read_bytes()
        (told,) = json.loads(exiftool("-json", "-Artist", "-Title", "-LensModel", made))
        if format != "jxl":  # compressed there; this exiftool does not look into it
            assert (told["Artist"], told["Title"], told["LensModel"]) == (
                "kept", "kept", "kept lens")  # fmt: skip
        back = read_image(made).metadata
        assert b"kept lens" in (back.exif or b"")
        assert b"kept" in (back.xmp or b"")
        for place in (b"Berlin", b"Mitte", b"Germany", b"GPS"):
            assert place not in (back.exif or b"") + (back.xmp or b"")


@pytest.mark.parametrize(
    "packet",
    [
        b'<rdf:D drone-dji:GpsLatitude="52.5" drone-dji:RelativeAltitude=\'+3\' a:b="1"/>',
        b'<x><ns1:GPSLongitude xml:lang="x">13</ns1:GPSLongitude><a:b>1</a:b></x>',
        b"<x><geo:lat>52</geo:lat><geo:long>13</geo:long><a:b>1</a:b></x>",
        b'<x><e:LocationShown><r:Bag><r:li e:City="B"/></r:Bag></e:LocationShown><a:b>1</a:b></x>',
        b'<x photoshop:City="B" p:Country="D" Iptc4xmpCore:Location="M"><a:b>1</a:b></x>',
    ],
)
def test_places_in_xmp_by_any_prefix(packet: bytes) -> None:
    left = without_gps_xmp(packet)
    assert left is not None
    assert b"a:b" in left
    for digit in (b"52", b"13<", b"+3", b'"B"', b'"D"', b'"M"'):
        assert digit not in left


def test_what_cannot_be_understood_goes_whole() -> None:
    assert without_gps_xmp("<x exif:GPSLatitude='52'/>".encode("utf-16")) is None
    assert without_gps_xmp(b"<exif:GPSLatitude>52") is None
    assert without_gps_xmp(b"<a:GPSx>" * 200_000) is None
    assert without_gps(b"II*\0\xff\xff\xff\xff") is None


def test_bytes_to_which_nothing_points_go_too(exif) -> None:
    block = exif(1) + b"left by an editor: 52.52 N"
    left = without_gps(block)
    assert left is not None
    assert b"52.52" not in left
    assert b"maker note" not in left
    assert b"Camera" in left


def test_tags_of_clips_by_whole_words() -> None:
    tags = {
        "STATE": "Berlin",
        "place": "x",
        "xmp": "<x exif:GPSLatitude='1'/>",
        "statement": "kept",
    }
    assert MetadataPolicy(gps=False).tags(tags) == {"statement": "kept"}
