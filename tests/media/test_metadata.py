"""Orientation, ICC, EXIF, XMP and resolution, through every format that holds them."""

import dataclasses
import io

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps, TiffImagePlugin

from srcli.media import DecodedImage, Metadata, probe, read_image, write_image

XMP = b'<x:xmpmeta><a tiff:Orientation="6" exif:PixelXDimension="36"/></x:xmpmeta>'


def save(image, format, block, path, **options):
    """Let Pillow write an orientation into a file of any format."""
    if format == "TIFF":
        exif = Image.Exif()
        exif.load(b"Exif\0\0" + block)
        options["tiffinfo"] = {274: exif[274]}
    else:
        options["exif"] = b"Exif\0\0" + block
    image.save(path, format, **options)


def corner_means(pixels):
    return [float(pixels[y, x, 0]) for y in (2, -3) for x in (2, -3)]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_baked_in_and_reset(tmp_path, exif, corners, format, orientation):
    image = Image.fromarray(corners.repeat(3, axis=2))
    save(image, format, exif(orientation), tmp_path / "image")
    with Image.open(tmp_path / "image") as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    decoded = read_image(tmp_path / "image")
    np.testing.assert_array_equal(decoded.pixels, expected)
    info = probe(tmp_path / "image")
    assert (info.height, info.width) == expected.shape[:2]

    write_image(decoded, tmp_path / "again")
    with Image.open(tmp_path / "again") as again:
        assert again.getexif().get(274, 1) == 1
        assert again.size == expected.shape[1::-1]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_16_bit_png(tmp_path, exif, noise, png16, png_chunk, orientation):
    pixels = noise(3, np.uint16)
    behind = png_chunk(b"eXIf", exif(orientation))
    (tmp_path / "image").write_bytes(png16(pixels, after=behind))
    assert_turned(tmp_path / "image", pixels, orientation)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_16_bit_tiff(tmp_path, noise, orientation):
    pixels = noise(3, np.uint16)
    tags = [(274, 3, 1, orientation, True)]
    tifffile.imwrite(tmp_path / "image", pixels, photometric="rgb", extratags=tags)
    assert_turned(tmp_path / "image", pixels, orientation)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_stale_xmp_has_no_say_beside_the_orientation_of_tiff(tmp_path, noise, dtype):
    pixels = noise(3, dtype)
    tags = [(274, 3, 1, 1, True), (700, 1, len(XMP), XMP, True)]
    tifffile.imwrite(
        tmp_path / "image", pixels, photometric="rgb", extratags=tags, resolution=(300, 150),
        resolutionunit=2,
    )  # fmt: skip
    image = read_image(tmp_path / "image")
    np.testing.assert_array_equal(image.pixels, pixels)
    assert (probe(tmp_path / "image").width, image.width) == (36, 36)
    assert image.metadata.dpi == pytest.approx((300, 150))
    assert b'tiff:Orientation="1"' in (image.metadata.xmp or b"")


def test_xmp_turns_a_tiff_without_orientation(tmp_path, noise):
    pixels = noise(3, np.uint16)
    tags = [(700, 1, len(XMP), XMP, True)]
    tifffile.imwrite(tmp_path / "image", pixels, photometric="rgb", extratags=tags)
    np.testing.assert_array_equal(read_image(tmp_path / "image").pixels, np.rot90(pixels, 3))


def assert_turned(path, pixels, orientation):
    """Compare with Pillow's turn of an image that names each pixel of the source."""
    height, width, _ = pixels.shape
    index = np.arange(height * width, dtype=np.int32).reshape(height, width)
    image = Image.fromarray(index)
    image.getexif()[274] = orientation
    order = np.asarray(ImageOps.exif_transpose(image))
    expected = pixels.reshape(-1, 3)[order]
    np.testing.assert_array_equal(read_image(path).pixels, expected)
    assert (probe(path).height, probe(path).width) == expected.shape[:2]


def test_xmp_orientation_counts_where_exif_is_silent(tmp_path, corners):
    image = Image.fromarray(corners[..., 0])
    image.save(tmp_path / "image", "JPEG", xmp=XMP)
    decoded = read_image(tmp_path / "image")
    assert decoded.pixels.shape == (32, 16, 1)
    assert b'tiff:Orientation="1"' in decoded.metadata.xmp


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_metadata_go_round(tmp_path, exif, icc, noise, format, order, dtype):
    """Every field comes back; pixel dimensions are those of the new image."""
    metadata = Metadata(
        icc(b"RGB ", 300), exif(1, order), XMP.replace(b'"6"', b'"1"'), (300.0, 240.0)
    )
    image = DecodedImage(noise(3, dtype, 46, 72), format, metadata)
    write_image(image, tmp_path / "image")
    back = read_image(tmp_path / "image").metadata
    assert back.icc == metadata.icc
    assert b'exif:PixelXDimension="72"' in back.xmp
    details = exif_of(back.exif).get_ifd(0x8769)
    assert (details[40962], details[40963]) == (72, 46)
    assert details[37500] == b"maker note!!"
    assert exif_of(back.exif)[271] == "Camera"
    if format != "webp":
        assert back.dpi == pytest.approx((300, 240), abs=0.02)


def exif_of(block):
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + block)
    return exif


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_exif_keeps_its_place_and_loses_its_thumbnail(tmp_path, exif, corners, format):
    block = exif(6)
    Image.fromarray(corners[..., 0]).save(tmp_path / "image", format, exif=b"Exif\0\0" + block)
    back = read_image(tmp_path / "image").metadata.exif
    assert b"thumbnail" not in back
    assert back.index(b"maker note!!") == block.index(b"maker note!!")
    assert exif_of(back).get_ifd(1) == {}


