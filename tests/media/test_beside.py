"""Metadata beside EXIF, XMP and profiles: carried where possible, named where not."""

import io
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, IptcImagePlugin, JpegImagePlugin, PngImagePlugin, features

from srcli.media import (
    DecodedImage,
    DecodeLimits,
    DecoderProcess,
    Metadata,
    MetadataPolicy,
    losses_in,
    read_image,
    write_image,
    write_pages,
)

CAPTION = b"\x1c\x02\x78\x00\x0cA bird, 1931"
BYLINE = b"\x1c\x02\x50\x00\x09Somebody!"
GAMMA = struct.pack(">I", 100_000)  # linear light
CORNERS = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)  # Display P3
PQ = bytes((9, 16, 0, 1))


@pytest.fixture
def image(noise: Callable[..., np.ndarray]) -> Image.Image:
    return Image.fromarray(noise(3))


def jpeg_segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 255, marker, len(data) + 2) + data


def resource(number: int, data: bytes, name: bytes = b"") -> bytes:
    named = bytes([len(name)]) + name
    named += bytes(len(named) % 2)
    return b"8BIM" + struct.pack(">H", number) + named + struct.pack(">I", len(data)) + data


def jpeg(path: Path, image: Image.Image, *segments: bytes) -> Path:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    data = buffer.getvalue()
    path.write_bytes(data[:2] + b"".join(segments) + data[2:])
    return path


def with_iptc(path: Path, image: Image.Image, iptc: bytes) -> Path:
    """IPTC as Photoshop writes it: among other resources, where it is long in several segments."""
    padded = resource(1005, bytes(16)) + resource(1028, iptc, b"odd") + bytes(len(iptc) % 2)
    padded += resource(2001, b"path") + resource(1000, b"print")
    pieces = [padded[at : at + 60_000] for at in range(0, len(padded), 60_000)]
    return jpeg(path, image, *(jpeg_segment(0xED, b"Photoshop 3.0\0" + one) for one in pieces))


def changed(image: DecodedImage, format: str, path: Path) -> Path:
    write_image(replace(image, format=format), path)
    return path


def test_iptc_goes_through_jpeg_and_tiff(tmp_path: Path, image: Image.Image) -> None:
    decoded = read_image(with_iptc(tmp_path / "x", image, CAPTION + BYLINE))
    assert decoded.dropped == ("JPEG segments dropped: Photoshop's paths",)
    for first, second in (("jpeg", "jpeg"), ("tiff", "jpeg"), ("tiff", "tiff")):
        assert losses_in(decoded, first) == decoded.dropped
        middle = read_image(changed(decoded, first, tmp_path / "middle"))
        assert losses_in(middle, second) == ()
        with Image.open(changed(middle, second, tmp_path / "end")) as made:
            said = IptcImagePlugin.getiptcinfo(made)
        assert said == {(2, 120): b"A bird, 1931", (2, 80): b"Somebody!"}
    assert losses_in(decoded, "png")[1:] == ("IPTC dropped: PNG cannot hold its 31 bytes",)


def test_iptc_of_several_segments(tmp_path: Path, image: Image.Image) -> None:
    iptc = (b"\x1c\x02\x19\x03\xe8" + b"keyword!" * 125) * 70
    decoded = read_image(with_iptc(tmp_path / "x", image, iptc))
    assert decoded.metadata.iptc == iptc
    line = f"IPTC dropped: JPEG cannot hold its {len(iptc)} bytes"
    assert line in losses_in(decoded, "jpeg")
    changed(decoded, "jpeg", tmp_path / "y")
    assert read_image(tmp_path / "y").metadata.iptc is None
    assert read_image(changed(decoded, "tiff", tmp_path / "z")).metadata.iptc == iptc


def test_a_tiff_of_pages_keeps_iptc(tmp_path: Path, image: Image.Image) -> None:
    decoded = read_image(with_iptc(tmp_path / "x", image, CAPTION))
    with write_pages("tiff", tmp_path / "y") as add:
        add(decoded)
        add(decoded)
    assert read_image(tmp_path / "y", page=1).metadata.iptc == CAPTION


def test_comments_of_jpeg(tmp_path: Path, image: Image.Image) -> None:
    comments = (b"first, \xe4", b"second", b"")
    segments = (jpeg_segment(0xFE, one) for one in comments)
    decoded = read_image(jpeg(tmp_path / "x", image, *segments))
    assert losses_in(decoded, "jpeg") == ()
    with Image.open(changed(decoded, "jpeg", tmp_path / "y")) as made:
        assert isinstance(made, JpegImagePlugin.JpegImageFile)
        assert [data for name, data in made.applist if name == "COM"] == list(comments)
    lines = losses_in(decoded, "png")
    assert lines == ("JPEG comments dropped: PNG cannot hold their 26 bytes",)


