"""Half a file never has a name; what a format cannot hold is said and done rightly."""

import os
import signal
import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from srcli.atomic import give_name
from srcli.errors import UnwritableImage, UsageError
from srcli.media import (
    TEMPORARY_SUFFIX,
    DecodedImage,
    Metadata,
    atomic_file,
    format_losses,
    losses_in,
    read_image,
    write_image,
)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_write_leaves_nothing_and_changes_nothing(tmp_path, error):
    path = tmp_path / "image.png"
    path.write_bytes(b"before")

    def write_half():
        with atomic_file(path) as stream:
            stream.write(b"half")
            raise error

    with pytest.raises(error):
        write_half()
    assert [file.name for file in tmp_path.iterdir()] == ["image.png"]
    assert path.read_bytes() == b"before"


def test_the_temporary_file_is_hidden_beside_the_final_one(tmp_path):
    with atomic_file(tmp_path / "image.png"):
        (temporary,) = tmp_path.iterdir()
        assert temporary.name.startswith(".image.png.")
        assert temporary.name.endswith(TEMPORARY_SUFFIX)
    assert [file.name for file in tmp_path.iterdir()] == ["image.png"]


def test_a_whole_file_can_be_left_for_its_caller_to_name(tmp_path):
    path, left = tmp_path / "image.png", []
    path.write_bytes(b"before")

    def leave(temporary):
        left.append(temporary)
        return False

    with atomic_file(path, leave) as stream:
        stream.write(b"after")
    assert path.read_bytes() == b"before"
    assert left[0].read_bytes() == b"after"
    give_name(left[0], path)
    assert path.read_bytes() == b"after"
    assert [file.name for file in tmp_path.iterdir()] == ["image.png"]


def test_the_longest_names_are_writable(tmp_path, noise):
    path = tmp_path / ("é" * 125 + ".png")
    write_image(DecodedImage(noise(3), "png"), path)
    assert path.exists()


def child(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_a_killed_process_leaves_no_final_name(tmp_path):
    code = """
        import sys, time
        from pathlib import Path
        from srcli.atomic import atomic_file
        with atomic_file(Path(sys.argv[1])) as stream:
            stream.write(bytes(1 << 20))
            stream.flush()
            print("half", flush=True)
            time.sleep(60)
    """
    with child(code, tmp_path / "image.png") as process:
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    names = [file.name for file in tmp_path.iterdir()]
    assert len(names) == 1
    assert names[0].endswith(TEMPORARY_SUFFIX)


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff", "bmp"])
def test_a_full_disk(tmp_path, format):
    """A limit on file size stands for the disk: the system refuses the write halfway."""
    code = """
        import resource, sys
        from pathlib import Path
        import numpy as np
        from srcli.errors import UnwritableImage
        from srcli.media import DecodedImage, write_image
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
        try:
            write_image(DecodedImage(pixels, sys.argv[2]), Path(sys.argv[1]))
        except UnwritableImage as error:
            print(error)
    """
    with child(code, tmp_path / "image", format) as process:
        assert process.stdout.read().decode() == f"{tmp_path / 'image'}: File too large\n"
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(tmp_path, noise):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    image = DecodedImage(noise(3), "png")
    for place in ("missing/x.png", "file/x.png", "folder"):
        with pytest.raises(UnwritableImage, match=r"(x\.png|folder): \w+"):
            write_image(image, tmp_path / place)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(("format", "limit"), [("jpeg", 65500), ("webp", 16383)])
@pytest.mark.parametrize("transposed", [False, True])
def test_limits_of_the_formats(tmp_path, format, limit, transposed):
    pixels = np.zeros((1, limit + 1, 3), np.uint8)
    if transposed:
        pixels = pixels.swapaxes(0, 1)
    image = DecodedImage(pixels, format)
    with pytest.raises(
        UnwritableImage, match=rf"{format} {limit} a side; hint: use --format png or tiff"
    ):
        write_image(image, tmp_path / "image")
    write_image(DecodedImage(pixels[:limit, :limit], format), tmp_path / "image")
    assert read_image(tmp_path / "image").pixels.shape == pixels[:limit, :limit].shape


@pytest.mark.parametrize("quality", [0, 101])
def test_qualities_that_do_not_exist(tmp_path, noise, quality):
    with pytest.raises(UsageError, match=rf"quality must be 1 to 100, got {quality}"):
        write_image(DecodedImage(noise(3), "jpeg"), tmp_path / "x", quality=quality)


def test_quality_decides_the_size(tmp_path, noise):
    for format in ("jpeg", "webp"):
        sizes = []
        for quality in (30, 95):
            write_image(DecodedImage(noise(3), format), tmp_path / "x", quality=quality)
            sizes.append((tmp_path / "x").stat().st_size)
        assert sizes[0] < sizes[1]


def exact_flattening(pixels):
    """The plain reference, in fractions."""
    full = np.iinfo(pixels.dtype).max
    values = [
        [round(Fraction(int(v) * int(p[-1]) + full * (full - int(p[-1])), full)) for v in p[:-1]]
        for p in pixels.reshape(-1, pixels.shape[2])
    ]
    return np.array(values).reshape(*pixels.shape[:2], -1)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_flattened_onto_white(tmp_path, noise, channels):
    pixels = noise(channels)
    write_image(DecodedImage(pixels, "bmp"), tmp_path / "x")
    back = read_image(tmp_path / "x").pixels
    np.testing.assert_array_equal(back, exact_flattening(pixels))


def test_16_bits_are_rounded_to_the_nearest_of_8(tmp_path):
    pixels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    write_image(DecodedImage(pixels, "bmp"), tmp_path / "x")
    expected = np.rint(pixels / 257).astype(np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / "x").pixels, expected)


