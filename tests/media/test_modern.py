"""AVIF and HEIC there and back, on files that other programs wrote."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from srcli.errors import UnreadableImage
from srcli.media import (
    DecodeLimits,
    Decoder,
    Metadata,
    Picture,
    heic,
    probe,
    read_picture,
    representable,
    write_picture,
)

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(params=["avif", "heic"])
def format(request: pytest.FixtureRequest) -> str:
    if request.param == "heic":
        pytest.importorskip("pillow_heif", reason="HEIC needs srcli[formats]")
    elif not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    return request.param


def foreign(path: Path, format: str, pixels: np.ndarray, orientation: int = 1) -> Path:
    """A file as Pillow or libheif writes it, turned by its EXIF."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    image = Image.fromarray(pixels)
    if format == "avif":
        image.save(path, "AVIF", quality=95, exif=exif, icc_profile=ICC)
    else:
        import pillow_heif

        pillow_heif.from_pillow(image).save(path, quality=95, exif=exif.tobytes(), icc_profile=ICC)
    return path


def smooth(height: int, width: int, channels: int = 3) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 3, y * 3, (x + y) * 2, 255 - x]
    return np.stack(planes[:channels], -1).astype(np.uint8)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_files_of_others(tmp_path: Path, format: str, orientation: int) -> None:
    pixels = smooth(48, 64)
    path = foreign(tmp_path / f"x.{format}", format, pixels, orientation)
    upright = np.rot90(pixels, {1: 0, 3: 2, 6: 3, 8: 1}[orientation])
    picture = read_picture(path)
    info = probe(path)
    assert picture.format == info.format == format
    assert (info.height, info.width) == picture.pixels.shape[:2] == upright.shape[:2]
    assert np.abs(picture.pixels.astype(int) - upright).mean() < 3
    assert picture.metadata.icc == ICC
    assert picture.metadata.exif is not None
    kept = Image.Exif()
    kept.load(b"Exif\0\0" + picture.metadata.exif)
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
    write_picture(Picture(pixels, format, metadata), tmp_path / "x", quality=98)
    back = read_picture(tmp_path / "x")
    wide = np.repeat(pixels, 3, -1) if (channels, format) == (1, "avif") else pixels
    assert back.pixels.shape == wide.shape
    assert np.abs(back.pixels.astype(int) - wide).mean() < 3
    assert back.metadata.icc == icc
    assert back.metadata.xmp == metadata.xmp
    assert b"Model" in (back.metadata.exif or b"")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_cut_short(tmp_path: Path, format: str, share: float) -> None:
    path = foreign(tmp_path / f"x.{format}", format, smooth(48, 64))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UnreadableImage, match=path.name):
        read_picture(path)


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(heic, "import_module", missing)
    (tmp_path / "x.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(UnreadableImage, match=r"pip install 'srcli\[formats\]'"):
        read_picture(tmp_path / "x.heic")


@pytest.mark.parametrize("suffix", ["webp", "png"])
def test_further_frames_are_not_dropped_in_silence(tmp_path: Path, suffix: str) -> None:
    first, second = (Image.fromarray(smooth(12, 16)).rotate(turn) for turn in (0, 180))
    path = tmp_path / f"x.{suffix}"
    first.save(path, save_all=True, append_images=[second])
    with Decoder(DecodeLimits()) as decoder:
        picture = decoder.read(path).picture
    assert picture.left_out == 1
    told = representable(picture, picture.format)
    assert told == ("1 more pages or frames left out: only the first is read",)
    plain = tmp_path / f"y.{suffix}"
    first.save(plain)
    assert representable(read_picture(plain), read_picture(plain).format) == ()