def test_segments_that_are_not_taken_over_are_named(tmp_path: Path, image: Image.Image) -> None:
    extension = b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)
    segments = [jpeg_segment(0xE1, extension)] * 2
    segments += [jpeg_segment(0xEC, b"Ducky\0\1"), jpeg_segment(0xE5, b"\n\0")]
    segments += [jpeg_segment(0xE2, b"ICC_PROFILE\0\1\2part")]
    decoded = read_image(jpeg(tmp_path / "x", image, *segments))
    assert decoded.dropped == (
        "JPEG segments dropped: extended XMP, APP12 Ducky, APP5",
        "ICC profile dropped: some of its segments are missing",
    )


def test_damaged_photoshop_data_end_the_search(tmp_path: Path, image: Image.Image) -> None:
    whole = resource(1028, CAPTION)
    for cut in range(1, len(whole)):
        segment = jpeg_segment(0xED, b"Photoshop 3.0\0" + resource(1005, b"ab") + whole[:-cut])
        decoded = read_image(jpeg(tmp_path / "x", image, segment))
        assert decoded.metadata.iptc in (None, CAPTION)  # the last byte but fills up


def test_what_is_wrong_with_exif_and_profiles_is_said(
    tmp_path: Path, icc: Callable[..., bytes], noise: Callable[..., np.ndarray]
) -> None:
    gray = Image.fromarray(noise(1)[..., 0])
    for format in ("JPEG", "PNG"):
        gray.save(tmp_path / "x", format, exif=b"Exif\0\0garbage!", icc_profile=icc(b"RGB "))
        image = read_image(tmp_path / "x")
        assert image.dropped == (
            "ICC profile dropped: it is for RGB, the image is gray",
            "EXIF dropped: damaged",
        )
        assert image.metadata.blobs == {}


