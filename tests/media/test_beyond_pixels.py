"""Files besides their pixels: EXIF in AVIF, profiles of BMP, trailers of JPEG, missing ends."""

import io
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from srcli.errors import UnreadableImage
from srcli.media import DecodedImage, Metadata, losses_in, probe, read_image, write_image

PICTURE = np.random.default_rng(7).integers(0, 256, (24, 32, 3), np.uint8)


def jpeg(**options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(PICTURE).save(out, "JPEG", quality=90, **options)  # type: ignore[arg-type]
    return out.getvalue()


def read(path: Path, data: bytes) -> DecodedImage:
    path.write_bytes(data)
    return read_image(path)


def block(order: str, orientation: int = 1) -> bytes:
    """An EXIF block with a text in UTF-8 and bytes at an offset that nothing else may move."""
    text = "Jürgen Ñandú".encode() + b"\0"
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    entries = struct.pack(order + "H", 2)
    entries += struct.pack(order + "HHIHH", 274, 3, 1, orientation, 0)
    entries += struct.pack(order + "HHII", 315, 2, len(text), 38)
    return head + entries + bytes(4) + text + b"maker's own"


@pytest.mark.parametrize("order", ["<", ">"])
def test_avif_keeps_exif_byte_for_byte_however_the_picture_is_turned(
    tmp_path: Path, order: str
) -> None:
    exif = block(order)
    image = DecodedImage(PICTURE, "avif", Metadata(exif=exif))
    write_image(image, tmp_path / "x.avif")
    assert exif in (tmp_path / "x.avif").read_bytes()
    turned = (tmp_path / "x.avif").read_bytes().replace(exif, block(order, 6))
    again = read(tmp_path / "y.avif", turned)
    assert again.pixels.shape == PICTURE.shape  # EXIF has no say in AVIF
    assert again.metadata.exif == exif
    with Image.open(tmp_path / "x.avif") as opened:
        opened.save(tmp_path / "z.avif", exif=Image.Exif())
        exif_of_turn = Image.Exif()
        exif_of_turn[274] = 6
        opened.save(tmp_path / "z.avif", exif=exif_of_turn)
    assert read_image(tmp_path / "z.avif").pixels.shape == (32, 24, 3)


def test_xmp_does_not_turn_avif(tmp_path: Path) -> None:
    xmp = b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    image = DecodedImage(PICTURE, "avif", Metadata(xmp=xmp))
    write_image(image, tmp_path / "x.avif")
    again = read_image(tmp_path / "x.avif")
    assert again.pixels.shape == PICTURE.shape
    assert b'Orientation="1"' in (again.metadata.xmp or b"")


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def bmp(header: int, bits: int, rows: bytes, extra: bytes, compression: int = 3) -> bytes:
    head = struct.pack("<IiiHHII16x", header, 2, 1, 1, bits, compression, len(rows)) + extra
    at = 14 + len(head)
    return b"BM" + struct.pack("<IHHI", at + len(rows), 0, 0, at) + head + rows


@pytest.mark.parametrize(
    ("masks", "bits", "pixel", "expected"),
    [
        ((0xF00, 0xF0, 0xF, 0xF000), 16, 0x8F00, (255, 0, 0, 136)),
        ((0x7C00, 0x3E0, 0x1F, 0x8000), 16, 0x801F, (0, 0, 255, 255)),
        ((0x30, 0xE, 0x1, 0), 16, 0x31, (255, 0, 255)),
        ((0xFF0000, 0xFF000000, 0xFF00, 0), 32, 0x00FF8000, (255, 0, 128)),
        ((0xFC000000, 0x3F80000, 0x7C000, 0x3C00), 32, 0xFC003C00, (255, 0, 0, 255)),
    ],
)
def test_bmp_masks_of_any_kind(
    tmp_path: Path, masks: tuple[int, ...], bits: int, pixel: int, expected: tuple[int, ...]
) -> None:
    rows = struct.pack("<2H" if bits == 16 else "<2I", pixel, pixel)
    image = read(tmp_path / "x.bmp", bmp(56, bits, rows, struct.pack("<4I", *masks)))
    assert image.pixels[0, 0].tolist() == list(expected)
    assert probe(tmp_path / "x.bmp").channels == len(expected)


def test_bmp_kinds_that_are_not_read_are_not_called_damaged(tmp_path: Path) -> None:
    for data in (bmp(40, 24, bytes(8), b"", compression=9), bmp(15, 24, bytes(8), b"")):
        with pytest.raises(UnreadableImage, match=r"a kind of BMP .* convert it to PNG"):
            read(tmp_path / "x.bmp", data)


def test_bmp_keeps_its_profile(tmp_path: Path) -> None:
    image = DecodedImage(PICTURE, "bmp", Metadata(icc=srgb()))
    assert losses_in(image, "bmp") == ()
    write_image(image, tmp_path / "x.bmp")
    again = read_image(tmp_path / "x.bmp")
    assert again.metadata.icc == srgb()
    assert np.array_equal(again.pixels, PICTURE)


def test_colours_by_number_become_a_profile_of_the_same_colours(tmp_path: Path) -> None:
    p3 = DecodedImage(PICTURE, "jpeg", Metadata(cicp=bytes((12, 13, 0, 1))))
    assert losses_in(p3, "jpeg") == ()
    write_image(p3, tmp_path / "x.jpg")
    profile = ImageCms.ImageCmsProfile(
        io.BytesIO(read_image(tmp_path / "x.jpg").metadata.icc or b"")
    )
    red = ImageCms.profileToProfile(
        Image.new("RGB", (1, 1), (200, 0, 0)), profile, ImageCms.createProfile("sRGB"),
        outputMode="RGB",
    )  # fmt: skip
    assert red is not None
    assert red.getpixel((0, 0))[0] > 215  # more red than sRGB's 200: about 219
    hdr = replace(p3, metadata=Metadata(cicp=bytes((9, 16, 0, 1))))
    assert any("PQ" in line for line in losses_in(hdr, "jpeg"))


def gray_curve(gamma: float) -> bytes:
    from srcli.media.icc import Colours, gray_profile

    return gray_profile(Colours(curve=(gamma,)))


@pytest.mark.parametrize("format", ["webp", "avif", "bmp"])
def test_gray_with_a_profile_looks_the_same_where_it_becomes_rgb(
    tmp_path: Path, format: str
) -> None:
    gray = np.full((24, 24, 1), 55, np.uint8)
    image = DecodedImage(gray, format, Metadata(icc=gray_curve(1.0)))
    assert "gray profile" in " ".join(losses_in(image, format))
    write_image(image, tmp_path / "x")
    again = read_image(tmp_path / "x")
    profile = ImageCms.ImageCmsProfile(io.BytesIO(again.metadata.icc or b""))
    seen = ImageCms.profileToProfile(
        Image.fromarray(again.pixels[..., :3]), profile, ImageCms.createProfile("sRGB"),
        outputMode="RGB",
    )  # fmt: skip
    assert abs(np.asarray(seen).mean() - 127.5) < 4  # linear 55/255 is 0.5 in sRGB


CLIP = struct.pack(">I", 16) + b"ftypisom" + bytes(4) + b"video" * 20
XMP = (
    b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'xmlns:G="http://ns.google.com/photos/1.0/camera/" '
    b'xmlns:Q="http://ns.google.com/photos/1.0/container/" dc:creator="Ana" G:MotionPhoto="1">'
    b"<Q:Directory><rdf:li Q:Length='9'/></Q:Directory></rdf:Description>"
)


def afcp(records: bytes, at: int) -> bytes:
    entry = b"IPTC" + struct.pack(">II", len(records), at + 24)
    return (
        b"AXS!"
        + struct.pack(">HHI", 1, 1, 0)
        + entry
        + records
        + b"AXS!"
        + struct.pack(">II", at, 0)
    )


def test_what_is_appended_to_a_jpeg_is_named(tmp_path: Path) -> None:
    picture = jpeg(xmp=XMP)
    image = read(tmp_path / "x.jpg", picture + CLIP)
    assert image.dropped == (f"motion video, {len(CLIP)} bytes, left out",)
    xmp = image.metadata.xmp or b""
    assert b'dc:creator="Ana"' in xmp
    assert not any(word in xmp for word in (b"Motion", b"Directory", b"Q:"))
    assert read(tmp_path / "x.jpg", picture + bytes(900)).dropped == ()
    iptc = b"\x1c\x02\x78\x00\x05Titel"
    mechanic = b"edits" + struct.pack(">I", 5) + b"cbipcbbl"
    image = read(tmp_path / "x.jpg", picture + afcp(iptc, len(picture)) + mechanic)
    assert image.metadata.iptc == iptc
    assert image.dropped == (
        f"Photo Mechanic's trailer (soft edits), {len(mechanic)} bytes, left out",
    )
    image = read(tmp_path / "x.jpg", picture + jpeg())
    assert image.dropped == (f"a second image, {len(jpeg())} bytes, left out",)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"subsampling": 0}]
)
def test_a_jpeg_is_read_without_its_end_marker_and_refused_without_a_block(
    tmp_path: Path, options: dict[str, object]
) -> None:
    whole = jpeg(**options)
    expected = read(tmp_path / "x.jpg", whole).pixels
    for data in (whole[:-2], whole[:-1], whole[:-2] + bytes(700)):
        image = read(tmp_path / "x.jpg", data)
        assert np.array_equal(image.pixels, expected)
        assert "end marker is missing" in image.dropped[0]
    for cut in range(4, len(whole) // 3, 5):
        with pytest.raises(UnreadableImage, match="cut short"):
            read(tmp_path / "x.jpg", whole[:-cut])
        with pytest.raises(UnreadableImage, match="cut short"):
            read(tmp_path / "x.jpg", whole[:-cut] + bytes(700))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_png_key_colours_of_every_depth_become_alpha(tmp_path: Path, bits: int) -> None:
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    row = {1: 0b01000000, 2: 0b00010000, 4: 0x01, 8: 0x00}[bits]
    raw = b"\0" + bytes([row] + ([1] if bits == 8 else []))
    header = struct.pack(">IIBBBBB", 2, 1, bits, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"tRNS", b"\0\1")
    data += chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    image = read(tmp_path / "x.png", data)
    assert image.pixels[0, :, 1].tolist() == [255, 0]


@pytest.mark.parametrize("format", ["png", "jpeg", "tiff", "bmp", "webp", "avif"])
@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF"])
def test_pixels_that_are_not_square_stay_so_or_it_is_said(
    tmp_path: Path, name: str, format: str
) -> None:
    out = io.BytesIO()
    Image.fromarray(PICTURE).save(out, name, dpi=(288, 144))
    data = out.getvalue()
    if name == "PNG":  # of no unit
        at = data.index(b"pHYs")
        import zlib

        body = b"pHYs" + struct.pack(">IIB", 2, 1, 0)
        data = data[:at] + body + struct.pack(">I", zlib.crc32(body)) + data[at + 17 :]
    if name == "JPEG":
        data = data.replace(b"JFIF\0\1\1\1", b"JFIF\0\1\1\0")
    image = replace(read(tmp_path / "x", data), format=format)
    write_image(image, tmp_path / "y")
    lines = losses_in(image, format)
    dpi = read_image(tmp_path / "y").metadata.dpi
    if dpi is None:
        assert any("square" in line for line in lines)
    else:
        assert dpi[0] / dpi[1] == pytest.approx(2, abs=0.02)
        assert lines == ()


@pytest.mark.parametrize(
    "text", ['{"shape": [24, 32, 3]}', "ImageJ=1.53\nunit=micron", '<?xml?><OME SizeX="32"/>']
)
def test_a_description_with_sizes_is_left_out_and_it_is_said(tmp_path: Path, text: str) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "x.tif", description=text)
    image = read_image(tmp_path / "x.tif")
    assert text.encode() not in (image.metadata.exif or b"")
    assert "description left out" in " ".join(image.dropped)
    Image.fromarray(PICTURE).save(tmp_path / "x.tif", description="a day at the sea")
    assert b"a day at the sea" in (read_image(tmp_path / "x.tif").metadata.exif or b"")
