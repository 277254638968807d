"""TIFF of several pages: what Pillow and tifffile wrote is read, and they read what we wrote."""

import dataclasses
import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from srcli.errors import ImageTooLarge, UnreadableImage, UnwritableImage
from srcli.media import (
    DecodedImage,
    DecodeLimits,
    DecoderProcess,
    Metadata,
    losses_in,
    probe,
    read_image,
    write_pages,
)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pages_of(path) -> list[DecodedImage]:
    first = read_image(path)
    return [first, *(read_image(path, page=n + 1) for n in range(len(first.later_pages)))]


def scan(path, noise, **options):
    """Pages as an archive's scanner makes them, with nothing in common."""
    with tifffile.TiffWriter(path, **options) as file:
        inch = {"resolutionunit": "INCH"}
        file.write(
            noise(3), photometric="rgb", compression="deflate", description="one",
            resolution=(300, 200), iccprofile=SRGB, software="scanner", **inch,
        )  # fmt: skip
        file.write(
            noise(3, np.uint16, 16, 24), photometric="rgb", resolution=(600, 600),
            extratags=[(285, 2, 0, "iv", True), (297, 3, 2, (1, 5), True)], **inch,
        )  # fmt: skip
        file.write(noise(1)[..., 0], photometric="minisblack", tile=(16, 16))
        file.write(noise(1)[..., 0] > 99, photometric="miniswhite", description="bilevel")
        file.write(noise(1, np.uint16, 8, 9)[..., 0], photometric="minisblack")
        file.write(noise(4), photometric="separated", extratags=[(65000, 2, 0, "mine", True)])
        file.write(noise(3, np.uint8, 5, 9), photometric="rgb", subfiletype=1)
    return path


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}])
def test_every_page_is_read_as_it_is(tmp_path, noise, options):
    path = scan(tmp_path / "scan.tif", noise, **options)
    info = probe(path)
    found = pages_of(path)
    assert [(p.width, p.height, p.channels, p.bits) for p in (info, *info.later_pages)] == [
        (p.width, p.height, p.channels, p.bits) for p in found
    ]
    assert [p.reduced for p in (info, *info.later_pages)] == [False] * 6 + [True]
    assert [p.bits for p in found] == [8, 16, 8, 8, 16, 8, 8]
    with tifffile.TiffFile(path) as file:
        for image, page in zip(found[:5], file.pages, strict=False):
            there = page.asarray()
            if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
                there = np.where(there, 0, 255)
            assert np.array_equal(image.pixels.squeeze(-1) if image.channels == 1
                                  else image.pixels, there)  # fmt: skip
    assert found[0].metadata.icc == SRGB
    assert [p.metadata.dpi for p in found[:3]] == [(300, 200), (600, 600), None]
    shapes = [line for p in found for line in p.dropped if "tifffile's description" in line]
    assert shapes  # it writes them on pages that are given none
    said = [tuple(line for line in p.dropped if line not in shapes) for p in found]
    assert said == [(), (), (), (), (), (
        "TIFF tags dropped: unknown (65000)",), ()]  # fmt: skip
    assert losses_in(found[5], "tiff") == found[5].dropped


@pytest.mark.parametrize("limit", [2**32 - 1, 1000])
@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}])
def test_pages_written_are_what_others_read(tmp_path, noise, exif, options, limit, monkeypatch):
    monkeypatch.setattr("srcli.media.formats.tiff.encode._CLASSIC_BYTES", limit)
    found = pages_of(scan(tmp_path / "scan.tif", noise, **options))
    found[2] = dataclasses.replace(
        found[2], metadata=Metadata(exif=exif(1), xmp=b"<x:xmpmeta/>", dpi=(72, 72))
    )
    made = tmp_path / "made.tif"
    with write_pages("tiff", made) as write:
        for decoded in found:
            write(decoded)
    with tifffile.TiffFile(made) as file:
        assert file.is_bigtiff == (limit == 1000)
        assert len(file.pages) == 7
        for decoded, page in zip(found, file.pages, strict=True):
            assert np.array_equal(page.asarray(), decoded.pixels.squeeze())
        assert [p.subfiletype for p in file.pages] == [0] * 6 + [1]
        assert [p.description for p in file.pages[:4:3]] == ["one", "bilevel"]
        assert file.pages[0].iccprofile == SRGB
        assert file.pages[1].tags[285].value == "iv"
        assert file.pages[1].tags[297].value == (1, 5)
        assert file.pages[1].resolution == (600, 600)
        assert file.pages[2].tags["ExifTag"].value["MakerNote"] == b"maker note!!"
    with Image.open(made) as image:
        for number, decoded in enumerate(found):
            image.seek(number)
            assert image.size == (decoded.width, decoded.height)
            assert image.tag_v2.get(34675) == decoded.metadata.icc  # `info` keeps what was
            if decoded.metadata.dpi:
                assert image.info["dpi"] == pytest.approx(decoded.metadata.dpi)
            if decoded.bits == 8:
                assert np.array_equal(np.asarray(image), decoded.pixels.squeeze())
    for before, after in zip(found, pages_of(made), strict=True):
        assert np.array_equal(before.pixels, after.pixels)
        for field in ("icc", "xmp", "dpi"):
            assert getattr(before.metadata, field) == getattr(after.metadata, field)


