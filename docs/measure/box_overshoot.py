"""Ghost outlines beside 1-px boxes: the largest overshoot, in 8-bit levels.

python docs/measure/box_overshoot.py SCALE NAME [NAME ...]

NAME are weights as `srcli upscale -m` knows them. LR images of 64x64 px are drawn here: boxes with
an edge of 1 px, alone and one in the other, on a flat ground, in six pairs of colours. Each is
upscaled by bicubic (MATLAB's) and by every network at `balanced`, in fp32. An SR pixel on the
ground overshoots by what it lies below the least or above the greatest of the 3x3 LR pixels around
it: beside the line what leaves the range from line to ground counts, further away all that is not
ground. SR pixels on the line itself do not count: a line of grey may be a finer one of black.
Printed are the largest overshoot over all images and channels, that minus bicubic's, and the mean.
"""

import sys

import numpy as np
from numpy.typing import NDArray

from srcli import Upscaler
from srcli.data.resize import resize

Pixels = NDArray[np.uint8]
SIDE = 64  # LR px
COLOURS = (
    ((255, 255, 255), (0, 0, 0)), ((0, 0, 0), (255, 255, 255)), ((200, 200, 200), (60, 60, 60)),
    ((40, 44, 52), (150, 150, 150)), ((240, 240, 240), (200, 200, 200)),
    ((240, 235, 220), (30, 90, 180)),
)  # fmt: skip
BOXES = ((6, 6, 58, 28), (10, 10, 30, 24), (36, 12, 52, 22), (6, 34, 20, 48), (26, 34, 58, 58))


def screen(ground: tuple[int, int, int], line: tuple[int, int, int]) -> Pixels:
    """An LR image (64, 64, 3) with the outlines of BOXES (left, top, right, bottom)."""
    image = np.full((SIDE, SIDE, 3), ground, np.uint8)
    for left, top, right, bottom in BOXES:
        image[top:bottom, [left, right - 1]] = line
        image[[top, bottom - 1], left:right] = line
    return image


def overshoot(lr: Pixels, sr: Pixels) -> NDArray[np.int64]:
    """By what each SR value on the ground, (0, 0)'s colour, leaves the range of 3x3 LR pixels."""
    scale = len(sr) // len(lr)
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(lr, ((1, 1), (1, 1), (0, 0)), "edge"), (3, 3), (0, 1)
    )
    least, greatest = (
        one.repeat(scale, 0).repeat(scale, 1).astype(int)
        for one in (around.min((-2, -1)), around.max((-2, -1)))
    )
    on_ground = (lr == lr[0, 0]).all(-1, keepdims=True).repeat(scale, 0).repeat(scale, 1)
    return np.maximum(least - sr, sr - greatest).clip(0) * on_ground


def main(scale: str, *names: str) -> None:
    """Print a table in Markdown."""
    upscalers = {name: Upscaler(name, int(scale), precision="fp32") for name in names}
    images = [screen(*colours) for colours in COLOURS]
    size = SIDE * int(scale)
    results = {"bicubic": [overshoot(lr, resize(lr, size, size)) for lr in images]}
    results |= {name: [overshoot(lr, one(lr)) for lr in images] for name, one in upscalers.items()}
    bicubic = int(np.max(results["bicubic"]))
    sys.stdout.write("| | largest | against bicubic | mean |\n|---|---|---|---|\n")
    for name, found in results.items():
        largest = int(np.max(found))
        sys.stdout.write(f"| {name} | {largest} | {largest - bicubic:+} | {np.mean(found):.2f} |\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
