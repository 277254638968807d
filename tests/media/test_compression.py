"""Traces of lossy compression in a file: JPEG's quality, bits per pixel, blocks in the pixels."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.media import Compression, DecodeLimits, DecoderProcess, probe, read_image
from srcli.media.compression import jpeg_quality, measure_blockiness


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    """A soft scene of 320x240 px with some texture and grain, never compressed."""
    generator = np.random.default_rng(5)
    soft = Image.fromarray(generator.integers(0, 255, (15, 20, 3), np.uint8))
    values = np.asarray(soft.resize((320, 240), Image.Resampling.BICUBIC), np.float32)
    grain = generator.normal(0, 3, values.shape)
    return Image.fromarray((values * 0.8 + 20 + grain).clip(0, 255).astype(np.uint8))


def as_jpeg(image: Image.Image, quality: int, **options: object) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, **options)
    return Image.open(stream)


@pytest.mark.parametrize("quality", [1, 20, 49, 50, 75, 90, 95, 100])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpegs_quality_is_that_it_was_saved_with(
    quality: int, mode: str, scene: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    scene.convert(mode).save(path, quality=quality)
    found = read_image(path).compression
    assert found.codec == "JPEG"
    assert found.quality is not None
    assert abs(found.quality - quality) <= 1  # tables of 1 to 3 are reached by clamping alone
    assert probe(path).compression.quality == found.quality


def test_tables_of_other_programs_are_near_a_quality() -> None:
    photoshop = [6, 4, 4, 6, 9, 11, 12, 16, 4, 5, 5, 6, 8, 10, 12, 12] + [14] * 48  # about 85 to 92
    assert jpeg_quality({0: photoshop}) in range(80, 93)
    assert jpeg_quality({}) is None


@pytest.mark.parametrize("corner", [(0, 0), (3, 5), (7, 1)])
def test_blocks_are_found_wherever_their_grid_begins(
    corner: tuple[int, int], scene: Image.Image
) -> None:
    cut = (*corner, 320, 240)
    values = [
        measure_blockiness(np.asarray(as_jpeg(scene, quality).crop(cut))) for quality in (75, 40)
    ]
    assert measure_blockiness(np.asarray(scene.crop(cut))) < 0.1
    assert 0.3 < values[0] < values[1]


def test_blocks_are_found_in_gray_and_in_16_bits(scene: Image.Image) -> None:
    gray = np.asarray(as_jpeg(scene.convert("L"), 40))[..., None]
    found = measure_blockiness(gray)
    assert found > 0.3
    assert measure_blockiness(gray.astype(np.uint16) * 257) == pytest.approx(found, rel=1e-3)


def test_texture_whose_period_is_eight_in_a_part_of_the_image_is_not_taken_for_blocks(
    scene: Image.Image,
) -> None:
    values = np.asarray(scene).copy()
    values[60:180, 80:240:8] = 0
    assert measure_blockiness(values) < 0.1


def test_an_image_too_small_to_tell_has_no_blocks() -> None:
    assert measure_blockiness(np.zeros((98, 500, 3), np.uint8)) == 0
    assert measure_blockiness(np.zeros((500, 1, 1), np.uint8)) == 0


def test_a_png_made_from_a_jpeg_has_blocks_and_no_codec(scene: Image.Image, tmp_path: Path) -> None:
    as_jpeg(scene, 40).save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png").compression
    assert (found.codec, found.quality, found.bits_per_pixel) == ("", None, None)
    assert found.blockiness > 0.3


@pytest.mark.parametrize(("suffix", "codec"), [(".webp", "WebP"), (".avif", "AVIF")])
def test_bits_per_pixel_of_lossy_formats(
    suffix: str, codec: str, scene: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / f"a{suffix}"
    scene.save(path, quality=30)
    found = read_image(path).compression
    assert found.codec == codec
    assert found.bits_per_pixel == path.stat().st_size * 8 / (320 * 240)
    assert probe(path).compression.bits_per_pixel == found.bits_per_pixel


def test_a_lossless_webp_has_no_codec(scene: Image.Image, tmp_path: Path) -> None:
    scene.save(tmp_path / "a.webp", lossless=True)
    assert read_image(tmp_path / "a.webp").compression.codec == ""


def test_the_decoders_process_tells_the_same(scene: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    scene.save(path, quality=60)
    with DecoderProcess(DecodeLimits()) as decoder:
        assert decoder.read(path).image.compression == read_image(path).compression
        assert decoder.probe(path).compression == probe(path).compression
        assert isinstance(decoder.probe(path).compression, Compression)
