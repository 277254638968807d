"""AVIF, HEIC and JPEG XL there and back, on files that other programs wrote."""

import io
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from srcli.errors import UnreadableImage, UnwritableImage
from srcli.media import (
    DecodedImage,
    Metadata,
    losses_in,
    probe,
    read_image,
    write_image,
)
from srcli.media.formats import heic, jxl

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(params=["avif", "heic", "jxl"])
def format(request: pytest.FixtureRequest) -> str:
    if request.param == "heic":
        pytest.importorskip("pillow_heif", reason="HEIC needs srcli[formats]")
    elif request.param == "jxl":
        needs_jpeg_xl()
    elif not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    return request.param


def foreign(path: Path, format: str, pixels: np.ndarray, orientation: int = 1) -> Path:
    """A file as Pillow, libheif or libjxl's own cjxl writes it, turned by its EXIF."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    image = Image.fromarray(pixels)
    if format == "avif":
        image.save(path, "AVIF", quality=95, exif=exif, icc_profile=ICC)
    elif format == "jxl":
        image.save(path.with_suffix(".jpg"), quality=98, exif=exif, icc_profile=ICC)
        cjxl(path.with_suffix(".jpg"), path, "--lossless_jpeg=0", "-d", "0.2", "--container=1")
        box = b"Exif" + bytes(4) + exif.tobytes().removeprefix(b"Exif\0\0")  # cjxl 0.7 drops it
        with path.open("ab") as stream:
            stream.write((len(box) + 4).to_bytes(4, "big") + box)
    else:
        import pillow_heif

        pillow_heif.from_pillow(image).save(path, quality=95, exif=exif.tobytes(), icc_profile=ICC)
    return path


def cjxl(source: Path, target: Path, *options: str) -> Path:
    """A file as libjxl's own program reads it."""
    program = shutil.which("cjxl")
    if program is None:
        pytest.skip("cjxl is not installed (apt-get install libjxl-tools)")
    subprocess.run([program, source, target, *options], check=True, capture_output=True)
    return target


def smooth(height: int, width: int, channels: int = 3) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 3, y * 3, (x + y) * 2, 255 - x]
    return np.stack(planes[:channels], -1).astype(np.uint8)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_files_of_others(tmp_path: Path, format: str, orientation: int) -> None:
    pixels = smooth(48, 64)
    path = foreign(tmp_path / f"x.{format}", format, pixels, orientation)
    upright = np.rot90(pixels, {1: 0, 3: 2, 6: 3, 8: 1}[orientation])
    image = read_image(path)
    info = probe(path)
    assert image.format == info.format == format
    assert (info.height, info.width) == image.pixels.shape[:2] == upright.shape[:2]
    assert np.abs(image.pixels.astype(int) - upright).mean() < 3
    if format != "jxl":  # libjxl writes down what it means, and makes another of that
        assert image.metadata.icc == ICC
    assert (image.metadata.icc or b"")[16:20] == b"RGB "
    assert image.metadata.exif is not None
    kept = Image.Exif()
    kept.load(b"Exif\0\0" + image.metadata.exif)
    assert kept[0x010F] == "Maker"
    assert kept.get(0x0112, 1) == 1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_there_and_back(tmp_path: Path, format: str, channels: int) -> None:
    exif = Image.Exif()
    exif[0x0110] = "Model"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    pixels = smooth(50, 70, channels)
    icc = ICC if channels > 1 else None
    metadata = Metadata(icc=icc, exif=block, xmp=b"<x:xmpmeta>kept</x:xmpmeta>")
    write_image(DecodedImage(pixels, format, metadata), tmp_path / "x", quality=98)
    back = read_image(tmp_path / "x")
    wide = np.repeat(pixels, 3, -1) if (channels, format) == (1, "avif") else pixels
    assert back.pixels.shape == wide.shape
    assert np.abs(back.pixels.astype(int) - wide).mean() < 3
    if format != "jxl" or channels > 1:  # for gray, libjxl says which gray
        assert back.metadata.icc == icc
    assert back.metadata.xmp == metadata.xmp
    assert b"Model" in (back.metadata.exif or b"")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_cut_short(tmp_path: Path, format: str, share: float) -> None:
    path = foreign(tmp_path / f"x.{format}", format, smooth(48, 64))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UnreadableImage, match=path.name):
        read_image(path)


