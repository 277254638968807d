"""The forecast of disk: near what real results take, whatever the image and its format."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli import Upscaler
from srcli.jobs.preflight import estimated_bytes
from srcli.media import DecodedImage, ImageInfo, probe, read_image, write_image

SAMPLES = sorted((Path(__file__).parents[1] / "samples_hr").glob("*.webp"))
FACTOR = 3  # as docs/benchmarks.md says


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(scale=4, device="cpu", precision="fp32")


@pytest.mark.slow
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_real_results_are_near_the_forecast(
    tmp_path: Path, sample: Path, suffix: str, upscaler: Upscaler
) -> None:
    with Image.open(sample) as image:
        left, top = image.width // 3, image.height // 3
        image.convert("RGB").crop((left, top, left + 112, top + 112)).save(
            tmp_path / f"a.{suffix}", quality=90
        )
    source = read_image(tmp_path / f"a.{suffix}")
    large = upscaler(source.pixels)
    info, there = probe(tmp_path / f"a.{suffix}"), (tmp_path / f"a.{suffix}").stat().st_size
    for format in ("png", "tiff", "jpeg", "webp", "avif", "bmp"):
        write_image(DecodedImage(large, format), tmp_path / "result")
        took = (tmp_path / "result").stat().st_size
        foreseen = estimated_bytes(format, 448, 448, info, there)
        assert foreseen / FACTOR < took < foreseen * FACTOR, (format, took, foreseen)


def test_drawings_and_deep_images(tmp_path: Path, upscaler: Upscaler) -> None:
    flat = np.full((96, 96, 3), 240, np.uint8)
    flat[20:60, 30:50] = (200, 30, 30)
    noise = np.random.default_rng(0).integers(-128, 129, (96, 96, 3))
    with Image.open(SAMPLES[0]) as image:
        photograph = np.asarray(image.convert("RGB").crop((200, 200, 296, 296)))
    deep = (photograph * 257.0 + noise).clip(0, 65535).astype(np.uint16)
    for pixels, formats in ((flat, ("png", "tiff")), (deep, ("png", "tiff"))):
        write_image(DecodedImage(pixels, "png"), tmp_path / "a.png")
        info, there = probe(tmp_path / "a.png"), (tmp_path / "a.png").stat().st_size
        large = upscaler(pixels)
        for format in formats:
            write_image(DecodedImage(large, format), tmp_path / "result")
            took = (tmp_path / "result").stat().st_size
            foreseen = estimated_bytes(format, 384, 384, info, there)
            assert foreseen / FACTOR < took < foreseen * FACTOR, (format, took, foreseen)


def test_what_makes_a_forecast_larger() -> None:
    page = ImageInfo("png", 100, 100, 3, 8)

    def bytes_of(page: ImageInfo, format: str = "png", side: int = 400, share: int = 9000) -> int:
        return estimated_bytes(format, side, side, page, share)

    assert bytes_of(page, share=18000) > bytes_of(page)
    assert bytes_of(replace(page, bits=16), share=37500) > 1.5 * bytes_of(page)
    assert bytes_of(page, side=200) > bytes_of(page) / 4  # bytes a pixel: more where less is new
    assert bytes_of(page, "tiff") > bytes_of(page) > bytes_of(page, "jpeg") > bytes_of(page, "webp")
    assert bytes_of(replace(page, format="webp", lossless=True), "webp") > 3 * bytes_of(
        page, "webp"
    )
    assert bytes_of(page, share=10**9) <= 400 * 400 * 3
    assert bytes_of(page, "bmp", share=0) == 400 * 400 * 3