def test_maker_note_keeps_its_offset_in_tiff(tmp_path, exif, noise):
    block = exif(1)
    write_image(DecodedImage(noise(3), "tiff", Metadata(exif=block)), tmp_path / "image")
    data = (tmp_path / "image").read_bytes()
    assert data.index(b"maker note!!") == block.index(b"maker note!!")
    with tifffile.TiffFile(tmp_path / "image") as file:
        assert file.pages[0].tags["ExifTag"].value["MakerNote"] == b"maker note!!"
        assert len(file.pages) == 1


def test_a_thumbnail_before_other_data_is_blanked(tmp_path, exif, corners):
    block = exif(1) + b"more data"
    image = Image.fromarray(corners[..., 0])
    image.save(tmp_path / "image", "JPEG", exif=b"Exif\0\0" + block)
    back = read_image(tmp_path / "image").metadata.exif
    assert len(back) == len(block)
    assert b"thumbnail" not in back


def test_large_pixel_dimensions_outgrow_their_short_fields(tmp_path, exif):
    image = DecodedImage(np.zeros((1, 70_000, 1), np.uint8), "png", Metadata(exif=exif(1, ">")))
    write_image(image, tmp_path / "image")
    assert exif_of(read_image(tmp_path / "image").metadata.exif).get_ifd(0x8769)[40962] == 70000


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_damaged_exif_is_dropped(tmp_path, corners, format):
    image = Image.fromarray(corners[..., 0])
    for block in (
        b"",
        b"II",
        b"garbage!" * 4,
        b"II*\0\xff\xff\xff\xff",
        b"II+\0" + bytes(40),
        b"II*\0\x08\0\0\0\xff\xff",
    ):
        if format != "TIFF":
            image.save(tmp_path / "image", format, exif=b"Exif\0\0" + block)
            assert read_image(tmp_path / "image").metadata.exif is None


def test_exif_of_tiff_is_put_together_from_its_fields(tmp_path, corners):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[271], tags[274] = "Camera", 6
    tags[0x8769], tags[0x8825] = {37386: 50.0}, {1: "N"}
    Image.fromarray(corners[..., 0]).save(tmp_path / "image", "TIFF", tiffinfo=tags)
    back = exif_of(read_image(tmp_path / "image").metadata.exif)
    assert (back[271], back[274]) == ("Camera", 1)
    assert back.get_ifd(0x8769)[37386] == 50
    assert back.get_ifd(0x8825)[1] == "N"


def test_exif_that_imagemagick_wrote_as_text(tmp_path, exif, corners, png_chunk):
    from zlib import compress

    text = "\nexif\n      20\n" + (b"Exif\0\0" + exif(6)).hex() + "\n"
    chunk = png_chunk(b"zTXt", b"Raw profile type exif\0\0" + compress(text.encode()))
    buffer = io.BytesIO()
    Image.fromarray(corners[..., 0]).save(buffer, "PNG")
    data = buffer.getvalue()
    (tmp_path / "image").write_bytes(data[:33] + chunk + data[33:])
    image = read_image(tmp_path / "image")
    assert image.pixels.shape == (32, 16, 1)
    assert exif_of(image.metadata.exif)[271] == "Camera"


@pytest.mark.parametrize("format", ["png", "jpeg", "tiff"])
def test_gray_images_keep_a_gray_profile(tmp_path, icc, noise, format):
    metadata = Metadata(icc=icc(b"GRAY"))
    write_image(DecodedImage(noise(1), format, metadata), tmp_path / "image")
    assert read_image(tmp_path / "image").metadata.icc == metadata.icc


@pytest.mark.parametrize(("channels", "space"), [(1, b"RGB "), (3, b"GRAY"), (3, b"CMYK")])
def test_a_profile_of_another_colour_space_is_dropped(tmp_path, icc, noise, channels, space):
    metadata = Metadata(icc=icc(space))
    write_image(DecodedImage(noise(channels), "png", metadata), tmp_path / "image")
    assert read_image(tmp_path / "image").metadata.icc is None


def test_resolution_turns_with_the_image(tmp_path, exif, corners):
    image = Image.fromarray(corners[..., 0])
    for format in ("JPEG", "TIFF"):
        save(image, format, exif(6), tmp_path / "image", dpi=(300, 150))
        assert read_image(tmp_path / "image").metadata.dpi == pytest.approx((150, 300))


def test_an_impossible_resolution_is_dropped(tmp_path, corners):
    for dpi in ((0.001, 300), (4e9, 4e9)):
        image = Image.fromarray(corners[..., 0])
        image.save(tmp_path / "image", "TIFF", dpi=dpi)
        assert read_image(tmp_path / "image").metadata.dpi is None


def test_no_resolution_stays_none(tmp_path, noise):
    for format in ("png", "jpeg", "tiff", "bmp"):
        write_image(DecodedImage(noise(3), format), tmp_path / "image")
        assert read_image(tmp_path / "image").metadata == Metadata()


def test_metadata_cross_from_one_format_to_any_other(tmp_path, exif, icc, noise):
    metadata = Metadata(icc(b"RGB ", 300), exif(1), XMP.replace(b'"6"', b'"1"'), (300.0, 300.0))
    for source in ("png", "jpeg", "webp", "tiff"):
        write_image(DecodedImage(noise(3), source, metadata), tmp_path / "source")
        image = read_image(tmp_path / "source")
        for target in ("png", "jpeg", "webp", "tiff"):
            write_image(dataclasses.replace(image, format=target), tmp_path / "target")
            back = read_image(tmp_path / "target").metadata
            assert back.icc == metadata.icc
            assert exif_of(back.exif).get_ifd(0x8769)[37500] == b"maker note!!"
            assert back.xmp == metadata.xmp
