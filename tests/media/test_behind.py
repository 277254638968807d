"""Data behind the end of an image, and missing end markers, by format; XMP in every encoding."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.errors import UnreadableImage
from srcli.media import DecodedImage, Metadata, read_image, write_image

PICTURE = np.random.default_rng(7).integers(0, 256, (24, 32, 3), np.uint8)
CLIP = struct.pack(">I", 16) + b"ftypisom" + bytes(4) + b"video" * 20
FORMATS = ("png", "webp", "avif", "heic", "jxl", "jpeg", "bmp")


def written(folder: Path, format: str, **metadata: bytes) -> bytes:
    if format in ("heic", "jxl"):
        pytest.importorskip({"heic": "pillow_heif", "jxl": "pylibjxl"}[format])
    write_image(DecodedImage(PICTURE, format, Metadata(**metadata)), folder / "written")
    return (folder / "written").read_bytes()


def read(folder: Path, data: bytes) -> DecodedImage:
    (folder / "x").write_bytes(data)
    return read_image(folder / "x")


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def boxed(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


@pytest.mark.parametrize("format", FORMATS)
def test_what_stands_behind_an_image_is_named(tmp_path: Path, format: str) -> None:
    xmp = {"xmp": b"<x/>"} if format == "jxl" else {}  # in boxes, not as a bare stream
    picture = written(tmp_path, format, **xmp)
    alone = read(tmp_path, picture)
    assert alone.dropped == ()
    out = io.BytesIO()
    Image.fromarray(PICTURE).save(out, "JPEG")
    for tail, line in (
        (b"garbage" * 9, "63 bytes behind its end left out"),
        (CLIP, f"motion video, {len(CLIP)} bytes, left out"),
        (out.getvalue(), f"a second image, {len(out.getvalue())} bytes, left out"),
        (picture, f"a second image, {len(picture)} bytes, left out"),
    ):
        image = read(tmp_path, picture + tail)
        assert image.dropped == (line,)
        assert np.array_equal(image.pixels, alone.pixels)
    assert read(tmp_path, picture + bytes(999)).dropped == ()


@pytest.mark.parametrize("format", ["avif", "heic", "jxl"])
def test_boxes_beside_an_image_are_named(tmp_path: Path, format: str) -> None:
    xmp = {"xmp": b"<x/>"} if format == "jxl" else {}
    picture = written(tmp_path, format, **xmp)
    for kind, line in (
        (b"mpvd", "motion video, 70 bytes left out"),
        (b"sefd", "Samsung's trailer, 70 bytes left out"),
        (b"jhgm", "HDR gain map, 70 bytes left out"),
        (b"uuid", "box uuid, 70 bytes left out"),
    ):
        assert read(tmp_path, picture + boxed(kind, bytes(70))).dropped == (line,)
    assert read(tmp_path, picture + boxed(b"free", bytes(70))).dropped == ()


def test_chunks_of_webp_that_nobody_knows_are_named(tmp_path: Path) -> None:
    data = written(tmp_path, "webp", xmp=b"<x/>")
    more = b"ABCD" + struct.pack("<I", 4) + b"1234"
    data = b"RIFF" + struct.pack("<I", len(data) - 8 + len(more)) + data[8:] + more
    assert read(tmp_path, data).dropped == ("WebP chunks dropped: ABCD",)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_is_read_without_its_end_and_refused_without_a_row(
    tmp_path: Path, dtype: type[np.unsignedinteger]
) -> None:
    image = DecodedImage(PICTURE.astype(dtype), "png")  # type: ignore[arg-type]
    write_image(image, tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    for missing in range(1, 13):
        cut = read(tmp_path, whole[:-missing])
        assert np.array_equal(cut.pixels, image.pixels)
        assert "end marker is missing" in cut.dropped[0]
    head, _, pixels = whole[:-12].partition(b"IDAT")
    rows = zlib.decompress(pixels[:-4]) if pixels.count(b"IDAT") == 0 else b""
    short = head[:-4] + png_chunk(b"IDAT", zlib.compress(rows[: len(rows) // 2]))
    for data in (short, whole[:-13], whole[: len(whole) // 2]):
        with pytest.raises(UnreadableImage, match="cut short"):
            read(tmp_path, data)


PANORAMA = """<?xml version="1.0" encoding="UTF-16"?><rdf:Description
 xmlns:t="http://ns.adobe.com/tiff/1.0/" xmlns:g='http://ns.google.com/photos/1.0/panorama/'
 xmlns:d="http://ns.adobe.com/xap/1.0/sType/Dimensions#" t:Orientation="3" t:ImageWidth="32"
 g:FullPanoWidthPixels="128" g:CroppedAreaLeftPixels="5" g:InitialViewHeadingDegrees="8">
<g:CroppedAreaImageWidthPixels>32</g:CroppedAreaImageWidthPixels>
<g:CroppedAreaImageHeightPixels>24</g:CroppedAreaImageHeightPixels>
<g:CroppedAreaTopPixels>3</g:CroppedAreaTopPixels>
<mwg-rs:AppliedToDimensions d:w="32" d:h="24" d:unit="pixel"/>
<other d:w="8"/>Ñandú</rdf:Description>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("format", ["png", "jpeg", "tiff", "webp"])
def test_xmp_of_any_encoding_and_prefix_tells_of_the_larger_image(
    tmp_path: Path, format: str, encoding: str
) -> None:
    image = read(tmp_path, written(tmp_path, format, xmp=PANORAMA.encode(encoding)))
    if format in ("png", "webp"):
        assert np.array_equal(image.pixels[::-1, ::-1], PICTURE) or format == "webp"
    larger = image.pixels.repeat(3, axis=0).repeat(3, axis=1)
    write_image(DecodedImage(larger, format, image.metadata), tmp_path / "larger")
    text = (read_image(tmp_path / "larger").metadata.xmp or b"").decode()
    for expected in (
        *('t:Orientation="1"', 't:ImageWidth="96"', 'g:FullPanoWidthPixels="384"'),
        *('g:CroppedAreaLeftPixels="15"', 'g:InitialViewHeadingDegrees="8"'),
        *(">96</g:CroppedAreaImageWidth", ">72</g:CroppedAreaImageHeight"),
        *(">9</g:CroppedAreaTop", 'd:w="96" d:h="72" d:unit="pixel"', 'other d:w="8"', "Ñandú"),
    ):
        assert expected in text
    assert ('encoding="UTF-8"' in text) == (encoding != "utf-8")
