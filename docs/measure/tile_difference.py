"""Difference that blended tiles make, for a network whose tokens see the whole image.

python docs/measure/tile_difference.py NAME SCALE IMAGE [IMAGE ...]

NAME are weights as `srcli upscale -m` knows them; a file has to be imported first. Every image is
upscaled whole, and in tiles of 256 and of 128 LR px, in fp32. Printed, for each image and side:
the number of tiles, the largest and the mean absolute difference of the results in 8-bit levels,
before rounding, and the PSNR of one against the other, all over R, G and B.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srcli import Upscaler

TILES = (256, 128)  # LR px


def levels(upscaler: Upscaler, lr: NDArray[np.float32]) -> tuple[NDArray[np.float64], int]:
    """The result in 8-bit levels, unrounded, (H, W, 3), and how many tiles it is made of."""
    made = upscaler.upscale(lr)
    return np.asarray(made.image, np.float64) * 255, made.report.tiles


def main(name: str, scale: str, *images: str) -> None:
    """Print a table in Markdown."""
    whole, *cut = (
        Upscaler(name, float(scale), precision="fp32", tile=tile) for tile in (0, *TILES)
    )
    sys.stdout.write(
        "| image | tile | tiles | largest | mean | PSNR |\n|---|---|---|---|---|---|\n"
    )
    for image in map(Path, images):
        with Image.open(image) as opened:
            lr = (np.asarray(opened.convert("RGB")) / 255).astype(np.float32)
        expected, tiles = levels(whole, lr)
        if tiles > 1:
            raise SystemExit(f"{image} could not be upscaled whole: take a smaller one")
        for side, upscaler in zip(TILES, cut, strict=True):
            made, tiles = levels(upscaler, lr)
            apart = np.abs(made - expected)
            squared = float(np.square(apart).mean())
            psnr = f"{10 * np.log10(255**2 / squared):.2f} dB" if squared else "equal"
            sys.stdout.write(
                f"| {image.name} | {side} px | {tiles} | {apart.max():.2f} | "
                f"{apart.mean():.4f} | {psnr} |\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