@pytest.mark.parametrize(
    ("module", "name", "head"),
    [
        (heic, "HEIC", b"\0\0\0\x18ftypheic"),
        (jxl, "JPEG XL", b"\0\0\0\x0cJXL \r\n\x87\n"),
        (jxl, "JPEG XL", b"\xff\x0a"),
    ],
)
def test_without_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, head: bytes
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(module, "import_module", missing)
    (tmp_path / "x").write_bytes(head + bytes(100))
    with pytest.raises(UnreadableImage, match=rf"{name} needs .* pip install 'srcli\[formats\]'"):
        read_image(tmp_path / "x")
    with pytest.raises(UnwritableImage, match=rf"{name} needs "):
        write_image(DecodedImage(smooth(4, 4), module.__name__.rpartition(".")[2]), tmp_path / "y")


def test_jpeg_xl_of_other_kinds(tmp_path: Path) -> None:
    """Lossless JPEG, gray, alpha and animations, as libjxl's own program writes them."""
    needs_jpeg_xl()
    Image.fromarray(smooth(24, 32)).save(tmp_path / "a.jpg", quality=90)
    with Image.open(tmp_path / "a.jpg") as image:
        stored = np.asarray(image)
    packed = read_image(cjxl(tmp_path / "a.jpg", tmp_path / "a.jxl", "--lossless_jpeg=1"))
    assert np.abs(packed.pixels.astype(int) - stored).max() <= 2  # another inverse transform
    for channels in (1, 2, 4):
        pixels = smooth(24, 32, channels)
        flat = pixels[..., 0] if channels == 1 else pixels
        Image.fromarray(flat).save(tmp_path / "a.png")
        made = cjxl(tmp_path / "a.png", tmp_path / "b.jxl", "-d", "0")
        assert probe(made).channels == channels
        assert np.array_equal(read_image(made).pixels, pixels)
    frames = [Image.fromarray(smooth(12, 16)).rotate(turn) for turn in (0, 180)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    moving = read_image(cjxl(tmp_path / "a.gif", tmp_path / "c.jxl", "-d", "0"))
    assert moving.left_out == 1


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_lossless_jpeg_xl_is_what_djxl_reads(tmp_path: Path, channels: int) -> None:
    needs_jpeg_xl()
    program = shutil.which("djxl")
    if program is None:
        pytest.skip("djxl is not installed (apt-get install libjxl-tools)")
    pixels = np.random.default_rng(channels).integers(0, 256, (30, 41, channels), np.uint8)
    write_image(DecodedImage(pixels, "jxl"), tmp_path / "a.jxl", quality=100)
    subprocess.run([program, tmp_path / "a.jxl", tmp_path / "a.png"], check=True)
    with Image.open(tmp_path / "a.png") as image:
        mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
        back = np.asarray(image.convert(mode)).reshape(pixels.shape)
    assert np.array_equal(back, pixels)


def test_deep_images_in_jpeg_xl(tmp_path: Path) -> None:
    """Gray keeps its 16 bits when it is read; of colour, 8 remain, and that is said."""
    needs_jpeg_xl()
    gray = np.arange(12 * 16, dtype=np.uint16).reshape(12, 16, 1) * 300
    colour = np.repeat(gray, 3, 2)
    for pixels, bits, told in ((gray, 16, ()), (colour, 8, ("16 bits read as 8",))):
        write_image(DecodedImage(pixels, "png"), tmp_path / "a.png")
        made = cjxl(tmp_path / "a.png", tmp_path / "a.jxl", "-d", "0")
        image = read_image(made)
        assert image.bits == probe(made).bits == bits
        factor = 1 if bits == 16 else 257
        assert np.abs(image.pixels * float(factor) - pixels).max() <= 257 * (bits == 8)
        assert losses_in(image, "png") == told
    lost = losses_in(DecodedImage(gray, "png"), "jxl")
    assert lost == ("16 bits rounded to 8: JXL holds no more",)


def test_floats_in_jpeg_xl_are_refused_by_name(tmp_path: Path) -> None:
    needs_jpeg_xl()
    header = b"PF\n8 8\n-1.0\n"
    (tmp_path / "a.pfm").write_bytes(header + np.full((8, 8, 3), 0.5, "<f4").tobytes())
    made = cjxl(tmp_path / "a.pfm", tmp_path / "a.jxl", "-d", "0")
    with pytest.raises(UnreadableImage, match="32 bits a channel, at most 16 are read"):
        read_image(made)


@pytest.mark.parametrize("options", [("-d", "0"), ("-d", "0.3")])
def test_colours_of_jpeg_xl_are_those_of_its_profile(
    tmp_path: Path, options: Sequence[str]
) -> None:
    """A profile whose red is green, stored as it is or in JPEG XL's own words."""
    needs_jpeg_xl()
    pixels = smooth(48, 64)
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=swapped_profile())
    back = read_image(cjxl(tmp_path / "a.png", tmp_path / "a.jxl", *options))
    assert back.metadata.icc is not None
    shown = in_srgb(back.pixels, back.metadata.icc)
    assert np.abs(shown - in_srgb(pixels, swapped_profile())).mean() < 2
    write_image(back, tmp_path / "b.jxl", quality=98)
    again = read_image(tmp_path / "b.jxl")
    assert again.metadata.icc == back.metadata.icc
    assert np.abs(in_srgb(again.pixels, back.metadata.icc) - shown).mean() < 2