def test_bands_of_a_large_image_join(tmp_path, noise):
    pixels = noise(4, np.uint16, 700, 2000)
    write_image(DecodedImage(pixels, "bmp"), tmp_path / "x")
    back = read_image(tmp_path / "x").pixels
    white = pixels[..., :3] * (pixels[..., 3:] / 65535) + 65535 - pixels[..., 3:]
    assert np.abs(back - white / 257).max() < 0.51


def test_opaque_alpha_is_dropped_without_loss(tmp_path, noise):
    pixels = noise(4)
    pixels[..., 3] = 255
    image = DecodedImage(pixels, "bmp")
    assert losses_in(image, "jpeg") == ()
    write_image(image, tmp_path / "x")
    np.testing.assert_array_equal(read_image(tmp_path / "x").pixels, pixels[..., :3])


def test_losses_are_told(noise, icc, exif):
    metadata = Metadata(icc(b"RGB "), exif(1), b"<x/>", (300.0, 300.0))
    image = DecodedImage(noise(4, np.uint16), "png", metadata)
    alpha, depth = (
        "alpha flattened onto white: {} has none",
        "16 bits rounded to 8: {} holds no more",
    )
    assert losses_in(image, "png") == losses_in(image, "tiff") == ()
    assert losses_in(image, "webp") == (depth.format("WEBP"),)
    assert losses_in(image, "jpeg") == (alpha.format("JPEG"), depth.format("JPEG"))
    assert losses_in(image, "bmp") == (
        alpha.format("BMP"),
        depth.format("BMP"),
        f"EXIF dropped: BMP cannot hold its {len(metadata.exif)} bytes",
        "XMP dropped: BMP cannot hold its 4 bytes",
    )
    gray = DecodedImage(noise(1), "png", Metadata(icc=icc(b"GRAY")))
    assert losses_in(gray, "webp") == ("ICC profile dropped: WEBP cannot hold it",)


def test_blocks_too_long_for_jpeg_are_dropped_and_told(tmp_path, exif, noise):
    metadata = Metadata(exif=exif(1) + bytes(70_000), xmp=b"<x/>" + b" " * 70_000)
    image = DecodedImage(noise(3), "jpeg", metadata)
    assert len(losses_in(image, "jpeg")) == 2
    write_image(image, tmp_path / "x")
    assert read_image(tmp_path / "x").metadata == Metadata()


def test_losses_are_found_once_for_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    whole = format_losses._losses
    monkeypatch.setattr(
        format_losses,
        "_losses",
        lambda image, format: asked.append(format.name) or whole(image, format),
    )
    image = DecodedImage(np.full((4, 5, 4), 128, np.uint16), "jpeg")
    expected = losses_in(image, "jpeg")
    asked.clear()
    assert write_image(image, tmp_path / "a.jpg") == expected
    assert len(expected) == 2
    assert asked == ["jpeg"]
