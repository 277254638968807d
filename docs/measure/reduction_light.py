"""Where the last reduction shall be done: in the image's gamma or in linear light.

python docs/measure/reduction_light.py BENCHMARK [PHOTO ...]

BENCHMARK holds Set5 and Set14 (`srcli datasets download`): for x2 and x3 the network's x4 is
reduced both ways, and compared with the true image as the field does (PSNR-Y). Of photographs the
middle is made half as large, once in gamma (as benchmarks are) and once in linear light (as a lens
does), and upscaled again; beside PSNR-Y it is told how much light the sixteenth with the most fine
bright detail has, in parts of what the true image has there.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from srcli import Upscaler
from srcli.data.resize import resize
from srcli.geometry import Size
from srcli.inference.output_size import reduce_planes
from srcli.metrics.psnr import psnr_y

Floats = NDArray[np.float32]
_SIDE, _BLOCK = 768, 32


def to_light(code: Floats) -> Floats:
    """SRGB's code values in [0, 1] to light."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def to_code(light: Floats) -> Floats:
    """The way back."""
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def reduced(image: Floats, height: int, width: int) -> Floats:
    """(H, W, 3) by the product's own filter."""
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32))
    return reduce_planes(planes, Size(width, height)).numpy().transpose(1, 2, 0)


def both_ways(large: Floats, height: int, width: int) -> Iterator[tuple[str, Floats]]:
    """The image reduced in gamma and in light."""
    yield "gamma", reduced(large, height, width)
    yield "light", to_code(reduced(to_light(large), height, width))


def rounded(image: Floats) -> NDArray[np.uint8]:
    """To 8 bits."""
    return (image.clip(0, 1) * 255).round().astype(np.uint8)


def benchmark(folder: Path, upscale: Callable[[Floats], Floats]) -> None:
    """Print the mean PSNR-Y of each set and scale."""
    for name in ("Set5", "Set14"):
        for scale in (2, 3):
            values: dict[str, list[float]] = {}
            for path in sorted((folder / name / f"x{scale}" / "HR").iterdir()):
                hr = np.asarray(Image.open(path).convert("RGB"))
                (lr,) = (folder / name / f"x{scale}" / "LR").glob(f"{path.stem.split('_')[0]}*")
                large = upscale(np.asarray(Image.open(lr).convert("RGB")).astype(np.float32) / 255)
                for way, made in both_ways(large, *hr.shape[:2]):
                    values.setdefault(way, []).append(psnr_y(rounded(made), hr, crop=scale))
            means = ", ".join(f"{way} {np.mean(v):.3f} dB" for way, v in values.items())
            sys.stdout.write(f"{name} x{scale}: {means}\n")


def photograph(path: Path, upscale: Callable[[Floats], Floats]) -> None:
    """Print PSNR-Y and the light of the detail, of the middle of a photograph."""
    image = Image.open(path).convert("RGB")
    left, top = (image.width - _SIDE) // 2, (image.height - _SIDE) // 2
    hr = np.asarray(image.crop((left, top, left + _SIDE, top + _SIDE)))
    true = hr.astype(np.float32) / 255
    light = to_light(true).mean(-1)
    blocks = light.reshape(_SIDE // _BLOCK, _BLOCK, -1, _BLOCK).swapaxes(1, 2)
    detail = (blocks - reduced_blocks(light)).clip(0).mean((2, 3)).ravel()
    chosen = detail.argsort()[-len(detail) // 16 :]
    half = _SIDE // 2
    smaller = {
        "lens": to_code(reduced(to_light(true), half, half)),
        "benchmark": resize(hr, half, half).astype(np.float32) / 255,
    }
    for made_by, lr in smaller.items():
        large = upscale(rounded(lr).astype(np.float32) / 255)
        told: list[str] = []
        for way, made in both_ways(large, _SIDE, _SIDE):
            there = to_light(rounded(made).astype(np.float32) / 255).mean(-1)
            parts = there.reshape(_SIDE // _BLOCK, _BLOCK, -1, _BLOCK).mean((1, 3)).ravel()
            share = parts[chosen].sum() / blocks.mean((2, 3)).ravel()[chosen].sum()
            told.append(f"{way} {psnr_y(rounded(made), hr, crop=2):.3f} dB, light {share:.4f}")
        sys.stdout.write(f"{path.name}, made smaller by a {made_by}: {'; '.join(told)}\n")
        sys.stdout.flush()


def reduced_blocks(light: Floats) -> Floats:
    """The mean of each 4x4 px, spread over them again, in blocks."""
    mean = light.reshape(_SIDE // 4, 4, -1, 4).mean((1, 3)).repeat(4, 0).repeat(4, 1)
    return mean.reshape(_SIDE // _BLOCK, _BLOCK, -1, _BLOCK).swapaxes(1, 2)


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    upscaler = Upscaler(scale=4, device="cpu", precision="fp32")
    for photo in sys.argv[2:]:
        photograph(Path(photo), upscaler)
    benchmark(Path(sys.argv[1]), upscaler)


if __name__ == "__main__":
    main()