def test_every_page_has_its_own_orientation(tmp_path, corners):
    pages = []
    for orientation in (1, 6, 3):
        pages.append(Image.fromarray(corners[..., 0]))
        pages[-1].encoderinfo = {"tiffinfo": {274: orientation}}
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for orientation in (1, 6, 3):
            file.write(
                corners[..., 0], photometric="minisblack",
                extratags=[(274, 3, 1, orientation, True)],
            )  # fmt: skip
    (tmp_path / "turned.tif").write_bytes(buffer.getvalue())
    first, second, third = pages_of(tmp_path / "turned.tif")
    assert (first.width, second.width, third.width) == (32, 16, 32)
    assert np.array_equal(second.pixels, np.rot90(corners, -1))
    assert np.array_equal(third.pixels, np.rot90(corners, 2))
    info = probe(tmp_path / "turned.tif")
    assert (info.later_pages[0].width, info.later_pages[0].height) == (16, 32)


def offsets_of(data: bytes) -> list[int]:
    """Where the pointers to the directories of a little-endian classic TIFF stand."""
    pointers, at = [], 4
    while (offset := struct.unpack_from("<I", data, at)[0]) != 0:
        pointers.append(at)
        at = offset + 2 + 12 * struct.unpack_from("<H", data, offset)[0]
    return pointers


def test_pages_that_go_in_a_circle(tmp_path, noise):
    path = scan(tmp_path / "scan.tif", noise)
    data = bytearray(path.read_bytes())
    pointers = offsets_of(data)
    data[pointers[4] : pointers[4] + 4] = data[pointers[1] : pointers[1] + 4]
    path.write_bytes(data)
    with pytest.raises(UnreadableImage, match="again"):
        read_image(path)


def test_too_many_pages(tmp_path, noise, monkeypatch):
    monkeypatch.setattr("srcli.media.ifd._MAX_PAGES", 3)
    with pytest.raises(UnreadableImage, match="more than 3 pages; split it"):
        probe(scan(tmp_path / "scan.tif", noise))


def test_every_page_is_held_to_the_limit(tmp_path):
    with tifffile.TiffWriter(tmp_path / "scan.tif") as file:
        for side in (4, 40):
            file.write(np.zeros((side, side), np.uint8), photometric="minisblack")
    with pytest.raises(ImageTooLarge, match="page 2: 40x40"):
        read_image(tmp_path / "scan.tif", max_megapixels=0.001)


def test_a_kind_of_page_that_is_not_read_is_named(tmp_path):
    with tifffile.TiffWriter(tmp_path / "scan.tif") as file:
        file.write(np.zeros((4, 4), np.uint8), photometric="minisblack")
        file.write(np.zeros((4, 4), np.int32), photometric="minisblack")
    with pytest.raises(UnreadableImage, match=r"page 2: a kind of TIFF \(32-bit signed samples"):
        probe(tmp_path / "scan.tif")


def test_a_page_that_is_not_there(tmp_path, noise):
    path = scan(tmp_path / "scan.tif", noise)
    with pytest.raises(UnreadableImage, match="no page 8, only 7"):
        read_image(path, page=7)
    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    with pytest.raises(UnreadableImage, match="png has one page"):
        read_image(tmp_path / "a.png", page=1)


def test_the_decoder_process_reads_pages(tmp_path, noise):
    path = scan(tmp_path / "scan.tif", noise)
    with DecoderProcess(DecodeLimits()) as decoder:
        assert decoder.probe(path) == probe(path)
        first, second = decoder.read(path), decoder.read(path, 1)
    assert first.image.later_pages == probe(path).later_pages
    assert np.array_equal(second.image.pixels, read_image(path, page=1).pixels)
    assert (second.size, second.mtime_ns, second.sha256) == (first.size, first.mtime_ns, "")


def test_nothing_stays_of_pages_that_were_not_all_written(tmp_path, noise):
    def write_two(trouble: Exception) -> None:
        with write_pages("tiff", tmp_path / "made.tif") as write:
            write(DecodedImage(noise(3), "tiff"))
            raise trouble

    for trouble in (ValueError("elsewhere"), MemoryError(), OSError(28, "No space")):
        with pytest.raises(type(trouble)):
            write_two(trouble)
        assert list(tmp_path.iterdir()) == []
    wide = DecodedImage(np.zeros((1, 8, 1), np.uint8), "tiff")
    with pytest.raises(UnwritableImage), write_pages("tiff", tmp_path / "no" / "a.tif") as write:
        write(wide)


def test_a_byte_order_that_pillow_does_not_know(tmp_path, noise):
    tifffile.imwrite(tmp_path / "a.tif", noise(3), photometric="rgb", bigtiff=True, byteorder=">")
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, noise(3))