def png(path: Path, image: Image.Image, *chunks: tuple[bytes, bytes]) -> Path:
    """A PNG with chunks before its pixels."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    data = buffer.getvalue()
    added = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    path.write_bytes(data[:33] + added + data[33:])
    return path


def chunks_of(path: Path) -> list[tuple[bytes, bytes]]:
    data, at = path.read_bytes(), 8
    found: list[tuple[bytes, bytes]] = []
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


TEXTS = [
    (b"tEXt", b"Title\0A bird"),
    (b"zTXt", b"Copyright\0\0" + zlib.compress(b"nobody")),
    (b"iTXt", b"Author\0\0\0de\0Verfasser\0J\xc3\xbcrgen"),
    (b"tEXt", b"Title\0Another bird"),
]
COLOURS = [(b"gAMA", GAMMA), (b"cHRM", CORNERS), (b"cICP", PQ)]


@pytest.mark.parametrize("bits", [8, 16])
def test_texts_and_colours_of_png(tmp_path: Path, image: Image.Image, bits: int) -> None:
    decoded = read_image(png(tmp_path / "x", image, *COLOURS, *TEXTS))
    if bits == 16:
        decoded = replace(decoded, pixels=decoded.pixels.astype(np.uint16) * 257)
    assert losses_in(decoded, "png") == ()
    found = chunks_of(changed(decoded, "png", tmp_path / "y"))
    assert [one for one in found if one in TEXTS] == TEXTS
    assert {one for one in found if one[0] in (b"gAMA", b"cHRM", b"cICP")} == set(COLOURS)
    assert [kind for kind, _ in found].index(b"cHRM") < [kind for kind, _ in found].index(b"IDAT")
    with Image.open(tmp_path / "y") as made:
        assert isinstance(made, PngImagePlugin.PngImageFile)
        assert made.text["Author"] == "Jürgen"
    lines = losses_in(decoded, "jpeg")[-3:]
    assert [line.partition(" dropped")[0] for line in lines] == [
        "PNG texts", "colours by gAMA or cHRM", "colours of primaries 9, transfer PQ",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([(b"gAMA", struct.pack(">I", 45455))], 0),
        ([(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 45454))], 0),
        ([(b"cICP", bytes((1, 13, 0, 1)))], 0),
        ([(b"gAMA", GAMMA)], 0),  # a profile says the same
        ([(b"cHRM", CORNERS)], 0),
        ([(b"cICP", bytes((12, 13, 0, 1)))], 0),
        ([(b"cICP", bytes((9, 18, 0, 1)))], 1),
    ],
)
def test_only_colours_that_are_not_usual_are_missed(
    tmp_path: Path, image: Image.Image, chunks: list[tuple[bytes, bytes]], lines: int
) -> None:
    decoded = read_image(png(tmp_path / "x", image, *chunks))
    for format in ("jpeg", "webp", "tiff", "avif"):
        assert len(losses_in(decoded, format)) == lines
    assert set(chunks) <= set(chunks_of(changed(decoded, "png", tmp_path / "y")))
    stripped = MetadataPolicy(strip=True).applied(decoded.metadata)
    assert stripped == decoded.metadata  # colours are no metadata that could be missed


def test_no_gps_leaves_out_what_people_wrote_freely(tmp_path: Path, image: Image.Image) -> None:
    comment = jpeg_segment(0xFE, b"52.5 N 13.4 E")
    jpeg(tmp_path / "x", image, comment, jpeg_segment(0xED, b"Photoshop 3.0\0" + resource(
        1028, CAPTION + b"\x1c\x02\x5a\x00\x06Berlin")))  # fmt: skip
    png(tmp_path / "y", image, (b"tEXt", b"Comment\0" + b"52.5 N 13.4 E in Berlin"))
    for name in "xy":
        decoded = read_image(tmp_path / name)
        left = MetadataPolicy(gps=False).applied(decoded.metadata)
        for format in ("jpeg", "png", "tiff"):
            changed(replace(decoded, metadata=left), format, tmp_path / "z")
            written = (tmp_path / "z").read_bytes()
            assert b"Berlin" not in written
            assert b"52.5" not in written


def test_all_of_it_comes_through_the_decoders_process(tmp_path: Path, image: Image.Image) -> None:
    segments = jpeg_segment(0xFE, b"said"), jpeg_segment(0xED, b"Photoshop 3.0\0" + resource(
        1028, CAPTION + b"\0"))  # fmt: skip
    with DecoderProcess(DecodeLimits()) as decoder:
        for path in (
            jpeg(tmp_path / "x", image, *segments),
            png(tmp_path / "y", image, *COLOURS, *TEXTS),
        ):
            blobs = decoder.read(path).image.metadata.blobs
            assert blobs == read_image(path).metadata.blobs
            assert blobs.keys() in ({"comments", "iptc"}, {"colour", "cicp", "texts"})


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_large_profile_of_png(
    tmp_path: Path, icc: Callable[..., bytes], noise: Callable[..., np.ndarray], dtype: type
) -> None:
    profile = icc(b"RGB ", 3 << 20)
    write_image(DecodedImage(noise(3, dtype), "png", Metadata(icc=profile)), tmp_path / "x")
    assert read_image(tmp_path / "x").metadata.icc == profile


@pytest.mark.parametrize(
    ("chunk", "line"),
    [
        ((b"iCCP", b"x\0\0" + zlib.compress(bytes(65 << 20))), "ICC profile .*, or above 64 MiB"),
        ((b"iCCP", b"x\0\0" + zlib.compress(b"short")[:-3]), "ICC profile dropped: damaged"),
        ((b"iCCP", b""), "ICC profile dropped: damaged"),
        ((b"tEXt", b"Raw profile type exif\0\nexif\n 4\nno digits\n"), "type exif dropped"),
        ((b"zTXt", b"Raw profile type exif\0\0damaged"), "type exif dropped"),
        ((b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0damaged"), "xmp dropped: damaged"),
        ((b"iTXt", b"XML:com.adobe.xmp"), "xmp dropped: damaged"),
        ((b"cICP", b"\1"), "cICP dropped: 1 bytes"),
        ((b"eXIf", b"garbage!"), "EXIF dropped: damaged"),
        ((b"caBX", b"who made it"), "PNG chunks dropped: caBX"),
        ((b"a\nBX", b""), "PNG chunks dropped: 610a4258"),
    ],
)
def test_damaged_metadata_of_png_cost_a_line(
    tmp_path: Path, image: Image.Image, chunk: tuple[bytes, bytes], line: str
) -> None:
    decoded = read_image(png(tmp_path / "x", image, chunk))
    np.testing.assert_array_equal(decoded.pixels, np.asarray(image))
    assert len(decoded.dropped) == 1
    assert re.search(line, decoded.dropped[0])
    assert decoded.metadata == Metadata()


def hdr(path: Path, format: str, pixels: np.ndarray) -> Path:
    """BT.2020 and PQ, as its writers' own options state it."""
    if format == "heic":
        library = pytest.importorskip("pillow_heif", reason="HEIC needs srcli[formats]")
        library.from_pillow(Image.fromarray(pixels)).save(
            path, quality=90, color_primaries=9, transfer_characteristics=16,
            matrix_coefficients=9, full_range_flag=1,
        )  # fmt: skip
        return path
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "AVIF")
    head, box, rest = buffer.getvalue().partition(b"colrnclx")
    path.write_bytes(head + box + b"\0\x09\0\x10" + rest[4:])
    return path


@pytest.mark.parametrize("format", ["heic", "avif"])
def test_colours_by_number(tmp_path: Path, noise: Callable[..., np.ndarray], format: str) -> None:
    image = read_image(hdr(tmp_path / "x", format, noise(3, height=64, width=64)))
    assert image.metadata.cicp == PQ
    (line,) = losses_in(image, "jpeg")
    assert line.startswith("colours of primaries 9, transfer PQ dropped: JPEG cannot state them")
    assert losses_in(image, "png") == ()
    assert (b"cICP", PQ) in chunks_of(changed(image, "png", tmp_path / "y"))
    if format == "heic":
        assert losses_in(image, "heic") == ()
        said = b"colrnclx\0\x09\0\x10"
        assert said in changed(image, "heic", tmp_path / "z").read_bytes()
    else:
        assert len(losses_in(image, "avif")) == 1
