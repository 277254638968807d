"""Room that results take on disk: bytes a sample of real x4 results, by format.

python docs/measure/disk_rates.py FOLDER [FOLDER ...]

Of up to twelve images of each folder the middle is kept as PNG and as JPEG of quality 90, as a
user may have it, upscaled, and written in every format with 8 and, where it can be, 16 bits. A line
each: format and bits, then the least, median and greatest bytes a sample byte, and the least and
greatest share of the forecast of `srcli.jobs.preflight` that was needed.
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from srcli import Upscaler
from srcli.jobs.preflight import estimated_bytes
from srcli.media import DecodedImage, Pixels, probe, read_image, write_image

_SIDE, _MOST = 160, 12
_FORMATS = ("png", "tiff", "jpeg", "webp", "avif", "heic", "jxl", "bmp")


def middles(folders: list[Path], work: Path) -> Iterator[Path]:
    """The middle of each image, as PNG and as JPEG."""
    for folder in folders:
        found = sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".png", ".webp"))
        for path in found[:: max(1, len(found) // _MOST)][:_MOST]:
            image = Image.open(path).convert("RGB")
            left, top = (image.width - _SIDE) // 2, (image.height - _SIDE) // 2
            middle = image.crop((left, top, left + _SIDE, top + _SIDE))
            middle.save(work / "middle.png")
            yield work / "middle.png"
            middle.save(work / "middle.jpg", quality=90)
            yield work / "middle.jpg"


def deepened(pixels: Pixels) -> Pixels:
    """16 bits, of which the lower eight are what a sensor's noise makes them."""
    noise = np.random.default_rng(0).integers(-128, 129, pixels.shape)
    return (pixels.astype(np.int64) * 257 + noise).clip(0, 65535).astype(np.uint16)


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    upscaler = Upscaler(scale=4)
    rates: dict[tuple[str, int], list[float]] = {}
    shares: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as made:
        work = Path(made)
        for path in middles([Path(name) for name in sys.argv[1:]], work):
            large = upscaler(read_image(path).pixels)
            info = probe(path)
            low_bytes = 0.95 * _SIDE**2 * info.channels
            deep = [(16, deepened(large))] if info.format == "png" else []
            for bits, pixels in [(8, large), *deep]:
                for format in _FORMATS if bits == 8 else ("png", "tiff"):
                    write_image(DecodedImage(pixels, format), work / "result")
                    took = (work / "result").stat().st_size
                    size = large.shape[1], large.shape[0]
                    there = path.stat().st_size + int(low_bytes * (bits == 16))
                    page = replace(info, bits=bits)
                    rates.setdefault((format, bits), []).append(took / pixels.nbytes)
                    foreseen = estimated_bytes(format, *size, page, there)
                    shares.setdefault((format, bits), []).append(took / foreseen)
    for (format, bits), found in rates.items():
        low, high = min(shares[format, bits]), max(shares[format, bits])
        sys.stdout.write(
            f"{format:5} {bits:2}  {min(found):.3f} {np.median(found):.3f} {max(found):.3f}"
            f"   of the forecast {low:.2f} to {high:.2f}\n"
        )


if __name__ == "__main__":
    main()