def test_profiles_that_jpeg_xl_does_not_take(tmp_path: Path) -> None:
    """A damaged one fails in one line; one of gray with alpha is dropped, and that is said."""
    needs_jpeg_xl()
    broken = ICC[:128] + bytes(len(ICC) - 128)
    with pytest.raises(UnwritableImage, match=r"JPEG XL cannot hold it .*--format png"):
        write_image(DecodedImage(smooth(8, 8), "jxl", Metadata(icc=broken)), tmp_path / "a.jxl")
    assert list(tmp_path.iterdir()) == []
    gray = ICC[:16] + b"GRAY" + ICC[20:]
    image = DecodedImage(smooth(8, 8, 2), "jxl", Metadata(icc=gray))
    assert losses_in(image, "jxl") == ("ICC profile dropped: JXL cannot hold it",)
    write_image(image, tmp_path / "a.jxl")
    assert read_image(tmp_path / "a.jxl").pixels.shape[2] == 4


def needs_jpeg_xl() -> None:
    for package in ("pylibjxl", "pillow_jxl"):
        pytest.importorskip(package, reason="JPEG XL needs srcli[formats]")


def swapped_profile() -> bytes:
    """sRGB with red and green exchanged, by the table of its tags."""
    icc = bytearray(ICC)
    entries = range(132, 132 + 12 * int.from_bytes(icc[128:132], "big"), 12)
    red, green = (next(e for e in entries if icc[e : e + 4] == tag) for tag in (b"rXYZ", b"gXYZ"))
    places = bytes(icc[red + 4 : red + 12]), bytes(icc[green + 4 : green + 12])
    icc[red + 4 : red + 12], icc[green + 4 : green + 12] = places[1], places[0]
    return bytes(icc)


def in_srgb(pixels: np.ndarray, icc: bytes) -> np.ndarray:
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    target = ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(Image.fromarray(pixels), source, target), int)


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("mode", ["RGB;16", "RGBA;16"])
def test_deep_heic_is_read_with_its_depth(tmp_path, monkeypatch, bits, mode):
    library = pytest.importorskip("pillow_heif")
    monkeypatch.setattr(library.options, "SAVE_HDR_TO_12_BIT", bits == 12)
    ramp = np.linspace(10000, 40000, 256).astype(np.uint16)
    pixels = np.tile(ramp[None, :, None], (32, 1, len(mode) - 3))  # RGB or RGBA
    path = tmp_path / "a.heic"
    file = library.from_bytes(mode, (256, 32), pixels.tobytes())
    file.save(path, quality=100, chroma=444)
    image, info = read_image(path), probe(path)
    assert (info.bits, info.channels) == (16, len(mode) - 3) == (image.bits, image.channels)
    assert image.dropped == ()
    assert np.abs(image.pixels.astype(int) - pixels).max() < 65535 // 256 * 2
    assert len(np.unique(image.pixels[..., 1])) > 130  # 8 bits have 118 steps there
